"""An embedded PostgreSQL, for when no `KABAO_DATABASE_URL` is given.

binaries  where the wheel keeps PostgreSQL 18, and a copy when it is out of reach
account   the unprivileged OS user it runs as when Kabao is started as root
cluster   one data folder: initdb, configuration, port and password, its version
server    start, watch, restart within seconds, stop

A data folder holds `postgres/` (the cluster, mode 0700, owned by the database's
own user), `postgres.json` (port and password, mode 0600) and `postgres.lock`
(held by the one process that supervises it; any other process joins in).

The server listens on 127.0.0.1 only, asks for a password of 144 random bits,
and runs with checksums, fsync, synchronous_commit and full_page_writes on.
"""

from __future__ import annotations

from kabao.base.postgres.binaries import find_binaries
from kabao.base.postgres.cluster import DATA_NEWER, DATA_UNREACHABLE, DATABASE_FAILED
from kabao.base.postgres.server import EmbeddedPostgres

__all__ = [
    "DATABASE_FAILED",
    "DATA_NEWER",
    "DATA_UNREACHABLE",
    "EmbeddedPostgres",
    "find_binaries",
]
