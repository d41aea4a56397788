"""Evidence: receipts that anybody can check, and the log that holds us to them.

Words
  receipt   what one operation did to a card: payment, hold, capture, void,
            refund, reversal, top-up, its void, the release of a hold
  serial    its number on the slip: the operation's id in 27 characters
  digest    SM3 over the receipt's lines (`model.Receipt.lines`)
  code      eight digits on the slip that only we can make (P-12)
  tree      a Merkle tree over the digests of about a second
  head      a tree's root, chained to the head before it and signed (SM2)
  proof     the way from a digest to its head: whoever has the public key can
            check a receipt with it, without us
  copy      one printing of a slip; all but the first are marked 重印

A receipt is never stored: it is derived from the books, where nothing it says
ever changes, so paying costs nothing for it. Only its digest is kept. When the
books say something else than was signed, nobody is given that receipt.

Tables: tree, leaf, copy. Rows are only ever added.

Invariants
  an operation that moved value is in exactly one tree, a moment later
  every head names the one before: none can be changed or taken away unseen
"""
