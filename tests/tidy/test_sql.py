"""A slice's tables are its own."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from kabao.app.migrate import TABLES, tables

from .tree import SLICES, SRC, here, none_of, sources, strings

SCHEMA_OF = {"kabao.edges.iso8583.tables": "pos"}
"""Modules of tables whose schema is not called like what they belong to."""

SCHEMAS = [*SLICES, "base", *SCHEMA_OF.values()]
NAMED = re.compile(
    r"\b(?:from|into|update|join|table|only|truncate|lock|copy|using)\s+"
    rf"({'|'.join(SCHEMAS)})\.[a-z_]+",
    re.IGNORECASE,
)

READ_ELSEWHERE = {
    "app/clock.py": {"base"},
    "app/simulate_stage.py": {"base", "org"},
    "app/bench/books.py": {"funding"},
    "app/bench/reconcile.py": {"funding"},
    "app/bench/seed.py": {"ledger"},
}
"""Files outside a slice that touch tables directly, and whose."""


def owner(path: Path) -> str:
    name = "kabao." + ".".join(path.relative_to(SRC).parent.parts) + ".tables"
    return SCHEMA_OF.get(name, path.relative_to(SRC).parts[0])


def test_statements_name_only_their_own_schema() -> None:
    wrong = [
        f"{here(path)}: {found[0]}"
        for path in sources()
        if owner(path) != "audit"  # it reads every table, and nothing else
        for string in strings(path)
        for found in NAMED.finditer(string)
        if found[1] not in READ_ELSEWHERE.get(here(path), {owner(path)})
    ]
    none_of(wrong)


def test_the_table_modules_are_all_known() -> None:
    found = {
        "kabao." + here(path).removesuffix(".py").replace("/", ".")
        for path in sources()
        if path.stem.startswith("tables")
    }
    assert found == set(TABLES)


@pytest.mark.parametrize("module", TABLES)
def test_a_slices_tables_are_in_its_schema(module: str) -> None:
    made = vars(importlib.import_module(module)).values()
    schemas = {each.schema for each in made if isinstance(each, sa.Table)}
    assert schemas == {SCHEMA_OF.get(module, module.split(".")[1])}


def test_no_reference_leaves_its_schema() -> None:
    wrong = [
        f"{table.key}.{key.parent.name} refers to {key.target_fullname}"
        for table in tables().tables.values()
        for key in table.foreign_keys
        if key.target_fullname.split(".")[0] != table.schema
    ]
    none_of(wrong)


def test_every_check_has_a_name() -> None:
    wrong = [
        f"{table.key}: {constraint.sqltext}"
        for table in tables().tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint) and not constraint.name
    ]
    none_of(wrong)


def test_amounts_are_whole_fen() -> None:
    wrong = [
        f"{table.key}.{column.name}"
        for table in tables().tables.values()
        for column in table.columns
        if column.name.endswith("_fen") and not isinstance(column.type, sa.BigInteger)
    ]
    none_of(wrong)
