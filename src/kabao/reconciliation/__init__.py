"""Whether what others say of a day and what our books say of it are the same (T-20, T-21, C-05).

Words
    source     who tells: a channel's bill, a bank's statement, terminals' batches, a legacy system.
    line       one thing a source tells, in the one form all sources are read into.
    book       one thing our side tells, as whoever owns the rows selects it.
    run        one bill of a source and day against our books.
    round      pairing lines and books by certain columns; rounds and their order are data.
    break      a difference (差错), of one of eight classes, with a proposed correction.
    gate       more open breaks than policy allows keep that part of the day from being closed.

Invariants
    A bill is taken whole or not at all, and none of it twice.
    Pairing and classing are statements over sets, in one transaction: a run that was killed has
    matched nothing. The same lines and books give the same bytes, whose digest the run keeps.
    A run only tells; it moves no money. Corrections take two persons.

Tables: run, line, book, pair, break.
"""
