"""Books that are as they should be, and how they are judged."""

from __future__ import annotations

import ast
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

import kabao.audit
from kabao.audit.model import Anchor, Entry, Line, Report, name_of, total
from kabao.audit.ops import audit
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from tests.audit.books import LIMITS, Books, failing
from tests.audit.make import town
from tests.ledger.make import open_roots, pay, running


def line_of(report: Report, text: str) -> Line:
    (found,) = [line for line in report.lines if text in line.text]
    return found


def test_sound_books(books: Books) -> None:
    report = books.audit()
    assert report.holds and not failing(report)
    assert {line.id for line in report.lines} == {f"I-{n}" for n in range(1, 10)}
    assert line_of(report, "debits one account").figures == {
        "transfers": 46,
        "debits_fen": 174_818,
        "credits_fen": 174_818,
    }
    (one,) = report.liabilities
    assert one.off_fen == 0 and one.loaded_fen == 100_010 and one.bonus_fen == 5_000
    assert one.closing_fen == books.one("select sum(principal_fen + bonus_fen) from ledger.root")
    assert total(report.liabilities, "CNY").closing_fen == one.closing_fen
    # The report is its own anchor, also as it is written to a file.
    anchor = msgspec.json.decode(msgspec.json.encode(report), type=Anchor)
    assert books.audit(anchor).holds


def test_a_roll_forward_from_a_day_on(books: Books) -> None:
    (whole,) = books.audit().liabilities
    (second,) = books.audit(since=date(2026, 11, 23)).liabilities
    assert second.off_fen == 0 and second.closing_fen == whole.closing_fen
    assert (second.opening_fen, second.loaded_fen, second.lost_fen) == (95_705, 0, 250)
    # Four payments of 300, and an offline sale of all a card had and 250 more.
    assert second.redeemed_fen == -1_200 - 20_003 - 250


def test_progress_is_told(books: Books) -> None:
    seen: list[tuple[int, int, str]] = []
    books.audit(progress=lambda done, steps, what: seen.append((done, steps, what)))
    assert [done for done, _, _ in seen] == list(range(len(seen)))
    assert {steps for _, steps, _ in seen} == {len(seen)}
    assert "digests of 2026-11-22" in {what for _, _, what in seen}


def test_a_role_that_may_only_read_is_enough(books: Books) -> None:
    role = f"auditor_{books.url.rpartition('/')[2]}"
    schemas = (
        "ledger, payments, tenders, topups, disputes, clearing, evidence, cards, merchants,"
        " kiosks, reconciliation, base"
    )
    try:
        for statement in (
            f"create role {role} login password 'x'",
            f"grant usage on schema {schemas} to {role}",
            f"grant select on all tables in schema {schemas} to {role}",
        ):
            books.run(statement)
        place = books.url.rpartition("@")[2]
        assert books.audit(url=f"postgresql://{role}:x@{place}").holds
    finally:
        books.run(f"drop owned by {role}")
        books.run(f"drop role {role}")


def test_a_shadow_function_judges_nothing(books: Books) -> None:
    """Whoever owns the database can also define functions that say all is well."""
    books.run("alter database " + books.url.rpartition("/")[2] + " set search_path = public")
    books.run(
        "create function public.sum(bigint) returns bigint language sql as 'select 0::bigint'"
    )
    books.do("update ledger.root set principal_fen = principal_fen + 1")
    assert "I-2" in failing(books.audit())


async def test_a_database_that_is_not_there() -> None:
    with pytest.raises(psycopg.OperationalError):
        await audit("postgresql://nobody@127.0.0.1:1/none")


def test_the_auditor_knows_no_slice() -> None:
    folder = Path(kabao.audit.__file__).parent
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            ours = [name for name in names if name.startswith("kabao")]
            assert all(name.startswith("kabao.audit") for name in ours), file


async def test_an_audit_in_the_middle_of_trade(db: Database, clock: FixedClock) -> None:
    """One snapshot: nothing half-done is seen, and nobody waits for the auditor."""
    async with town(db, clock, cards=8) as there:
        await there.trade()
        roots = [await there.root(n) for n in range(8)]
        for _ in range(3):
            asked = [there.tills[0].pay(root, 1) for root in roots for _ in range(20)]
            trading = [there.ledger.post(command) for command in asked]
            report = await audit(db.url, limits=LIMITS)
            assert not failing(report)
            for one in trading:
                await one


async def test_memory_stays_flat(db: Database, clock: FixedClock) -> None:
    """Six times the transfers, the same memory."""
    async with running(db, clock) as ledger:
        roots = await open_roots(db, 200, fen=1_000_000, ledger=ledger)
        peaks = []
        for payments in (4_000, 20_000):
            for start in range(0, payments, 1_000):
                clock.advance(timedelta(seconds=1))
                for one in [
                    ledger.post(pay(roots[n % 200], 1)) for n in range(start, start + 1000)
                ]:
                    await one
            tracemalloc.start()
            report = await audit(db.url)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            # These payments of plain commands have no rows: only the books are judged.
            assert set(failing(report)) <= {"I-3", "I-7"}
    assert peaks[1] < 1.2 * peaks[0] + 500_000


def test_names() -> None:
    assert name_of({"root": "a", "seq": 3, "writer": 1, "batch": 2, "of_all": 9}) == (
        "transfer a/3, batch 1/2"
    )
    assert name_of({"payment": "p", "root": None, "detail": "why"}) == "payment p: why"
    assert Entry("k", "captured").verb == "pay"
