"""The router on a real database: limits to the fen, breakers that all processes share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database, fetch_value
from kabao.base.errors import KabaoError
from kabao.base.ids import SequentialIds
from kabao.funding.model.collections import (
    CHANNEL_LIMIT,
    CHANNEL_NOT_AVAILABLE,
    CHANNEL_NOT_CONFIGURED,
    Outcome,
)
from kabao.funding.model.health import ChangeKind, Circuit
from kabao.funding.model.routing import PassedOver

from .routes import ASK, BY, Site


@pytest.fixture
async def site(db: Database, clock: FixedClock, tmp_path: Path) -> Site:
    return Site(db, clock, SequentialIds(), tmp_path)


@pytest.fixture
async def other(site: Site, clock: FixedClock, tmp_path: Path) -> AsyncIterator[Site]:
    """Another process on the same database."""
    db = Database(site.db.url)
    await db.open()
    yield Site(db, clock, SequentialIds(1), tmp_path)
    await db.close()


def tell(site: Site, channel: str, outcome: Outcome, times: int = 1) -> None:
    for _ in range(times):
        now_us = site.clock.now_us()
        site.router.tell(channel, outcome, 100, sent_us=now_us, begins=True)


def circuit(site: Site, channel: str) -> Circuit:
    return site.watch.of(channel).circuit


async def test_the_cheaper_channel_is_taken_and_the_other_explained(site: Site) -> None:
    dear, cheap = await site.add("dear"), await site.add("cheap", fee_ppm=5500)
    ident = site.ids.new()
    async with site.db.transaction() as conn:
        choice = await site.router.choose(conn, ASK, collection=ident, tried=())
    async with site.db.read() as conn:
        (record,) = await site.router.records(conn, ident)
    assert (choice.channel, choice.record, record.channel) == (cheap, record.id, cheap)
    assert [(line.channel, line.passed_over) for line in record.lines] == [
        (cheap, None),
        (dear, PassedOver.COST),
    ]
    assert [line.fee_mfen for line in record.lines] == [55_000, 60_000]


async def test_without_any_channel(site: Site) -> None:
    with pytest.raises(KabaoError) as none:
        await site.choose()
    assert (none.value.code, none.value.rule) == (CHANNEL_NOT_CONFIGURED, "S-07")


async def test_of_a_flood_the_first_refused_are_kept(site: Site) -> None:
    for count in (60, 1):
        for _ in range(count):
            with pytest.raises(KabaoError):
                await site.choose()
        await site.router.hand_on()
    async with site.db.read() as conn:
        assert len(await site.router.refused(conn, None, None, None, 200)) == 51


async def test_large_sums_go_to_the_bank(site: Site) -> None:
    third, bank = await site.add("third"), await site.add("bank", kind="bank", fee_ppm=6001)
    assert await site.choose(199_999) == third
    assert await site.choose(200_000) == bank
    assert await site.choose(200_000, bank) == third


# --- daily limits -----------------------------------------------------------------------


async def used(site: Site, channel: str) -> int:
    async with site.db.read() as conn:
        return await site.router.used_fen(conn, channel)


async def test_a_daily_limit_is_exact_among_processes(site: Site, other: Site) -> None:
    """40 at once from two processes for a limit of 25: 25 go there, 15 to the next."""
    small = await site.add("small", daily_fen=250_099, priority=1)
    large = await site.add("large")
    await other.refresh()
    chosen = await asyncio.gather(*(s.choose() for s in [site, other] * 20))
    assert (chosen.count(small), chosen.count(large)) == (25, 15)
    assert (await used(site, small), await used(site, large)) == (250_000, 150_000)
    with pytest.raises(KabaoError) as over:
        await site.choose(10_000, large)
    assert (over.value.code, over.value.rule) == (CHANNEL_NOT_AVAILABLE, "S-16")
    assert await site.choose(99, large) == small


async def test_a_new_day_begins_with_nothing(site: Site, clock: FixedClock) -> None:
    await site.add("only", daily_fen=10_000)
    await site.choose()
    with pytest.raises(KabaoError) as over:
        await site.choose()
    assert (over.value.code, over.value.rule) == (CHANNEL_LIMIT, "S-09")
    clock.advance(timedelta(days=1))
    await site.choose()


async def choose_and_fail(site: Site) -> None:
    async with site.db.transaction() as conn:
        await site.router.choose(conn, ASK, collection=site.ids.new(), tried=())
        raise ZeroDivisionError


async def test_what_is_rolled_back_takes_nothing(site: Site) -> None:
    only = await site.add("only", daily_fen=10_000)
    with pytest.raises(ZeroDivisionError):
        await choose_and_fail(site)
    assert await used(site, only) == 0


async def test_people_set_limits_and_leave_a_record(site: Site) -> None:
    only = await site.add("only", daily_fen=10_000)
    async with site.db.transaction() as conn:
        await site.router.set_limit(conn, only, 20_000, BY, "festival")
    await site.choose(20_000)
    async with site.db.transaction() as conn:
        await site.router.set_limit(conn, only, None, BY, "more")
        changes = await site.router.changes(conn, only, 10)
    await site.choose(500_000)
    assert [(c.kind, c.facts, c.by_name, c.reason) for c in changes] == [
        (ChangeKind.LIMIT_SET, {"before": 20_000, "after": None}, "operator", "more"),
        (ChangeKind.LIMIT_SET, {"before": 10_000, "after": 20_000}, "operator", "festival"),
    ]


async def test_a_limit_is_lowered_by_itself_and_whole_again(
    site: Site, other: Site, clock: FixedClock
) -> None:
    only = await site.add("only", daily_fen=10_000)
    await other.refresh()
    tell(site, only, Outcome.SUCCESS, 100)
    for _ in range(4):  # never five in a row: the breaker stays closed
        tell(site, only, Outcome.UNKNOWN, 3)
        tell(site, only, Outcome.SUCCESS)
    await site.refresh()
    assert not site.watch.of(only).standing.lowered
    for _ in range(3):
        tell(site, only, Outcome.UNKNOWN, 3)
        tell(site, only, Outcome.SUCCESS)
    await site.refresh()
    with pytest.raises(KabaoError) as unaware:  # the other does not know it yet
        await other.choose(5_001)
    assert unaware.value.code is CHANNEL_LIMIT
    await other.refresh()
    for one in (site, other):
        assert one.watch.of(only).standing.lowered
        assert circuit(one, only) is Circuit.CLOSED
        with pytest.raises(KabaoError) as over:
            await one.choose(5_001)
        assert over.value.code is CHANNEL_LIMIT
    await other.choose(5_000)
    clock.advance(timedelta(hours=2))
    await site.refresh()
    await site.choose(5_000)
    async with site.db.read() as conn:
        changes = await site.router.changes(conn, only, 10)
    assert [c.kind for c in changes] == [ChangeKind.LIMIT_RESTORED, ChangeKind.LIMIT_LOWERED]


# --- breakers ---------------------------------------------------------------------------


async def test_a_breaker_opens_here_at_once_and_there_within_a_second(
    site: Site, other: Site
) -> None:
    ill, well = await site.add("ill", priority=1), await site.add("well")
    await other.refresh()
    tell(site, ill, Outcome.SUCCESS, 100)
    tell(site, ill, Outcome.UNREACHABLE, 4)
    assert await site.choose() == ill
    tell(site, ill, Outcome.UNREACHABLE)
    assert (await site.choose(), await other.choose()) == (well, ill)
    await site.refresh()
    await other.refresh()
    assert await other.choose() == well
    assert circuit(other, ill) is Circuit.OPEN
    async with site.db.read() as conn:
        (change,) = await site.router.changes(conn, ill, 10)
        case = await fetch_value(conn, "select subject from cases.case")
    assert change.kind is ChangeKind.OPENED
    assert change.facts == {"failed": 5, "calls": 105, "success_ppm": 958_400}
    assert case == f"chn_{ill}"


async def test_failures_of_several_processes_add_up(site: Site, other: Site) -> None:
    ill = await site.add("ill")
    await other.refresh()
    for one in (site, other):
        tell(one, ill, Outcome.UNKNOWN, 3)
        await one.refresh()
    await site.refresh()
    assert circuit(site, ill) is circuit(other, ill) is Circuit.OPEN


async def test_one_probe_at_a_time_among_processes(
    site: Site, other: Site, clock: FixedClock
) -> None:
    ill, well = await site.add("ill"), await site.add("well", fee_ppm=9000)
    tell(site, ill, Outcome.UNREACHABLE, 5)
    await site.refresh()
    await other.refresh()
    for _ in range(3):
        clock.advance(timedelta(seconds=60))
        chosen = await asyncio.gather(*(s.choose() for s in [site, other] * 8))
        assert (chosen.count(ill), chosen.count(well)) == (1, 15)
        clock.advance(timedelta(seconds=1))
        tell(other, ill, Outcome.TAKEN)
        await other.refresh()
        await site.refresh()
    assert circuit(site, ill) is circuit(other, ill) is Circuit.CLOSED
    async with site.db.read() as conn:
        changes = await site.router.changes(conn, ill, 10)
    turns = [c.kind for c in changes if c.kind in {ChangeKind.OPENED, ChangeKind.CLOSED}]
    assert turns == [ChangeKind.CLOSED, ChangeKind.OPENED]
    assert not site.watch.of(ill).standing.lowered
    assert site.watch.of(ill).success == 990_000


async def test_a_probe_of_a_dead_process_is_given_up(site: Site, clock: FixedClock) -> None:
    ill = await site.add("ill")
    tell(site, ill, Outcome.UNREACHABLE, 5)
    await site.refresh()
    clock.advance(timedelta(seconds=60))
    assert await site.choose() == ill
    await site.refresh()
    with pytest.raises(KabaoError) as none:
        await site.choose()
    assert (none.value.code, none.value.rule) == (CHANNEL_NOT_AVAILABLE, "T-22")
    clock.advance(timedelta(seconds=60))
    assert await site.choose() == ill


async def test_what_was_told_survives_a_database_that_is_away(site: Site) -> None:
    ill = await site.add("ill")
    tell(site, ill, Outcome.UNREACHABLE, 5)
    await site.db.close()
    with pytest.raises(Exception):  # noqa: B017, PT011 -- whatever the pool says
        await site.watch.refresh()
    assert circuit(site, ill) is Circuit.OPEN


async def test_minutes_are_shared_counted_once_and_forgotten(
    site: Site, other: Site, clock: FixedClock
) -> None:
    one = await site.add("one")
    tell(site, one, Outcome.SUCCESS, 3)
    for _ in range(2):
        await site.refresh()
        await other.refresh()
        assert site.watch.lately(one, 5) == other.watch.lately(one, 5)
    assert other.watch.lately(one, 5).succeeded == 3
    clock.advance(timedelta(minutes=6))
    assert other.watch.lately(one, 5).succeeded == 0
    clock.advance(timedelta(days=1))
    await site.watch.forget()
    async with site.db.read() as conn:
        assert await fetch_value(conn, "select count(*) from funding.channel_minute") == 0
