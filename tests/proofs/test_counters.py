"""Counters under concurrency."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.proofs.ops import Counters

from . import make

MINUTE = timedelta(minutes=1)


@pytest.fixture
def counters(db: Database, tmp_path: Path, clock: FixedClock) -> Counters:
    return Counters(db, make.vault(tmp_path, clock), clock)


async def test_fifty_hits_at_once_are_counted_one_by_one(counters: Counters) -> None:
    hits = await asyncio.gather(
        *(counters.hit_now("pin.terminal", "ter_1", MINUTE, 7) for _ in range(50))
    )
    assert sum(hit.allowed for hit in hits) == 7
    assert sorted(hit.count for hit in hits) == [*range(1, 8), *[8] * 43]


async def test_a_window_begins_with_its_first_hit_and_ends(
    counters: Counters, clock: FixedClock
) -> None:
    first = await counters.hit_now("n", "s", MINUTE, 1)
    clock.advance(timedelta(seconds=59))
    again = await counters.hit_now("n", "s", MINUTE, 1)
    assert (first.allowed, again.allowed, again.until) == (True, False, first.until)
    clock.advance(timedelta(seconds=1))
    assert (await counters.hit_now("n", "s", MINUTE, 1)).allowed


async def test_a_clock_that_steps_back_opens_nothing(counters: Counters, clock: FixedClock) -> None:
    await counters.hit_now("n", "s", MINUTE, 1)
    clock.advance(timedelta(hours=-1))
    assert not (await counters.hit_now("n", "s", MINUTE, 1)).allowed


async def test_names_and_subjects_count_apart(counters: Counters) -> None:
    for name, subject in (("a", "bc"), ("ab", "c"), ("a", "b")):
        assert (await counters.hit_now(name, subject, MINUTE, 1)).allowed


async def test_a_rolled_back_hit_is_not_counted(counters: Counters, db: Database) -> None:
    async def hit_and_fail() -> None:
        async with db.transaction() as conn:
            await counters.hit(conn, "n", "s", MINUTE, 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await hit_and_fail()
    assert (await counters.hit_now("n", "s", MINUTE, 1)).allowed


async def test_looking_does_not_count_and_clearing_begins_anew(
    counters: Counters, db: Database, clock: FixedClock
) -> None:
    async with db.transaction() as conn:
        assert await counters.look(conn, "n", "s", 2) is None
        await counters.hit(conn, "n", "s", MINUTE, 2)
        stands = await counters.look(conn, "n", "s", 2)
        assert stands is not None
        assert (stands.count, stands.left) == (1, 1)
        await counters.clear(conn, "n", "s")
        assert await counters.look(conn, "n", "s", 2) is None
        await counters.hit(conn, "n", "s", MINUTE, 2)
        clock.advance(MINUTE)
        assert await counters.look(conn, "n", "s", 2) is None


async def test_the_table_tells_nothing_about_subjects(counters: Counters, db: Database) -> None:
    await counters.hit_now("phone", "13800000001", MINUTE, 1)
    async with db.read() as conn:
        row = await (await conn.execute("select subject from proofs.counter")).fetchone()
    assert row is not None
    assert len(row[0]) == 32
