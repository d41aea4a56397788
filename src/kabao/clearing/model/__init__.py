"""Types and rules of clearing, by subject.

calendar     workdays: the official calendar, and what people said of it
settlement   settlements and the instructions they become
"""
