"""Every kind of bill with known errors: all are found and classed, none is invented (F-17)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import IO, Any

import pytest

from kabao.adapters.figures import local
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.reconciliation.model.lines import Expected
from kabao.reconciliation.model.runs import RunState
from kabao_sandbox.bulk.command import Written, write
from kabao_sandbox.bulk.forms import FORMS
from tests.adapters.readers import READERS

from .world import COMPANY, SUBJECT, Bench

DAY = date(2026, 11, 22)
SOURCES = {"camt": "bank", "table": "bank", "legacy": "legacy"}
"""By whose rounds a kind of bill is played; the others are channels'."""

BY_THEIR_NUMBER = {"acquirer", "legacy"}
"""Kinds that are paired by their numbers: of what failed we know it, too."""

OURS = "kind, our_no, our_sub_no, their_no, amount_fen, fee_mfen, currency, at_us, day, status"


def known(books: Path, kind: str) -> Iterator[tuple[object, ...]]:
    """The books' file as rows of ours; the day is the source's own."""
    late_us = (24 - FORMS[kind].ends_hour) * 3_600 * 1_000_000
    with books.open(newline="") as file:
        for one in csv.DictReader(file):
            at_us = int(one["at_us"])
            named = one["status"] == "done" or kind in BY_THEIR_NUMBER
            yield (
                "refund" if one["refund_no"] else "pay", one["no"], one["refund_no"],
                one["number"] if named else "", int(one["amount_fen"]), int(one["fee_mfen"]),
                one["currency"], at_us, local(at_us + late_us, "%Y-%m-%d"), one["status"],
            )  # fmt: skip


def opened(written: Written) -> IO[bytes]:
    return Path(written.bill).open("rb")


def truth_of(written: Written) -> Any:
    return json.loads(Path(written.truth).read_bytes())


async def judged(bench: Bench, kind: str, folder: Path, rows: int, errors: int) -> None:
    """Reconcile a day of so many rows and compare what is found with what was planted."""
    written = write(kind, folder, rows, errors, DAY, seed=rows + errors)
    truth = truth_of(written)
    await bench.ours.open()
    async with (
        bench.db.transaction() as conn,
        conn.cursor() as cursor,
        cursor.copy(f"copy ours ({OURS}) from stdin") as copy,
    ):
        for row in known(Path(written.books), kind):
            await copy.write_row(row)
    reads, subject = READERS[kind]
    reconciliation, name = bench.reconciliation, bench.ours.name
    expected = Expected(subject, DAY)
    with opened(written) as file:
        tried = await reconciliation.try_out(name, SUBJECT, COMPANY, DAY, reads(file, expected))
    with opened(written) as file:
        run = await reconciliation.take(name, SUBJECT, COMPANY, DAY, reads(file, expected))
    run = await reconciliation.finish(run.id)
    assert (run.state, run.lines) == (RunState.FINISHED, truth["rows"])
    planted = {(one["flaw"], one["number"]) for one in truth["errors"]}
    assert len(planted) == errors
    async with bench.db.read() as conn:
        rows_found = await conn.execute(
            "select class, their_no from reconciliation.break where run = %s", [run.id]
        )
        found = await rows_found.fetchall()
    assert set(found) == planted
    assert len(found) == run.breaks == errors
    assert tried.run.result_digest == run.result_digest is not None, "the same input, other bytes"


@pytest.mark.parametrize("kind", READERS)
async def test_all_errors_are_found_and_none_invented(
    kind: str, db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    await judged(Bench(db, clock, SOURCES.get(kind, "channel")), kind, tmp_path, 2_000, 80)


@pytest.mark.proof
@pytest.mark.parametrize("kind", READERS)
async def test_all_of_a_thousand_errors_in_a_hundred_thousand_rows_are_found(
    kind: str, db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    await judged(Bench(db, clock, SOURCES.get(kind, "channel")), kind, tmp_path, 100_000, 1_000)
