"""A bank where a merchant has an account, with virtual accounts under it.

model     what is booked
camt      statements and notifications as it writes them: camt.053, camt.054
table     a statement as a table
pain      orders to pay as it reads them, and what it says of them: pain.001, pain.002
files     files of many payouts: who is paid, who is not, what comes back
server    its doors
"""
