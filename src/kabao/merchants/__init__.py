"""What stands and works in a store: terminals, cashiers, shifts, and what the store pays.

Words
  terminal   one till or reader of a store, known to the POS host by its 8-character
             number within the store's merchant number (fields 41 and 42)
  master key a terminal's TMK: two components of two persons, XORed; has versions
  cashier    a person who works at a store's tills; the name is personal data
  shift      one cashier at one terminal, from opening until closing
  X, Z       what a shift has taken so far, and its count when it ends
  drawer     what lies in the till besides what was sold: float, paid in and out, drops
  count      what a cashier found there, piece by piece, before hearing what there should be
  override   a supervisor's PIN lets a cashier do one thing, once, within minutes
  swap       other hardware takes over a dead terminal's number on a one-time code
  till       a terminal, the cashier at it and the shift under way: what a payment names
  fee plan   what a store is charged for a redemption; never changed, only succeeded
  fee term   the plan (or none) a store is under from a day on
  revision   a counter every change raises; snapshots follow it

Tables: terminal, terminal_key, cashier, cashier_pin, override, shift,
z_report, drawer_entry, drawer_count, fee_plan, fee_term, revision.

Invariants
  a cashier has at most one open shift, at a terminal of the cashier's own store
  a terminal has at most one master key in use; nobody ever has, or sees, a whole one
  a closed shift is counted once, from the books; its Z report never changes
  what was counted and what there should be differ by what is booked as over or short
  an override is another person's than the cashier's, used once, and in the audit log
  of a store's terminals that are not retired no two have one number
  a retired terminal and a cashier who has left never come back
  a fee term that has begun is never changed, so a fee can be computed again at any time
"""
