"""What Alembic looks at, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import ischema_names

from kabao.base.tables import Xid8

ischema_names["xid8"] = Xid8  # SQLAlchemy does not know it by itself

VERSION_TABLE, VERSION_SCHEMA = "alembic_version", "base"


def options(connection: sa.Connection, metadata: sa.MetaData) -> dict[str, Any]:
    """Arguments of `context.configure`, the same for every command."""
    schemas = {table.schema for table in metadata.tables.values()}
    partitions = _partitions(connection)

    def include_name(name: str | None, kind: str, parents: Mapping[str, str | None]) -> bool:
        if kind == "schema":
            return name in schemas
        if kind == "table":
            return (parents["schema_name"], name) not in partitions
        return True

    return {
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "version_table_schema": VERSION_SCHEMA,
        "include_schemas": True,
        "include_name": include_name,
        "compare_type": True,
        "compare_server_default": True,
        "transaction_per_migration": False,
    }


def _partitions(connection: sa.Connection) -> set[tuple[str | None, str]]:
    rows = connection.execute(
        sa.text(
            "select relnamespace::regnamespace::text, relname from pg_class"
            " where relispartition and relkind in ('r', 'p')"
        )
    )
    return {(schema, name) for schema, name in rows}
