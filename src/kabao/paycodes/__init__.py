"""Pay codes: 18 digits that stand for a card at a till, for a minute and once.

Words
  pay code       what a wallet shows and a till scans; never made from the card's number
  series         the numbered codes of one card (made here) or of one device (made
                 there); a newer number bars the older ones
  device         a phone that holds a key and makes codes without a signal
  phone code     a moment that a device has signed with a key of its own, whose public half
                 we know: for tills without a line
  head           the first ten digits of a device's codes: its prefix and its handle
  store code     what a store shows and a wallet scans: place and perhaps amount, with a
                 MAC over both

A code of a card is chance, found by blind index; a code of a device is its head and a
time-based one-time password (RFC 6238). Which till has shown a code first, and whether it
was paid with, is written by the payment itself, under the card's lock: `payments.codes`.

Tables: series, code, device.

Invariants
  a code is chance or keyed, and is stored as a blind index only
  a series' numbers only rise; of a card, only the newest code can be shown first
  a device's key is sealed, told once at enrolment, and useless once it is revoked
"""
