"""Types and rules of reconciliation, by subject.

lines   what a source tells, line by line, and how a bill is refused
rounds  by which columns lines and books are paired: data
runs    one bill against our books, and its result as canonical bytes
breaks  where the two differ, what that means, what is proposed
gate    how many breaks a day may be closed with
"""
