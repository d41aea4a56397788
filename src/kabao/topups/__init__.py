"""Top-ups: loading a card, with cash at a counter or through a payment channel.

Words
  top-up      value bought for a card; each one is a lot of the ledger
  void        undo a cash top-up made by mistake: same shift, a supervisor allows it with
              the own PIN, and only while nothing of it was spent
  bonus rule  what top-ups of a programme are given on top (满赠); two people agree to it
  grant       what one top-up is given by a rule, out of the rule's budget
  refund      money of a channel's top-up that goes back to its payer, with its share of bonus
  paying card a registered card that pays for a top-up of its holder's other card (T-04)
  recall      money that a channel took back from us: what is left is frozen, wherever it was
              moved to, the rest is owed

Tables: topup, bonus_rule, bonus_grant, refund, recall, recall_part.

`funding` collects the money and tells what becomes of it (`ops/online.py` is its purpose
`topup`). Collections are locked before cards, cards before payers, payers before rules.

Invariants
  a confirmed top-up has one lot and the transfers of its operation
  a void takes from exactly that lot, and never takes what was spent or held
  no credit lifts a card over its limit (CR-12); what is given counts as well
  money of a channel is credited once, when the channel has said so; what cannot be credited
  goes back by itself
  what goes back is at most what is left of the lot (ruling 18), and leaves the card at once
  what a recall froze and what is owed for it is what was taken, always
  a rule gives no more than its budget, counted under a lock of its own
  a refused secret is kept and counted once; an unknown card costs the same
"""
