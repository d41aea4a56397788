"""Tenders: a sale paid by several of them, all captured or all undone.

Words
  payment order  what a customer is to pay for one sale, and the tenders that make
                 it up; not the purchase of a card
  tender         by what a part is paid: a card, cash, or an outside channel. A
                 card's tender is a payment with its hold; cash and channel are
                 only recorded
  due back       what the cashier or the channel has to give back of a tender
  freeze         an exception: nothing moves for a while, and not at all as long
                 as the outcome is unknown
  sweep          undo what nobody finished in time

Each verb is one transaction over the order, its tenders and the cards' roots.

Tables: payment_order, tender, refund, refund_part.

Invariants
  an order's state, its tenders and their payments always agree (`kabao audit`)
  captured is at most tendered, refunded at most captured, tender by tender
  what a card gave goes back to that card, bonus to bonus; never into cash
  a payment that is a tender is touched by its order alone
"""
