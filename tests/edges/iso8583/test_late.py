"""What comes after a batch was settled is noted for people, message by message."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kabao.app.pos import add_pos_jobs
from kabao.base.jobs import Jobs
from kabao.edges.iso8583 import sql_batches
from kabao.edges.iso8583.sql_batches import DifferenceRow

from .conftest import Pos
from .test_after import elsewhere


async def noted(pos: Pos) -> list[DifferenceRow]:
    """Of the only till's first batch."""
    async with pos.kabao.db.read() as conn:
        terminal = pos.world.north.terminal.removeprefix("ter_")
        return await sql_batches.differences(conn, terminal, 1)


@pytest.mark.row("C-05", "P-19")
async def test_a_reversal_after_the_settlement_is_noted(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 100, trace="000100")).code == "00"
    assert (await till.load(card, 500, trace="000101")).code == "00"
    assert (await till.buy(card, 50, trace="000102")).code == "00"
    assert (await till.reverse("000102", 50)).code == "00"
    till.uncount("debit", 50)
    assert (await till.settle()).code == "00"
    assert await noted(pos) == []
    for _ in range(2):
        assert (await till.reverse("000100", 100)).code == "00"
        assert (await till.reverse("000101", 500, processing="630000")).code == "00"
        assert (await till.reverse("000109", 5)).code == "00"
    assert await noted(pos) == [
        DifferenceRow(100, -1, "late", 100, None),
        DifferenceRow(101, 1, "late", 500, None),
    ]
    assert await pos.actors.balance(card) == (1_000, 1_000)


@pytest.mark.row("C-05")
async def test_a_sale_after_the_settlement_is_noted_once_it_is_looked_for(pos: Pos) -> None:
    """At a process that has not heard yet that the batch is settled."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 100)).code == "00"
    jobs = Jobs(pos.kabao.db)
    add_pos_jobs(pos.kabao, jobs)
    async with elsewhere(pos, till) as other:
        other.debit = till.debit
        assert (await other.settle()).code == "00"
        late = [await till.buy(card, 70, trace="000200"), await till.load(card, 30, trace="000201")]
        assert [sale.code for sale in late] == ["00", "00"]
    await jobs.tick_once("pos.check_settled")
    assert await noted(pos) == []
    pos.at.clock.advance(timedelta(minutes=2))
    for _ in range(2):
        await jobs.tick_once("pos.check_settled")
    assert await noted(pos) == [
        DifferenceRow(200, -1, "late", None, 70),
        DifferenceRow(201, 1, "late", None, 30),
    ]


@pytest.mark.row("C-05", "P-19")
async def test_what_came_late_and_was_reversed_is_no_difference(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    jobs = Jobs(pos.kabao.db)
    add_pos_jobs(pos.kabao, jobs)
    async with elsewhere(pos, till) as other:
        assert (await other.settle()).code == "00"
        assert (await till.buy(card, 70, trace="000200")).code == "00"
        assert (await till.buy(card, 30, trace="000201")).code == "00"
    pos.at.clock.advance(timedelta(minutes=2))
    await jobs.tick_once("pos.check_settled")
    assert [each.trace for each in await noted(pos)] == [200, 201]
    assert (await till.reverse("000200", 70, batch="000001")).code == "00"
    assert await noted(pos) == [DifferenceRow(201, -1, "late", None, 30)]


@pytest.mark.row("C-05")
async def test_a_line_in_either_direction_is_a_difference_of_its_own(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 100, trace="000100")).code == "00"
    till.credit = [100, 1]
    assert (await till.settle()).code == "95"
    await till.upload([(1, "000100", 100), (1, "000999", 5), (-1, "000999", 6)])
    assert (await till.end_upload()).code == "00"
    assert await noted(pos) == [
        DifferenceRow(100, -1, "host_only", None, 100),
        DifferenceRow(100, 1, "till_only", 100, None),
        DifferenceRow(999, -1, "till_only", 6, None),
        DifferenceRow(999, 1, "till_only", 5, None),
    ]
