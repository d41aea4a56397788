"""Bring a database to this version's schema.

`python -m kabao.app.migrate` is the developer's door:

    check    what the tables say and the migrations do not
    freeze   write the first revision as SQL (before the first release only)
    revise   write the next revision: `revise "cards carry a colour"`
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa

from kabao.app.version import CODE_VERSION
from kabao.base.errors import KabaoError
from kabao.base.migrations import Report, differences, freeze, revise
from kabao.base.migrations import migrate as migrate_database
from kabao.base.postgres import EmbeddedPostgres
from kabao.base.schema import metadata

TABLES = (
    "kabao.base.migrations.tables",
    "kabao.base.tables",
    "kabao.base.web.tables",
    "kabao.policy.tables",
    "kabao.org.tables",
    "kabao.vault.tables",
    "kabao.ledger.tables",
    "kabao.access.tables",
    "kabao.proofs.tables",
    "kabao.cases.tables",
    "kabao.merchants.tables",
    "kabao.customers.tables",
    "kabao.cards.tables",
    "kabao.cards.tables_stock",
    "kabao.cards.tables_watch",
    "kabao.paycodes.tables",
    "kabao.risk.tables",
    "kabao.funding.tables",
    "kabao.funding.tables_routing",
    "kabao.topups.tables",
    "kabao.payments.tables",
    "kabao.payments.tables_offline",
    "kabao.clearing.tables",
    "kabao.clearing.tables_payouts",
    "kabao.clearing.tables_deposits",
    "kabao.tenders.tables",
    "kabao.kiosks.tables",
    "kabao.evidence.tables",
    "kabao.notices.tables",
    "kabao.disputes.tables",
    "kabao.reports.tables",
    "kabao.reconciliation.tables",
    "kabao.edges.iso8583.tables",
)
"""The modules whose tables make up the schema, from the bottom up."""


def tables() -> sa.MetaData:
    """The tables of every slice that is built."""
    for module in TABLES:
        slice_, _, name = module.rpartition(".")
        if importlib.util.find_spec(slice_) and importlib.util.find_spec(f"{slice_}.{name}"):
            importlib.import_module(module)
    return metadata


def migrate(url: str) -> Report:
    """Run what is missing. Raises `schema_newer` or `unavailable`."""
    return migrate_database(url, tables(), code_version=CODE_VERSION)


def main(arguments: list[str]) -> int:
    """The developer's door, on a database of its own that is thrown away."""
    verb, *rest = arguments or ["check"]
    if verb == "freeze":
        print(freeze(tables(), code_version=CODE_VERSION))
        return 0
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder), settings={"shared_buffers": "128MB"}) as postgres:
            migrate(postgres.url)
            if verb == "revise" and rest:
                written = revise(
                    postgres.url, tables(), code_version=CODE_VERSION, message=" ".join(rest)
                )
                print(written or "Nothing differs.")
                return 0
            found = differences(postgres.url, tables())
            print("\n".join(found) or "The migrations say what the tables say.")
            return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KabaoError as refused:
        sys.exit(str(refused))
