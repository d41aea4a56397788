"""Top-ups: loading a card. For now with cash, at a counter; channels come later.

Words
  top-up   value bought for a card; each one is a lot of the ledger
  void     undo a top-up made by mistake: same shift, a supervisor allows it with the
           own PIN, and only while nothing of it was spent

Table: topup.

Invariants
  a confirmed top-up has one lot and the transfers of its operation
  a void takes from exactly that lot, and never takes what was spent or held
  no credit lifts a card over its limit (CR-12)
  a refused secret is kept and counted once; an unknown card costs the same
"""
