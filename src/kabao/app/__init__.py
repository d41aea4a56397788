"""The composition root: the only place that knows every slice.

settings   what the environment says, read once
migrate    brings a database to this version's schema
supervise  the parent process: database, migration, servers and workers
child      what such a server or worker is at its start
cli        `kabao …`
"""
