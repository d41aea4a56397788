"""What a session remembers, in whichever process, under whichever key."""

from __future__ import annotations

import secrets

import pytest

from kabao.app.sealed import SEALED
from kabao.edges.iso8583.model import Totals
from kabao.edges.iso8583.reading import read_totals, show_totals
from kabao.edges.iso8583.spec import SHIPPED, shipped
from kabao.vault.ops import Rotation
from tests.base.web.make import until
from tests.scenarios.world import Card

from .conftest import Pos
from .till import Till

GUESSES = 20
"""Policy `pos.guess.max_count`."""


def nobody(card: Card) -> Card:
    return Card(card.id, f"{secrets.randbelow(10**19):019d}", card.pin, "", "")


async def guess(till: Till, card: Card, count: int) -> list[str]:
    return [(await till.buy(nobody(card), 1)).code for _ in range(count)]


@pytest.mark.row("ATK-1")
async def test_too_many_guesses_make_a_terminal_wait(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert await guess(till, card, GUESSES) == ["14"] * GUESSES
    assert (await guess(till, card, 4))[-1] == "38"
    assert (await till.buy(card, 1)).code == "38"
    pos.at.later(minutes=11)
    assert (await till.buy(card, 1)).code == "00"


@pytest.mark.row("ATK-1")
async def test_a_terminal_waits_in_every_process_and_after_a_sign_in(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    async with pos.other() as other:
        await pos.move(till, other)
        assert (await till.buy(card, 1)).code == "00"
        await pos.move(till, pos)
        assert (await guess(till, card, GUESSES + 4))[-1] == "38"
        assert (await till.sign_in()).code == "00"
        assert (await till.buy(card, 1)).code == "38"
        await pos.move(till, other)
        await other.host.desk.refresh()
        assert (await till.buy(card, 1)).code == "38"
        assert (await till.sign_in()).code == "00"
        assert (await till.buy(card, 1)).code == "38"
        pos.at.later(minutes=11)
        assert (await till.buy(card, 1)).code == "00"


@pytest.mark.row("ATK-1")
async def test_selling_cards_nobody_knows_is_guessing_too(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card()

    async def sell() -> str:
        fields = till.common("72") | {2: nobody(card).number, 3: "720000", 4: f"{100:012d}"}
        fields |= {22: "0120", 25: "00", 49: "156", 62: b"CA001"}
        return (await till.exchange(till.signed("0200", fields))).code

    assert [await sell() for _ in range(GUESSES)] == ["14"] * GUESSES
    assert [await sell() for _ in range(4)][-1] == "38"


@pytest.mark.row("P-22")
async def test_session_keys_survive_the_key_they_are_sealed_with(pos: Pos) -> None:
    kabao = pos.kabao
    proven, fresh, card = await pos.till(), await pos.till(fresh=True), await pos.card(1_000)
    assert (await proven.buy(card, 1)).code == "00"
    rotation = Rotation(kabao.db, kabao.vault, kabao.clock, SEALED)
    await rotation.rotate()
    pos.at.later(minutes=16)
    async with kabao.db.transaction() as conn:
        await conn.execute("delete from base.idempotency")  # as a job does after a day
    await rotation.retire(1)
    async with pos.other() as other:
        for till in (proven, fresh):
            await pos.move(till, other)
            assert (await till.buy(card, 1)).code == "00"


@pytest.mark.row("C-05")
async def test_a_repeated_settlement_of_an_old_batch_ends_no_session(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 1)).code == "00"
    old = till.totals(), till.batch
    first = await till.settle()
    assert (await till.sign_in()).code == "00"
    again = till.common("00") | {48: old[0], 49: "156", 60: f"00{old[1]}201"}
    repeated = await till.exchange(till.signed("0500", again))
    assert (repeated.code, repeated.fields[48]) == ("00", first.fields[48])
    again = till.common("00") | {60: f"00{old[1]}207"}
    assert (await till.exchange(till.signed("0320", again))).code == "00"
    assert (await till.buy(card, 1)).code == "00"


@pytest.mark.row("C-05")
async def test_a_batch_is_settled_before_its_counts_overflow(pos: Pos) -> None:
    """Field 48 counts to 999: the till hears in time, and can still correct what it did."""
    till, before = await pos.till(), shipped("unionpay").batch_max - 3
    penniless = await pos.card()
    many = [await pos.card(1_000) for _ in range(30)]
    for n in range(before):
        assert (await till.buy(many[n % len(many)], 1, trace=f"{1_000 + n:06d}")).code == "00"
    card = await pos.card(100_000)
    declined = await till.buy(penniless, 1, trace="000006")
    assert declined.code == "51"
    first = await till.buy(card, 1, trace="000001")
    for _ in range(5):
        assert (await till.buy(card, 1, trace="000001")).fields == first.fields
    assert (await till.buy(card, 1, trace="000002")).code == "00", "repetitions fill no batch"
    assert (await till.load(card, 1, trace="000003")).code == "00"
    full = await till.buy(card, 1, trace="000004")
    assert (full.code, full.words[1]) == ("65", "STL")
    assert (await till.buy(card, 1, trace="000001")).fields == first.fields
    assert (await till.buy(penniless, 1, trace="000006")).fields == declined.fields
    assert (await till.load(card, 1, trace="000003")).code == "00"
    assert (await till.load(card, 1, trace="000004")).code == "65"
    assert (await till.inquire(card)).code == "00"
    assert (await till.void("000001", 1, trace="000005")).code == "00"
    till.debit, till.credit, till.trace = [before + 2, before + 2], [2, 2], 10_000
    assert (await till.settle()).code == "00"
    assert (await till.sign_in()).code == "00"
    assert (await till.buy(card, 1)).code == "00"


async def test_what_a_batch_holds_is_learnt_from_the_books(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(10_000)
    for _ in range(5):
        assert (await till.buy(card, 1)).code == "00"
    async with pos.other() as other:
        await pos.move(till, other)
        assert (await till.inquire(card)).code == "00"
        session = other.host.desk._sessions.cached((till.terminal_no, till.merchant_no))
        assert session is not None
        await until(lambda: session.count == 5)


def test_counts_that_have_no_digits_are_shown_as_their_most() -> None:
    layout = shipped("unionpay").totals
    assert [shipped(name).batch_max for name in SHIPPED] == [900, 10**10 - 100]
    text = show_totals(layout, Totals(5_000, 1_000, 7, 1), even=False)
    assert text == f"{5_000:012}999{7:012}0012{0:030}1"
    assert read_totals(layout, text) == Totals(5_000, 999, 7, 1)
    assert read_totals(layout, text[:29]) is None
    assert read_totals(layout, "x" + text[1:]) is None
