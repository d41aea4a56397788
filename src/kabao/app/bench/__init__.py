"""`kabao bench`: how fast, as ratios against a reference in the same run.

The reference is PostgreSQL's own `pgbench` TPC-B (`-M prepared`, scale 50, the
best of 8, 16 and 32 clients), on the same server, in turn with every measured
thing, so that a slow minute of the machine slows both. Quote the ratios.

What a captured payment commits: one operation, one payment, one transfer and
one outbox event inserted, one root updated, and a share of its batch's row and
of its writer's. Every payment shows a card number and a PIN.
"""
