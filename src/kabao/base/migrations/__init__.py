"""One linear history of the schema, over the PostgreSQL schemas of every slice.

`migrate` brings a database to this version. The database carries the lowest
code version that may run on it (`base.schema_version`): a Kabao older than
that refuses to start. A history that goes further than ours is fine as long as
that version allows it; so the version before and the version after can serve
side by side during an upgrade.

What SQLAlchemy cannot say (partitions, triggers, functions) a slice appends as
SQL to `metadata.info["after_create"]`; it is written into a migration like
everything else. Partitions are outside autogenerate: their parents speak for
them, and new ones appear every month.
"""

from __future__ import annotations

from kabao.base.migrations.runner import (
    SCHEMA_NEWER,
    Report,
    differences,
    freeze,
    migrate,
    parse_version,
    revise,
)

__all__ = [
    "SCHEMA_NEWER",
    "Report",
    "differences",
    "freeze",
    "migrate",
    "parse_version",
    "revise",
]
