"""The night: what issuers, stores and companies owe each other, and how it is paid.

Words
  window       from one cut of the books to the next (20:00 to 20:00): what is netted together
  cut          how far every writer of the ledger had come: each transfer is in exactly one window
  settlement   what one issuer owes one store for one window, in one currency
  claim        a settlement and what was carried into it, as it enters the netting
  party        who pays or is paid: a company, or a store with an account of its own
  netting run  claims of many parties made into as few instructions as there must be
  instruction  one payment that a run asks for: this company pays that party so much
  soft close   after the cut: figures are provisional
  hard close   once every source agrees: figures are final and are paid
  part         what one source says of a day; it may be kept out while the others settle
  adjustment   a dated correction of a closed day, under two persons

Invariants
  every transfer is in exactly one window
  a settlement is netted once; a day that is closed is never opened again
  netting conserves every fen: what a party is paid and keeps is what it is owed
  the same inputs give the same bytes, today and in ten years
"""
