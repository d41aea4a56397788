"""Bank cards at the acquirer's own terminal: what a cashier recorded, matched with a file later.

The terminal is not connected to us. The customer's card is read and charged there, and the
cashier types what its slip says; that is all that is known until the acquirer's file of the
day has come. Such a payment is *recorded*: believed at once, and wrong until it was matched.

  channel   the port
  bill      the acquirer's file: a line for each sale, known by terminal and reference

A slip is good for one order; who keeps orders sees to that, since nothing is kept here.
"""
