"""What a session remembers, in whichever process, under whichever key."""

from __future__ import annotations

import secrets

import pytest

from kabao.app.sealed import SEALED
from kabao.vault.ops import Rotation
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
