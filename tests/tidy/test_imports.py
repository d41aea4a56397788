"""Who may know whom: layers, doors, and which library is used where."""

from __future__ import annotations

import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import grimp
import pytest

from .tree import NO_SLICES, ROOT, SLICES, none_of

DOOR = {"model", "ops", "ports"}
"""What a slice shows to the slices above it."""

SHOWN_BESIDES = {
    "kabao.policy.names": "the names of rules: constants, used like a model",
    "kabao.policy.choices": "the closed choices a rule's value is one of",
    "kabao.policy.wording": "rules in words, for whoever shows them to people",
    "kabao.cards.claims": "pure: who asks, and what a source says without its secrets (ATK-3)",
    "kabao.cards.limits": "pure: what whoever credits a card must share (CR-12, R-01)",
    "kabao.payments.parts": "payments as tenders of one sale, in the caller's transaction",
    "kabao.payments.lending": "what a dispute lends, in the caller's transaction",
    "kabao.cards.states": "pure: the closed states and reasons of a card's life",
    "kabao.payments.pay": "the request of a payment, which every door fills in",
    "kabao.ledger.sums": "the types of a day's sums, which `Ledger.volumes` answers with",
    "kabao.ledger.lots": "the types of a derivation, which `Ledger.lots` answers with",
    "kabao.ledger.passages": "the same of `Ledger.passages`",
}
"""Modules outside the door that others may import, and why."""

WIRED = ("http", "jobs", "approvals", "tables")
"""What `app` alone takes from slices besides: their doors to the outside."""

APP_SEES = {
    "kabao.payments.adjust": "adjustments, wired like the verbs of `ops`",
    "kabao.payments.offline": "offline sales, wired like the verbs of `ops`",
    "kabao.payments.returns": "returns, wired like the verbs of `ops`",
    "kabao.payments.suspense": "releases from suspense, wired like the verbs of `ops`",
}

HTTP_SEES = {
    "kabao.cards.sql_life": "the type of an activity",
    "kabao.cards.sql_stock": "the type of a stock line",
    "kabao.ledger.sql": "the type of a closed day",
    "kabao.payments.sql_offline": "the type of an offline sale",
}
"""Statements whose row types a door shows as they are."""

LIBRARIES = {
    "litestar": ("kabao.base.web.*", "kabao.*.http*", "kabao.app.pages"),
    "uvicorn": ("kabao.base.web.*",),
    "httptools": ("kabao.base.web.*", "kabao.simulation.client", "kabao.app.bench.*"),
    "sqlalchemy": (
        "kabao.base.*",
        "kabao.*.tables*",
        "kabao.app.migrate",
        "kabao.app.reference.*",
    ),
    "alembic": ("kabao.base.migrations.*",),
    "procrastinate": ("kabao.base.jobs", "kabao.base.migrations.*"),
    "cryptography": (
        "kabao.sm2",
        "kabao.vault.*",
        "kabao.edges.iso8583.ciphers",
        "kabao.till.*",
        "kabao.adapters.*",
    ),
    "chinese_calendar": ("kabao.clearing.model.calendar",),
    "defusedxml": ("kabao.adapters.bank.xml",),
    "httpcore": ("kabao.adapters.webhooks.*",),
    "httpx": ("kabao.adapters.line", "kabao.app.demo_*"),
    "argon2": ("kabao.access.ops.*",),
    "pyotp": ("kabao.access.*",),
    "typer": ("kabao.app.*", "kabao.audit.*"),
    "rich": ("kabao.app.*", "kabao.audit.*", "kabao.simulation.*"),
    "psycopg_pool": ("kabao.base.db", "kabao.base.jobs"),
    "structlog": ("kabao.base.*", "kabao.ledger.*"),
    "prometheus_client": ("kabao.base.web.*",),
    "typst": ("kabao.base.sheets.pdf",),
}
"""A library is known to as few modules as can be, so that it can be replaced."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("kabao", include_external_packages=True)


def part(module: str, number: int) -> str:
    parts = module.split(".")
    return parts[number] if number < len(parts) else ""


def imports(graph: grimp.ImportGraph) -> list[tuple[str, str]]:
    """Every import of one module of ours by another."""
    return sorted(
        (importer, imported)
        for importer in graph.modules
        if importer.startswith("kabao.")
        for imported in graph.find_modules_directly_imported_by(importer)
        if imported.startswith("kabao.")
    )


def test_the_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_slice_is_entered_by_its_door(graph: grimp.ImportGraph) -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports(graph)
        if part(imported, 1) in SLICES
        and part(importer, 1) not in {"app", part(imported, 1)}
        and part(imported, 2) not in DOOR
        and imported not in SHOWN_BESIDES
    ]
    none_of(wrong)


def test_the_composition_root_takes_doors_and_routes(graph: grimp.ImportGraph) -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports(graph)
        if part(imported, 1) in SLICES
        and part(importer, 1) == "app"
        and not importer.startswith("kabao.app.reference.")
        and part(imported, 2) not in DOOR
        and not part(imported, 2).startswith(WIRED)
        and imported not in SHOWN_BESIDES | APP_SEES
    ]
    none_of(wrong)


def test_a_door_to_the_outside_runs_no_statement(graph: grimp.ImportGraph) -> None:
    wrong = [
        f"{importer} imports {imported}"
        for importer, imported in imports(graph)
        if part(importer, 1) in SLICES
        and part(importer, 2).startswith(("http", "jobs"))
        and part(imported, 1) == part(importer, 1)
        and part(imported, 2).startswith("sql")
        and imported not in HTTP_SEES
    ]
    none_of(wrong)


def test_every_exception_is_needed(graph: grimp.ImportGraph) -> None:
    used = {imported for _, imported in imports(graph)}
    listed = SHOWN_BESIDES | APP_SEES | HTTP_SEES
    none_of(listed.keys() - used)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_stays_where_it_belongs(graph: grimp.ImportGraph, library: str) -> None:
    if library not in graph.modules:
        pytest.fail(f"nobody uses {library}; take it off the list")
    wrong = [
        module
        for module in sorted(graph.find_modules_that_directly_import(library))
        if not any(fnmatch(module, pattern) for pattern in LIBRARIES[library])
    ]
    none_of(wrong)


def test_every_module_is_a_slice_or_none_on_purpose(graph: grimp.ImportGraph) -> None:
    found = {part(m, 1) for m in graph.modules if m.startswith("kabao.")}
    assert found <= {*SLICES, *NO_SLICES, "sm2"}
