"""Bring a database to this version, refuse one that is too new, say what differs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import api
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import ops
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from kabao.base.errors import UNAVAILABLE, Kind, code
from kabao.base.migrations import initial, scope

SCHEMA_NEWER = code("schema_newer", Kind.UNAVAILABLE, "The database is of a newer Kabao.")

FOLDER = Path(__file__).parent
LOCK = 0x6B_61_62_61_6F
"""Of the advisory lock that lets one process at a time migrate."""

LOCK_WAIT = "120s"
TABLE_LOCK_WAIT = "10s"
"""How long a change of a table may hold up payments in a running system."""


class Report(msgspec.Struct, frozen=True):
    """What a migration did. Equal revisions: nothing."""

    before: str | None
    after: str | None
    min_code_version: str


def migrate(url: str, metadata: sa.MetaData, *, code_version: str) -> Report:
    """Run what is missing, in one transaction; safe to call from many processes.

    Raises `schema_newer`, or `unavailable` when the database cannot be reached
    or the migration cannot have its lock.
    """
    with _connection(url) as connection:
        connection.execute(sa.text(f"set local lock_timeout = '{LOCK_WAIT}'"))
        connection.execute(sa.text(f"select pg_advisory_xact_lock({LOCK})"))
        connection.execute(sa.text(f"set local lock_timeout = '{TABLE_LOCK_WAIT}'"))
        _refuse_newer(connection, code_version)
        config = _config(connection, metadata, code_version)
        before = _revision(connection)
        if before is None or _known(config, before):
            connection.execute(sa.text(f"create schema if not exists {scope.VERSION_SCHEMA}"))
            command.upgrade(config, "head")
        return Report(before, _revision(connection), _min_code_version(connection) or "0")


def differences(url: str, metadata: sa.MetaData) -> list[str]:
    """What the tables say and the database does not, a line each."""
    with _connection(url) as connection:
        context = MigrationContext.configure(
            connection=connection, opts=scope.options(connection, metadata)
        )
        return [str(difference) for difference in api.compare_metadata(context, metadata)]


def freeze(metadata: sa.MetaData, *, code_version: str) -> Path:
    """Write the schema as it is now into the first revision. Returns the file."""
    file = FOLDER / "versions" / "0001_initial.sql"
    file.write_text(initial.schema_sql(metadata, min_code_version=code_version))
    return file


def revise(url: str, metadata: sa.MetaData, *, code_version: str, message: str) -> Path | None:
    """Write the next revision from what differs. None when nothing does."""

    def number(context: MigrationContext, _: object, scripts: list[ops.MigrationScript]) -> None:
        count = len(list(ScriptDirectory.from_config(config).walk_revisions()))
        assert scripts[0].upgrade_ops is not None
        if scripts[0].upgrade_ops.is_empty():
            scripts.clear()
        else:
            scripts[0].rev_id = f"{count + 1:04d}"

    with _connection(url) as connection:
        config = _config(connection, metadata, code_version)
        made = command.revision(
            config, message, autogenerate=True, process_revision_directives=number
        )
    script = made[0] if isinstance(made, list) else made
    return Path(script.path) if script is not None else None


def parse_version(text: str) -> tuple[int, ...]:
    """`"0.10.1"` to `(0, 10, 1)`: versions compare as numbers."""
    release = text.split("+", 1)[0].split("-", 1)[0]
    return tuple(int(part) for part in release.split(".") if part.isdigit())


@contextlib.contextmanager
def _connection(url: str) -> Iterator[sa.Connection]:
    """A connection in one transaction. Raises `unavailable`."""
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, connect_timeout=10, application_name="kabao migrate"),
        poolclass=NullPool,
    )
    try:
        with engine.begin() as connection:
            yield connection
    except (sa.exc.DBAPIError, psycopg.Error) as failed:
        cause = failed.orig if isinstance(failed, sa.exc.DBAPIError) else failed
        reason = str(cause).strip().splitlines() or ["no reason given"]
        raise UNAVAILABLE.error(f"The database cannot be migrated: {reason[0]}.") from failed


def _config(connection: sa.Connection, metadata: sa.MetaData, code_version: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    attributes: dict[str, Any] = {
        "connection": connection,
        "metadata": metadata,
        "code_version": code_version,
    }
    config.attributes.update(attributes)
    return config


def _refuse_newer(connection: sa.Connection, code_version: str) -> None:
    needed = _min_code_version(connection)
    if needed is not None and parse_version(needed) > parse_version(code_version):
        raise SCHEMA_NEWER.error(
            f"This database needs Kabao {needed} or newer; this is {code_version}. "
            "Install that version, or use another database (KABAO_DATABASE_URL, KABAO_DATA)."
        )


def _min_code_version(connection: sa.Connection) -> str | None:
    if connection.execute(sa.text("select to_regclass('base.schema_version')")).scalar() is None:
        return None
    found = connection.execute(sa.text("select min_code_version from base.schema_version"))
    return found.scalar_one_or_none()


def _revision(connection: sa.Connection) -> str | None:
    table = f"{scope.VERSION_SCHEMA}.{scope.VERSION_TABLE}"
    if connection.execute(sa.text(f"select to_regclass('{table}')")).scalar() is None:
        return None
    found = connection.execute(sa.text(f"select version_num from {table}"))  # noqa: S608 -- a constant
    return found.scalar_one_or_none()


def _known(config: Config, revision: str) -> bool:
    """Whether our history has this revision. If not, a newer Kabao migrated
    the database, and its `min_code_version` lets us run on it.
    """
    script = ScriptDirectory.from_config(config)
    return revision in {each.revision for each in script.walk_revisions()}
