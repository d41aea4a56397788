"""The ledger: the only writer of money.

Words
  root account   one card's value; the unit of lock and shard
  sub-account    principal and bonus, each free or held, under a root
  house account  what stands opposite: a store's till, what a store is owed,
                 bonus cost, transit, … (a kind and an owner, never a locked row)
  transfer       one row that debits one account and credits another
  house transfer the same between two house accounts: it settles, pays out, corrects
  lot            one load: what was paid, what it is worth, by whom and for whom
  passage        part of a lot that went on to another card, and is part of a lot there
  hold           value set aside on a root, until captured, released or expired
  operation      one request of the outside, by company and key, with its answer
  lane           one writer: gathers what waits, locks, decides, stores, commits
  batch          what one commit of a writer stored, with its chained digest

Tables: root, transfer (partitioned by month of business_date), house_transfer, lot, hold,
operation, writer, batch, closed_day, checkpoint.

Invariants
  every transfer touches exactly one root; `seq` counts a root's transfers 1, 2, 3 …
  a root's balances are the sums of its transfers and are never negative
  house transfers touch none; they are one chain, numbered 1, 2, 3 …
  transfers, lots and batches are only ever inserted; a correction is an opposite transfer
  no batch posts into a closed business day
  an operation is answered once; every repetition gets the first answer
"""
