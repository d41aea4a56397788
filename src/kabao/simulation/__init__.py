"""A simulated chain of stores that trades through the real doors.

chance    the one source of chance: seeded, divided into named streams
world     companies, stores, tills, staff and people, made from a seed
habits    when people come, what they buy and how they pay
intents   what somebody sets out to do at some moment of a day
plan      a day of intents, honest ones and others: pure, so a seed repeats it
client    a small HTTP/1.1 client; it knows nothing of the platform
doors     the platform's verbs over that client: keys, retries, the journal
setup     builds the world through the doors
player    does what was planned, at its time, and what follows from answers
faults    lost replies, doubles, early reversals, kills, jumps of the clock
tally     what was acknowledged, counted in constant memory
run       days one after another, and what is checked after each

It knows the platform by its HTTP doors alone: no slice is imported, no table
is read. What it believes comes from answers; the auditor, which reads nothing
but tables, judges both. Every dishonest act carries a label in the journal.
"""
