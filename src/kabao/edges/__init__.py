"""Ways in that are not plain HTTP. Each speaks a language of its own at its socket and calls
the same verbs as every other door; none of them decides about money.
"""
