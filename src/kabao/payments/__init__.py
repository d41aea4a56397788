"""Payments: pay, hold, capture, void, refund, reverse.

Words
  payment    value taken from a card for a sale, at once or out of a hold
  hold       value set aside first (`capture: false`), captured in part or whole,
             released by a void or when its time is over
  void       undo the whole, the same day, before settlement
  refund     give back part or whole of what was captured, later
  by hand    a refund entered in the back office; from a sum on it takes two persons
  suspense   where a refund waits that fits no card, until two persons release it
  reversal   undo because the outcome was not known; always succeeds, also
             before its original has come, which is then refused
  offline    sold by a till without a line, under terms granted beforehand; uploaded
             later: the card pays what it can, its issuer what is missing (the loss),
             and what was outside the terms is refused to the store
  declined   an answer, not an error; it names the code and the rule

Every door (HTTP, POS, QR) uses the same verbs of `Payments`. What must be exact
is decided under the card's lock, by the pure functions of `rules`, `pay` and
`after`; the way of a payment is  Payments.pay → cards.resolve → ledger lane.
What `tenders` needs of several payments at once is in `parts`.

Tables: payment, refund, reversal, offline_sale.

Invariants
  refunds + voids + reversals never exceed the payment (I-6)
  a payment's amounts equal the transfers of its operation
  an offline sale is paid, lost or refused once, by terminal and sequence; no card
  is honoured twice a day
  the same key gives the same answer; a locked PIN refuses the right one too
"""
