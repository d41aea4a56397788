"""The POS host: tills that speak ISO 8583 over TCP.

Words
  dialect    how messages look on the wire, a file of `dialects/`: fields, parts, which
             message is which verb, result codes; the code knows none of it
  part       a named piece of a field, such as the batch number in field 60
  TMK        terminal master key, injected by two persons; opens the session keys
  PIK, MAK   session keys for PIN blocks and for MACs, fresh at every sign-in
  trace      number of a message, unique for a terminal within its batch (field 11)
  batch      a terminal's messages from one settlement to the next (field 60.2)
  RRN        12 characters that name a payment on a slip (field 37)
  difference a message about which till and host differ; while it is open, its store's
             settlement is kept out of the day
  outcome    what the host says of a message; each dialect has its code for it

A frame's way: `connection` takes it off the wire, `codec` takes it apart, `reading` says what
it means, `desk` checks who asks and with which key, and calls a verb: `sales` (what is hot),
`after` (what undoes and completes), `counter`, `sold`, `batches`. These call the same
`Payments`, `TopUps` and `Life` as every other door.

Tables, schema `pos`: session, batch, entry, uploaded, difference.

Invariants
  nothing is posted for a message whose MAC is wrong
  terminal + batch + trace is one effect, whatever is repeated, late or reversed
  a batch is settled once
  whoever holds no keys takes no room from those who do
"""
