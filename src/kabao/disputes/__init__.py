"""Disputes: a payment that its holder says was wrong, until somebody bears it.

Words
  dispute            what a holder says about a payment: a reason and an amount
  retrieval          asking the store for its papers (调单), at most 180 days after (C-04)
  evidence pack      what the platform itself knows: receipts with their proofs, the
                     check of a slip's code, till, cashier, shift, every step in time
  provisional credit what the issuer lends the card while it is looked into
  outcome            for the holder (the store is charged, or the issuer bears it),
                     for the store, or withdrawn; two people agree

A dispute moves no money by itself: `payments.lending` lends, takes back, and says who
bears what stays. Days are workdays; a calendar that is not known refuses.

Tables: dispute, step.

Invariants
  a payment has one dispute at a time
  refunds and what disputes gave are never more than the payment took (I-6)
  the account `disputed` holds what open disputes have lent, and nothing else
  steps are only ever added
"""
