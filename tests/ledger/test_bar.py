"""A reversal before, after and at the same time as its original (F-7)."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_value, quoted_array
from kabao.base.errors import KEY_REUSED, KabaoError
from kabao.ledger.model import Decision, Moment, OperationState
from kabao.ledger.ops import Ledger
from tests.ledger.make import COMPANY, IDS, Do, look, open_roots, pay, replaced, running


async def bar(db: Database, ledger: Ledger, key: str) -> str:
    """Bar a key; "late" when the original was first."""
    try:
        async with db.transaction() as conn:
            await ledger.bar(conn, COMPANY, key, IDS.new(), "null")
    except psycopg.errors.UniqueViolation:
        return "late"
    return "barred"


async def test_before_the_original(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as one, running(db, clock) as two:
        (root,) = await open_roots(db, fen=100, ledger=one)
        assert await bar(db, one, "k") == "barred"
        original = pay(root, 10, key="k")
        answers = [await ledger.post(original) for ledger in (one, two, one)]
        assert answers == [{"status": "refused"}] * 3
        with pytest.raises(KabaoError) as refused:
            await two.post(replaced(original, mac=b"other"))
        assert refused.value.code is KEY_REUSED
        assert (await look(db, one, root)).principal_fen == 100
        async with db.read() as conn:
            kept = await one.operation(conn, COMPANY, "k")
    assert kept is not None
    assert (kept.state, kept.id) == (OperationState.TOMBSTONE, original.operation)


async def test_after_the_original(db: Database, clock: FixedClock) -> None:
    async with running(db, clock) as ledger:
        (root,) = await open_roots(db, fen=100, ledger=ledger)
        await ledger.post(pay(root, 10, key="k"))
        assert await bar(db, ledger, "k") == "late"
        assert await ledger.post(pay(root, 10, key="k")) == {"status": "captured", "left": 90}


async def test_at_the_same_time(db: Database, clock: FixedClock) -> None:
    """Exactly one of the two is first, and both know which."""
    async with running(db, clock) as one, running(db, clock) as two:
        (root,) = await open_roots(db, fen=10_000, ledger=one)
        seen = set()
        for n in range(60):
            key = f"k{n}"

            async def original(key: str = key) -> str:
                return str((await one.post(pay(root, 10, key=key)))["status"])

            async def reversal(key: str = key, n: int = n) -> str:
                await asyncio.sleep(n % 20 / 4_000)
                return await bar(db, two, key)

            seen.add(tuple(await asyncio.gather(original(), reversal())))
        assert seen <= {("captured", "late"), ("refused", "barred")}
        now = await look(db, one, root)
        async with db.read() as conn:
            kept = "select count(*) from ledger.operation where result like '%captured%'"
            captured = await fetch_value(conn, kept)
    assert now.principal_fen == 10_000 - 10 * captured


async def test_a_late_original_in_two_processes_has_one_answer(
    db: Database, clock: FixedClock
) -> None:
    """Of a card nobody knows, so that no lock orders the two."""
    rows: list[Any] = []

    async def write(conn: Any, found: Any) -> None:
        await conn.execute(
            "insert into public.note select unnest(%s::text[])", [quoted_array(found)]
        )

    class Late(Do, frozen=True, kw_only=True):
        def decide_late(self, moment: Moment) -> Decision:
            return Decision(result={"id": self.operation}, rows=((write, self.operation),))

    async with db.transaction() as conn:
        await conn.execute("create table public.note (id text)")
    async with running(db, clock) as one, running(db, clock) as two:
        for n in range(20):
            assert await bar(db, one, f"k{n}") == "barred"
            asked = [
                ledger.post(
                    Late(
                        company=COMPANY,
                        operation=IDS.new(),
                        key=f"k{n}",
                        mac=b"m",
                        run=pay(None, 1).run,
                    )
                )
                for ledger in (one, two)
            ]
            answers = await asyncio.gather(*asked)
            assert answers[0] == answers[1]
            rows.append(answers[0]["id"])
        async with db.read() as conn:
            kept = await fetch_value(conn, "select array_agg(id) from public.note")
    assert sorted(kept) == sorted(rows)
