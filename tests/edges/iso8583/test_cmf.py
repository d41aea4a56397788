"""The jPOS Common Message Format through a socket."""

from __future__ import annotations

import pytest

from .cmf import CmfTill, yuan
from .conftest import Pos
from .till import pin_block


async def till(pos: Pos) -> CmfTill:
    made = CmfTill(pos.port, *await pos.key(pos.world.north))
    signed = await made.sign_in()
    assert (signed["t"], signed["39"]) == ("2814", "0000")
    return made


async def test_it_signs_in_pays_and_reverses(pos: Pos) -> None:
    one, card = await till(pos), await pos.card(1_000)
    paid = await one.buy(card, 300)
    assert (paid["t"], paid["39"], paid["4"]) == ("2210", "0000", f"1562{300:012}")
    assert paid["54"] == f"60021562C{700:012}", "ledger and available: purse, yuan, credit"
    sold = one.trace
    short = await one.buy(card, 701)
    assert short["39"] == "1016"
    assert short["63"].startswith("EL2SPL")
    for _ in range(2):
        assert (await one.reverse(sold))["39"] == "0000"
    assert await pos.actors.balance(card) == (1_000, 1_000)


async def test_another_currency_is_refused(pos: Pos) -> None:
    one, card = await till(pos), await pos.card(1_000)
    fields = {2: card.number, 3: "006000", 4: f"8402{300:012}", 35: card.track2.replace("=", "D")}
    assert (await one.ask("2200", fields))["39"] == "1810"


async def test_private_data_moves_the_mac_to_the_last_field(pos: Pos) -> None:
    """An inquiry's answer has field 72, and so a second bitmap."""
    one, card = await till(pos), await pos.card(1_000)
    fields = {3: "306000", 111: card.barcode.encode()}
    asked = await one.ask("2100", fields)
    assert asked["39"] == "0000"
    assert bytes.fromhex(asked["72"]).startswith(b"A")


@pytest.mark.row("ATK-11")
async def test_a_supervisor_allows_what_a_cashier_may_not(pos: Pos) -> None:
    """Field 62 names the person, field 72 has the PIN block."""
    one, card, pin = await till(pos), await pos.card(1_000), await pos.supervisor_pin()
    sale = {2: card.number, 3: "006000", 4: yuan(300)}
    assert (await one.ask("2200", sale))["39"] == "1012", "a typed number needs its PIN"
    assert (await one.sign_in("cashier"))["39"] == "0000"
    allowing = {62: "supervisor", 72: pin_block(one.pik, "000000", "0" * 16)}
    refused = await one.ask("2200", sale | allowing)
    assert (refused["39"], refused["63"][3:6]) == ("1020", "SUP")
    allowing[72] = pin_block(one.pik, pin, "0" * 16)
    assert (await one.ask("2200", sale | allowing))["39"] == "0000"
    assert await pos.actors.balance(card) == (700, 700)


@pytest.mark.row("C-05")
async def test_a_whole_day_that_is_not_even_at_first(pos: Pos) -> None:
    one, card = await till(pos), await pos.card(10_000)
    for n in range(10):
        assert (await one.buy(card, 100 + n))["39"] == "0000"
    assert (await one.void(one.trace, 109))["39"] == "0000"
    right = (list(one.debit), list(one.credit))
    forgotten = one.lines.pop(3)
    one.debit[0] -= int(forgotten[-12:])
    one.debit[1] -= 1
    uneven = await one.settle()
    assert (uneven["39"], uneven["63"][3:6]) == ("1033", "UPL")
    ended = await one.upload()
    assert ended["39"] == "0000"
    one.debit, one.credit = right
    assert ended["74"] == uneven["74"] == one.totals()
    assert (await one.settle())["74"] == ended["74"]
    assert (await one.buy(card, 1))["39"] == "1820", "signed off"
    before = one.batch
    await one.sign_in()
    assert int(one.batch) == int(before) + 1
    assert (await one.buy(card, 1))["39"] == "0000"
    assert await pos.actors.balance(card) == (10_000 - 936 - 1,) * 2


async def test_an_even_batch_settles_at_once(pos: Pos) -> None:
    one, card = await till(pos), await pos.card(1_000)
    await one.buy(card, 250)
    settled = await one.settle()
    assert (settled["t"], settled["39"], settled["74"]) == ("2550", "0000", one.totals())
