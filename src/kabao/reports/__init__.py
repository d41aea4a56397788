"""Reports: what a business day came to, for people, and for the books of a company.

Words
  day report   volumes by door, store and channel, what cards are worth, what is
               still open; the same day gives the same figures
  roll         what an issuer owes to holders: opening + what moved = closing (I-9)
  sheet        a report as a page (HTML) or on paper (PDF)
  store sheet  one store's day, cashier by cashier
  voucher      the lines of one kind of event of a day, debits equal credits, for an ERP

Tables: roll.

Invariants
  figures are read from the journal, never counted alongside
  a closed day's roll is kept once, with the digest of all its figures; a day read
  again must give the same digest
  every roll's opening is the closing of the day before
"""
