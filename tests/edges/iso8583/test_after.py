"""What follows a sale at a till: repeated, doubled, at the wrong till, after a crash."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kabao.app.pos import build_host
from kabao.base.web.server import listen

from .conftest import Pos
from .till import Till

VOID = ("0200", "200000", "00", "23")
REFUND = ("0220", "200000", "00", "25")
COMPLETION = ("0200", "000000", "06", "20")
CANCEL = ("0100", "200000", "06", "11")
COMPLETION_VOID = ("0200", "200000", "06", "21")


@contextlib.asynccontextmanager
async def elsewhere(pos: Pos, till: Till) -> AsyncIterator[Till]:
    """The same terminal, connected to another host."""
    host, sock = build_host(pos.kabao), listen("127.0.0.1", 0)
    await host.start(sock)
    other = pos.raw(till.terminal_no, till.merchant_no, till.tmk)
    other.port = sock.getsockname()[1]
    other.pik, other.mak, other.batch = till.pik, till.mak, till.batch
    await other.connect()
    try:
        yield other
    finally:
        await other.close()
        await host.stop()


async def reopen(pos: Pos, trace: str) -> None:
    """As if the process had died between booking a message and answering it."""
    async with pos.kabao.db.transaction() as conn:
        opened = await conn.execute(
            "update pos.entry set state = 'open', reply = null, subject = null where trace = %s",
            [int(trace)],
        )
        assert opened.rowcount == 1


@pytest.mark.row("P-19")
async def test_every_verb_that_is_doubled_is_answered_twice_alike(pos: Pos) -> None:
    """On one connection and at two hosts at once, and once more afterwards."""
    till, cards = await pos.till(), [await pos.card(1_000) for _ in range(4)]
    sale = await till.buy(cards[0], 100, trace="000100")
    refunded = await till.buy(cards[1], 100)
    held = await till.hold(cards[2], 100)
    freed = await till.hold(cards[3], 100)
    assert sale.code == refunded.code == held.code == freed.code == "00"
    cases: list[tuple[tuple[str, str, str, str], dict[str, Any]]] = [
        (VOID, {"original": "000100"}),
        (REFUND, {"rrn": refunded.rrn}),
        (COMPLETION, {"rrn": held.rrn}),
        (COMPLETION_VOID, {"rrn": held.rrn}),
        (CANCEL, {"rrn": freed.rrn}),
    ]
    async with elsewhere(pos, till) as other:
        for kind, named in cases:
            trace = till.next()
            twice = [who.later(*kind, 100, trace=trace, **named) for who in (till, other)]
            answers = [
                *await asyncio.gather(*twice),
                await other.later(*kind, 100, trace=trace, **named),
            ]
            assert [a.code for a in answers] == ["00"] * 3, kind
            assert len({a.fields[37] for a in answers}) == 1
        loads = [who.load(cards[0], 500, trace="000900") for who in (till, other)]
        assert [a.code for a in await asyncio.gather(*loads)] == ["00", "00"]
        offs = [who.sign_off() for who in (till, till, other)]
        assert [a.code for a in await asyncio.gather(*offs)] == ["00"] * 3
    assert await pos.actors.balance(cards[0]) == (1_500, 1_500)
    for card in cards[1:]:
        assert await pos.actors.balance(card) == (1_000, 1_000)


@pytest.mark.row("P-19")
@pytest.mark.parametrize("verb", ["void", "refund", "completion", "cancel", "completion void"])
async def test_what_was_booked_before_a_crash_is_answered_and_settled(pos: Pos, verb: str) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    if verb in {"void", "refund"}:
        first = await till.buy(card, 300, trace="000100")
        kind = VOID if verb == "void" else REFUND
        named = {"original": "000100"} if verb == "void" else {"rrn": first.rrn}
    else:
        first = await till.hold(card, 300)
        kind = {"completion": COMPLETION, "cancel": CANCEL}.get(verb, COMPLETION_VOID)
        named = {"rrn": first.rrn}
        if verb == "completion void":
            assert (await till.complete(300, rrn=first.rrn)).code == "00"
    done = await till.later(*kind, 300, trace="000200", **named)
    assert done.code == "00"
    await reopen(pos, "000200")
    again = await till.later(*kind, 300, trace="000200", **named)
    assert (again.code, again.rrn, again.available) == ("00", done.rrn, done.available)
    side = {"completion": till.debit, "cancel": None}.get(verb, till.credit)
    if side is not None:
        side[0] += 300
        side[1] += 1
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-06")
async def test_a_cancel_sets_only_holds_free_and_only_in_their_store(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(2_000)
    neighbour, abroad = await pos.till(fresh=True), await pos.till(pos.world.south)
    sale = await till.buy(card, 300, trace="000100")
    assert (await till.cancel(300, rrn=sale.rrn)).code == "22"
    assert (await neighbour.cancel(300, rrn=sale.rrn)).code == "22"
    held = await till.hold(card, 400)
    assert (await abroad.cancel(400, rrn=held.rrn)).code == "22"
    assert (await abroad.complete(400, rrn=held.rrn)).code == "22"
    assert (await neighbour.complete(400, rrn=held.rrn)).code == "00"
    assert (await neighbour.cancel(400, rrn=held.rrn)).code == "22"
    other = await till.hold(card, 500)
    assert (await neighbour.cancel(500, rrn=other.rrn)).code == "00"
    assert await pos.actors.balance(card) == (1_300, 1_300)


@pytest.mark.row("P-19")
async def test_a_void_is_for_sales_of_the_batch_that_is_open(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(2_000)
    sale = await till.buy(card, 300)
    held = await till.hold(card, 400)
    assert (await till.later(*VOID, 400, rrn=held.rrn)).code == "22"
    assert (await till.later(*VOID, 300, rrn=sale.rrn, trace="000300")).code == "00"
    second = await till.buy(card, 300)
    till.credit = [300, 1]
    assert (await till.settle()).code == "00"
    assert (await till.sign_in()).code == "00"
    assert (await till.later(*VOID, 300, rrn=second.rrn)).code == "22"
    assert (await till.refund(second.rrn, 300)).code == "00"


@pytest.mark.row("P-06")
async def test_a_completion_is_undone_by_its_own_till_with_what_it_took(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    neighbour = await pos.till(fresh=True)
    held = await till.hold(card, 400)
    assert (await till.later(*COMPLETION_VOID, 400, rrn=held.rrn)).code == "22"
    assert (await till.complete(250, rrn=held.rrn, trace="000200")).code == "00"
    assert (await neighbour.later(*COMPLETION_VOID, 250, rrn=held.rrn)).code == "22"
    assert (await till.later(*COMPLETION_VOID, 400, rrn=held.rrn)).code == "13"
    assert (await till.later(*COMPLETION_VOID, 250, original="000200")).code == "00"
    assert (await till.later(*COMPLETION_VOID, 250, original="000200")).code == "22"
    till._count(till.credit, 250)
    assert (await till.settle()).code == "00"
    assert await pos.actors.balance(card) == (1_000, 1_000)
