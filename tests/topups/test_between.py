"""One's own card pays for a top-up of one's other card."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from tests.scenarios.world import identity_number

from .money import Money, made, money


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    async with money(database_url, tmp_path) as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


async def person(at: Money, number: str) -> str:
    body = {
        "party": "person",
        "name": "张三",
        "phone": f"1380000{number}",
        "identity": {"type": "resident_id", "number": identity_number()},
    }
    ident = str((await made(at.home.operator.post("/v1/customers", body)))["id"])
    seen = {"method": "document_at_counter"}
    await made(at.home.operator.post(f"/v1/customers/{ident}/verifications", seen))
    return ident


async def registered(at: Money, holder: str, fen: int = 0) -> dict[str, Any]:
    body = {
        "class": "registered",
        "active": True,
        "issuer": at.home.company,
        "terms": {
            "name_en": "Member card",
            "name_zh": "会员卡",
            "carriers": ["electronic"],
            "prefixes": [f"81{next(_n):06d}", f"82{next(_n):06d}"],
            "contact": "400 800 1234",
        },
    }
    programme = (await made(at.home.operator.post("/v1/programmes", body)))["id"]
    asked = {"programme": programme, "carrier": "electronic", "holder": holder}
    card = await made(at.home.operator.post("/v1/cards", asked))
    if fen:
        await at.home.top_up(card["id"], fen)
    return card


def paying(card: dict[str, Any], pin: str | None = None) -> dict[str, Any]:
    return {"type": "card_number", "number": card["number"], "pin": pin or card["pin"]}


_n = iter(range(1, 1_000))


async def ask(at: Money, to: dict[str, Any], by: dict[str, Any], fen: int, **more: Any) -> Any:
    body = at.body(to, fen, channel="card", scene=None, store=None, paying_card=by) | more
    return await at.home.operator.post("/v1/topups", body)


@pytest.mark.row("T-04")
async def test_value_moves_once_as_a_lot_of_its_own(at: Money) -> None:
    holder = await person(at, "0001")
    one, other = await registered(at, holder, 50_000), await registered(at, holder)
    body = at.body(other, 20_000, channel="card", scene=None, store=None, paying_card=paying(one))
    first = await at.home.operator.post("/v1/topups", body, "between")
    again = await at.home.operator.post("/v1/topups", body, "between")
    assert first.json() == again.json()
    topup = first.json()
    assert (topup["status"], topup["channel"], topup["store"], topup["balance_after"]) == (
        "confirmed",
        "card",
        None,
        20_000,
    )
    assert await at.balance(one) == (30_000, 30_000)
    assert await at.balance(other) == (20_000, 20_000)
    (lot,) = (await made(at.home.auditor.get("/v1/ledger/lots", card=other["id"])))["data"]
    assert (lot["principal"], lot["channel"]) == (20_000, "card")
    assert (await at.accounts()).get("transit", 0) == 0
    refused = await at.refund(topup)
    assert refused.json()["code"] == "topup_was_cash"
    cancelled = await made(at.home.operator.post(f"/v1/topups/{topup['id']}/cancel"))
    assert cancelled["status"] == "confirmed", "it is done, and nobody is asked to undo it"
    receipt = await made(at.home.operator.get(f"/v1/topups/{topup['id']}/receipt"))
    assert receipt["amount"] == 20_000


@pytest.mark.row("T-04", "CR-27")
async def test_who_may_not_pay(at: Money) -> None:
    holder = await person(at, "0002")
    one, other = await registered(at, holder, 1_000), await registered(at, holder)
    gift, stranger = await at.card(1_000), await registered(at, await person(at, "0003"), 1_000)
    for by, fen, code, rule in (
        (paying(gift), 1, "source_not_allowed", "T-04"),
        (paying(stranger), 1, "source_not_allowed", "CR-27"),
        (paying(one), 1_001, "paying_card_short", "P-16"),
        (paying(one, "000000"), 1, "secret_not_accepted", None),
        ({"type": "card", "id": one["id"]}, 1, "source_not_allowed", "CR-30"),
    ):
        reply = await ask(at, other, by, fen)
        assert (reply.status_code, reply.json()["code"], reply.json().get("rule")) == (
            422,
            code,
            rule,
        ), reply.text
    nothing = await ask(at, other, paying(one), 1)
    assert nothing.is_success, nothing.text
    own = await ask(at, one, paying(one), 1)
    assert own.json()["rule"] == "ruling 11"
    await made(at.home.operator.post(f"/v1/cards/{one['id']}/freeze", {"reason": "risk"}))
    frozen = await ask(at, other, paying(one), 1)
    assert frozen.json()["code"] == "paying_card_stopped"


async def test_a_secret_is_judged_each_time(at: Money) -> None:
    """A key that was proven with the right secret lets nobody pay with a wrong one."""
    holder = await person(at, "0004")
    one, other = await registered(at, holder, 1_000), await registered(at, holder)
    body = at.body(other, 1_001, channel="card", scene=None, store=None, paying_card=paying(one))
    short = await at.home.operator.post("/v1/topups", body, "proven")
    assert short.json()["code"] == "paying_card_short"
    await at.home.top_up(one["id"], 1_000)
    wrong = body | {"paying_card": paying(one, "000000")}
    refused = await at.home.operator.post("/v1/topups", wrong, "proven")
    assert refused.json()["code"] == "secret_not_accepted"
    assert (await at.home.operator.post("/v1/topups", body, "proven")).is_success


@pytest.mark.row("T-04", "CR-21")
async def test_what_a_card_paid_for_is_not_paid_out_in_cash(at: Money) -> None:
    """Else all of a card would be paid out, in parts as small as a remainder."""
    holder = await person(at, "0005")
    one, other = await registered(at, holder, 20_000), await registered(at, holder)
    assert (await ask(at, other, paying(one), 5_000)).is_success
    till = {"store": at.home.store, "model": "A920"}
    terminal = (await made(at.home.operator.post("/v1/terminals", till)))["id"]
    claim = {"type": "holder", "customer": holder}
    body = {"claim": claim, "payee": holder, "store": at.home.store, "terminal": terminal}
    path = f"/v1/cards/{other['id']}/cash-out"
    refused = await at.home.operator.post(path, body)
    assert (refused.status_code, refused.json()["code"], refused.json()["rule"]) == (
        422,
        "cash_out_over_limit",
        "CR-21",
    ), refused.text
    await at.home.pay(other, 5_000)
    await at.home.top_up(other["id"], 300)
    assert (await made(at.home.operator.post(path, body)))["amount"] == 300
