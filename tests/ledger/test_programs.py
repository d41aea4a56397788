"""Random programs of loads, payments, holds, captures, voids, refunds, reversals and
transfers: the platform and a small pure model agree, and money is conserved.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from kabao.audit.ops import audit
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.ledger.lots import derive
from tests.ledger import make
from tests.ledger.make import running
from tests.ledger.programs import CARDS, PROGRAMS, Play, Program
from tests.ledger.story import DatabaseStage, MemoryStage

ON_A_DATABASE = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # what fails, shrinks in memory
    deadline=None,
)


def clock_at_ten() -> FixedClock:
    return FixedClock(datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai")))


def check_in_memory(program: Program) -> None:
    clock = clock_at_ten()
    roots = [make.root() for _ in range(CARDS)]
    stage = MemoryStage(clock, roots)
    play = Play(stage, clock, program, roots)
    asyncio.run(play.run())
    _check_lots(play, stage)
    _check_conservation(play, stage)


def _check_lots(play: Play, stage: MemoryStage) -> None:
    """What is left of each load, derived from nothing but the transfers."""
    for number, root in enumerate(play.roots):
        left = stage.memory.left(root.id, "fifo")
        found = [[one.principal_fen, one.bonus_fen] for one in left]
        assert found == play.model.cards[number].lots
        history = stage.memory.transfers_of(root.id)
        derived = derive([one.lot for one in left], history, "fifo")
        assert all(p.lot is not None for p in derived.spent + derived.returned)


def _check_conservation(play: Play, stage: MemoryStage) -> None:
    """What cards hold is what came less what went, and every house account ties."""
    held = sum(root.balance_fen for root in stage.memory.roots.values())
    flowed = sum(
        t.amount_fen * ((t.debit >= 10) - (t.credit >= 10)) for t in stage.memory.transfers
    )
    assert held == flowed == play.model.came_from_outside
    for root in stage.memory.roots.values():
        opened = [h for h in stage.memory.holds.values() if h.root == root.id and h.state == 0]
        assert sum(h.principal_fen for h in opened) == root.principal_held_fen
        assert sum(h.bonus_fen for h in opened) == root.bonus_held_fen


@given(PROGRAMS)
@settings(max_examples=300)
def test_model_and_platform_agree(program: Program) -> None:
    check_in_memory(program)


@pytest.mark.proof
@given(PROGRAMS)
@settings(max_examples=10_000)
def test_model_and_platform_agree_ten_thousand_times(program: Program) -> None:
    check_in_memory(program)


async def _on_a_database(db: Database, program: Program) -> None:
    clock = clock_at_ten()
    roots = [make.root() for _ in range(CARDS)]
    async with running(db, clock) as ledger:
        stage = DatabaseStage(db, ledger, roots)
        await stage.open()
        await Play(stage, clock, program, roots).run()


async def _check_on_a_database(url: str, program: Program) -> None:
    db = Database(url, max_size=4)
    await db.open()
    try:
        await _on_a_database(db, program)
        broken = [line for line in (await audit(url)).lines if not line.holds]
        assert broken == []
    finally:
        await db.close()


@given(program=PROGRAMS)
@settings(ON_A_DATABASE, max_examples=15)
def test_and_on_a_real_database(database_url: str, program: Program) -> None:
    """One database for all programs: the audit judges the lot of them."""
    asyncio.run(_check_on_a_database(database_url, program))


@pytest.mark.proof
@given(program=PROGRAMS)
@settings(ON_A_DATABASE, max_examples=1_000)
def test_and_on_a_real_database_a_thousand_times(database_url: str, program: Program) -> None:
    asyncio.run(_check_on_a_database(database_url, program))
