"""Types and rules of reconciliation, by subject.

lines   what a source tells, line by line, and how a bill is refused
"""
