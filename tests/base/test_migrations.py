"""The history of the schema, on real databases."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from kabao.app.migrate import TABLES, migrate, tables
from kabao.app.version import CODE_VERSION
from kabao.base.errors import KabaoError
from kabao.base.migrations import differences, initial, parse_version
from kabao.base.migrations import migrate as migrate_database
from kabao.base.postgres import find_binaries


def _execute(url: str, sql: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(sql.encode())


@pytest.fixture
def empty_url(server_url: str, database_url: str) -> Iterator[str]:
    """A database with nothing in it."""
    url = f"{database_url}_empty"
    name = url.rpartition("/")[2]
    with psycopg.connect(server_url, dbname="postgres", autocommit=True) as conn:
        conn.execute(f"create database {name}".encode())
        yield url
        conn.execute(f"drop database {name} with (force)".encode())


def test_the_migrations_say_what_the_tables_say(database_url: str) -> None:
    assert differences(database_url, tables()) == []


def test_every_tables_module_is_migrated() -> None:
    root = Path(initial.__file__).parents[2]
    found = {
        "kabao." + ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("tables*.py")
    }
    assert found <= set(TABLES)


def test_migrated_and_made_anew_are_the_same_schema(database_url: str, empty_url: str) -> None:
    """What Alembic does not compare (checks, triggers, functions, partitions) too."""
    _execute(empty_url, initial.schema_sql(tables(), min_code_version=CODE_VERSION))
    assert _dump(database_url) == _dump(empty_url)


def _dump(url: str) -> list[str]:
    """Every line of the schema, in an order that later columns do not change."""
    program = find_binaries() / "bin" / "pg_dump"
    dump = subprocess.run(
        [program, "--schema-only", "--exclude-table=base.alembic_version", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = (line.strip().rstrip(",") for line in dump.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("--", "\\")))


def test_two_processes_migrate_at_once(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: migrate(empty_url), range(4)))
    (head,) = {str(report.after) for report in reports}
    assert sorted(str(report.before) for report in reports) == [head, head, head, "None"]


def test_a_failed_migration_leaves_nothing(empty_url: str) -> None:
    _execute(empty_url, "create table public.procrastinate_jobs (id int)")
    with pytest.raises(KabaoError, match="cannot be migrated") as refused:
        migrate(empty_url)
    assert refused.value.code.name == "unavailable"
    with psycopg.connect(empty_url) as conn:
        found = conn.execute("select to_regclass('base.schema_version')").fetchone()
    assert found == (None,)


def test_a_schema_for_newer_code_is_refused(database_url: str) -> None:
    _execute(database_url, "update base.schema_version set min_code_version = '99.10.2'")
    with pytest.raises(KabaoError, match=r"needs Kabao 99\.10\.2 or newer") as refused:
        migrate(database_url)
    assert refused.value.code.name == "schema_newer"


def test_a_newer_revision_that_allows_us_is_left_alone(database_url: str) -> None:
    """The version before serves beside the version after during an upgrade."""
    _execute(database_url, "update base.alembic_version set version_num = '0999'")
    report = migrate(database_url)
    assert (report.before, report.after) == ("0999", "0999")


def test_a_version_older_than_the_schema_allows_is_refused(database_url: str) -> None:
    with pytest.raises(KabaoError):
        migrate_database(database_url, tables(), code_version="0.0.9")


def test_a_database_that_is_not_there() -> None:
    with pytest.raises(KabaoError) as refused:
        migrate("postgresql://kabao:hush@127.0.0.1:1/kabao")
    assert refused.value.code.name == "unavailable"
    assert "\n" not in refused.value.detail
    assert "hush" not in refused.value.detail


@pytest.mark.parametrize(
    ("older", "newer"), [("0.9.0", "0.10.0"), ("0.1.0", "0.1.1"), ("0.1.9", "1.0"), ("9", "10")]
)
def test_versions_compare_as_numbers(older: str, newer: str) -> None:
    assert parse_version(older) < parse_version(newer)
