"""What every slice stands on, and what has no opinion about cards.

money     integer fen with a currency, splits that lose nothing
ids       UUIDv7 inside (32 hex characters), prefixed text at the edge (`pay_…`)
clock     the one clock, handed in; the business day
errors    `KabaoError` and the registry of stable codes
db        the pool, transactions, loaders; refusal of an unsafe server
postgres  an embedded PostgreSQL under a supervisor, when none is given
outbox    events written in the same transaction as what they tell
jobs      work deferred in our own transaction
web       plumbing for HTTP: problems, idempotency, pages, guards, the fast door
logs      structured lines in which secrets are masked
"""
