"""The whole schema as SQL, from the tables as they are now.

The first revision is this text, frozen into a file (`kabao.app.migrate freeze`).
Until it is frozen, the first revision makes it anew from the tables.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from procrastinate.schema import SchemaManager

from kabao.base.migrations.scope import VERSION_SCHEMA


def schema_sql(metadata: sa.MetaData, *, min_code_version: str) -> str:
    """Every statement that makes an empty database into one of ours."""
    statements: list[str] = []

    def keep(statement: Any, *_: object, **__: object) -> None:
        statements.append(str(statement.compile(dialect=engine.dialect)).strip())

    engine = sa.create_mock_engine("postgresql+psycopg://", keep)
    schemas = {table.schema for table in metadata.tables.values() if table.schema}
    metadata.create_all(engine, checkfirst=False)
    parts = [
        *(f"create schema if not exists {name}" for name in sorted(schemas | {VERSION_SCHEMA})),
        *statements,
        *(sql.strip().rstrip(";") for sql in metadata.info.get("after_create", [])),
        f"insert into base.schema_version (min_code_version) values ('{min_code_version}')",  # noqa: S608 -- our own version
    ]
    text = "".join(f"{_tidy(part)};\n\n" for part in parts)
    return f"{text}-- Jobs: the schema of procrastinate, in public.\n\n{procrastinate_sql()}"


def procrastinate_sql() -> str:
    """The tables and functions of the job queue, which are the library's own."""
    return SchemaManager.get_schema()


def run_sql(connection: sa.Connection, text: str) -> None:
    """Run a whole file of statements as it stands, within the transaction."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(text.encode())


def _tidy(statement: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in statement.splitlines())
