"""Whether what others say of a day and what our books say of it are the same.

Words
    source  who tells: a channel's bill, a bank's statement, terminals' batches, a legacy system.
    line    one thing a source tells, in the one form all sources are read into.
"""
