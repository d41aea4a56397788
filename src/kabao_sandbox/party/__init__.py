"""What the parties of the outside world have in common, whatever they speak.

http       a small HTTP server that can lose an answer, hang up, or not be there
book       orders, payments, refunds and payers' codes of a party
faults     what goes wrong on demand
bills      rows of a day's bill, with planted errors
notifier   notifications, repeated until they are taken
envelope   what banks sign, and how
keys       keys of both sides, made afresh
host       a running party: its protocol at one port, its desk at another
command    how a party is started
"""
