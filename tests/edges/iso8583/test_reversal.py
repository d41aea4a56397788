"""One place, one effect; and what a reversal finds there, whatever it says it undoes."""

from __future__ import annotations

import pytest

from kabao.audit.ops import audit
from kabao.base.errors import KEY_REUSED, Code
from kabao.edges.iso8583 import outcomes
from kabao.edges.iso8583.model import Outcome
from kabao.ledger.model import BARRED, STALE_ROOT

from .conftest import Pos
from .test_after import VOID, reopen

LOAD, SALE = "630000", "000000"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (STALE_ROOT, Outcome.UNAVAILABLE),
        (BARRED, Outcome.ALREADY_REVERSED),
        (KEY_REUSED, Outcome.DUPLICATE),
    ],
)
def test_what_may_be_sent_again_is_no_refusal(error: Code, told: Outcome) -> None:
    """A load is undone only if nothing of its card moves meanwhile: else again, not never."""
    assert outcomes.of_error(error.error()) is told
    assert (told in outcomes.UNCERTAIN) == (error is STALE_ROOT)


async def forget(pos: Pos, trace: str) -> None:
    """Take an entry away, so that only the ledger can know."""
    async with pos.kabao.db.transaction() as conn:
        await conn.execute("delete from pos.entry where trace = %s", [int(trace)])


async def begin(pos: Pos, trace: str, verb: str) -> None:
    """As if a process had died with a message claimed, and nothing of it done."""
    async with pos.kabao.db.transaction() as conn:
        await conn.execute(
            "insert into pos.entry (terminal, batch, trace, verb, mac, state, amount_fen,"
            " created_at) values (%s, 1, %s, %s, '', 'open', 300, now())",
            [pos.world.north.terminal.removeprefix("ter_"), int(trace), verb],
        )


@pytest.mark.row("P-19")
async def test_one_trace_is_one_effect_whatever_the_verb(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 100, trace="000100")).code == "00"
    assert (await till.load(card, 500, trace="000100")).code == "94"
    assert (await till.void("000100", 100, trace="000100")).code == "94"
    assert (await till.load(card, 500, trace="000200")).code == "00"
    assert (await till.buy(card, 100, trace="000200")).code == "94"
    assert (await till.void("000100", 100, trace="000200")).code == "94"
    assert (await till.void("000200", 500)).code == "25"
    assert (await till.buy(card, 100, trace="000000")).code == "12"
    assert (await till.load(card, 100, trace="000000")).code == "12"
    assert [(await till.last(trace)).code for trace in ("000100", "000200")] == ["00", "00"]
    assert await pos.actors.balance(card) == (1_400, 1_400)
    report = await audit(pos.kabao.db.url)
    assert report.holds, [line for line in report.lines if not line.holds]


@pytest.mark.row("P-17", "P-19")
@pytest.mark.parametrize("said", [LOAD, SALE, "200000", "990000"])
async def test_a_reversal_undoes_what_stands_at_its_place(pos: Pos, said: str) -> None:
    """A till that has lost its memory guesses what its message was."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.load(card, 500, trace="000100")).code == "00"
    assert (await till.buy(card, 200, trace="000101")).code == "00"
    for trace in ("000100", "000101", "000102", "000103"):
        for _ in range(2):
            assert (await till.reverse(trace, 500, processing=said)).code == "00"
    assert (await till.load(card, 500, trace="000102")).code == "22"
    assert (await till.buy(card, 200, trace="000103")).code == "22"
    for trace in ("000100", "000101", "000102", "000103"):
        assert (await till.last(trace)).code == "22"
    assert await pos.actors.balance(card) == (1_000, 1_000)
    till.debit, till.credit = [0, 0], [0, 0]
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-17", "P-19")
async def test_a_load_whose_process_died_is_undone_by_its_reversal(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.load(card, 500, trace="000100")).code == "00"
    await reopen(pos, "000100")
    for _ in range(2):
        assert (await till.reverse("000100", 500, processing=LOAD)).code == "00"
    assert await pos.actors.balance(card) == (1_000, 1_000)
    spent = await pos.card()
    assert (await till.load(spent, 500, trace="000101")).code == "00"
    assert (await till.buy(spent, 100)).code == "00"
    await reopen(pos, "000101")
    assert (await till.reverse("000101", 500, processing=LOAD)).code == "22"
    till.credit = [500, 1]
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-17", "P-19")
async def test_what_a_dead_process_had_only_begun_is_barred(pos: Pos) -> None:
    """The process may yet be alive, and slow: the ledger refuses it as well."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 300, trace="000100")).code == "00"
    for trace, verb in (("000200", "load"), ("000201", "void"), ("000202", "refund")):
        await begin(pos, trace, verb)
        for _ in range(2):
            assert (await till.reverse(trace, 300, processing=LOAD)).code == "00"
    for forgotten in (False, True):
        if forgotten:
            for trace in ("000200", "000201", "000202"):
                await forget(pos, trace)
        assert (await till.load(card, 300, trace="000200")).code == "22"
        assert (await till.void("000100", 300, trace="000201")).code == "22"
        refund = await till.later(
            "0220", "200000", "00", "25", 300, original="000100", trace="000202"
        )
        assert refund.code == "22"
    assert await pos.actors.balance(card) == (700, 700)
    assert (await till.settle()).code == "00"


@pytest.mark.row("P-19")
async def test_a_void_that_was_booked_stands_whatever_its_entry_says(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 300, trace="000100")).code == "00"
    assert (await till.void("000100", 300, trace="000200")).code == "00"
    for _ in range(2):
        assert (await till.reverse("000200", 300, processing="200000")).code == "22"
        await reopen(pos, "000200")
    assert (await till.later(*VOID, 300, original="000100", trace="000200")).code == "00"
    assert (await till.settle()).code == "00"


@pytest.mark.row("C-05")
async def test_a_load_that_was_refused_and_not_answered_is_not_counted(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    wrong = f"{(int(card.pin) + 1) % 10**12:012d}"
    assert (await till.load(card, 300, trace="000100", pin=wrong)).code != "00"
    await reopen(pos, "000100")
    assert (await till.settle()).code == "00"
