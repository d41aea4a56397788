"""Cards: programmes, issuing, numbers and secrets, life cycle, stock.

Words
  programme    a card product: its class (registered, bearer), terms, number ranges
  version      what a programme was from one change to the next; never overwritten
  card         a carrier of value, plastic or electronic; the value itself is a
               root account of the ledger, and a replaced card hands it on
  credential   what is shown to pay, found by blind index: a card number today,
               card keys and pay codes later
  number       prefix, random digits, check digit; a secret, never an id
  PIN          drawn with the card, kept as a salted keyed MAC, shown once
  verification value   proof in a track or barcode that the issuer made it,
               by the card's own key and its version
  batch        a bulk issue, made in chunks; one transaction each, resumable

Tables: programme, programme_version, number_range, revision, card, credential,
batch, batch_chunk; those of stock stand in `tables_stock`, flags in `tables_watch`.

Invariants
  a number is drawn by CSPRNG from a range of its programme and is unique for ever
  no range holds more numbers than the density policy says (ATK-2)
  numbers are stored sealed, PINs only as MACs; both are in one answer once
  a registered card has no expiry, a bearer card 36 months or more (CR-13)
  a card in force is `root.card` of its root account, with the same secret version
"""
