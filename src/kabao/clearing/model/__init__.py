"""Types and rules of clearing, by subject.

calendar     workdays: the official calendar, and what people said of it
canonical    inputs and results as bytes, and ids derived from what they name
settlement   settlements and the instructions they become
terms        rules of settlement and their versions
figures      what is owed for one window
netting      who pays whom, so that all are even
"""
