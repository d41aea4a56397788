"""What a cashier does only with a supervisor: a second person, a PIN, one use, both in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.base.errors import KabaoError
from kabao.merchants.model import OVERRIDE_NEEDED, OverrideAsk, OverrideVerb
from tests.app.world import World, made, world

Refunding = Callable[[int], Awaitable[httpx.Response]]
FROM_FEN, AFTER, VALID, TRIES = 50_000, timedelta(minutes=30), timedelta(seconds=120), 3


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


class Crew:
    """A cashier and two supervisors with PINs in the first store, and a payment of theirs."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.pins: dict[str, str] = {}

    async def person(self, code: str, role: str, store: str | None = None) -> str:
        body = {"store": store or self.w.store, "code": code, "name": "李四", "role": role}
        ident = (await made(self.w.operator.post("/v1/cashiers", body)))["id"]
        self.pins[ident] = (await made(self.w.operator.post(f"/v1/cashiers/{ident}/pin")))["pin"]
        return str(ident)

    async def gather(self) -> None:
        self.cashier = await self.person("01", "cashier")
        self.boss = await self.person("90", "supervisor")
        self.card = await self.w.card(await self.w.programme(), 90_000)
        self.payment = await self.w.pay(self.card, 60_000, cashier=self.cashier)

    async def ask(self, **more: Any) -> httpx.Response:
        body = {
            "verb": "refund",
            "store": self.w.store,
            "cashier": self.cashier,
            "subject": self.payment["id"],
            "amount": FROM_FEN,
            "supervisor": self.boss,
        } | more
        body.setdefault("pin", self.pins.get(body["supervisor"], "000000"))
        return await self.w.merchant.post("/v1/overrides", body)

    async def refund(self, fen: int, key: str | None = None, **more: Any) -> httpx.Response:
        path = f"/v1/payments/{self.payment['id']}/refunds"
        body = {"amount": fen, "cashier": self.cashier} | more
        return await self.w.merchant.post(path, body, key)


@pytest.fixture
async def crew(w: World) -> Crew:
    crew = Crew(w)
    await crew.gather()
    return crew


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.row("ATK-11")
async def test_a_large_refund_takes_a_supervisor(w: World, crew: Crew) -> None:
    assert (await crew.refund(FROM_FEN - 1)).status_code == 200
    crew.payment = await w.pay(crew.card, 60_000, cashier=crew.cashier)
    alone = await crew.refund(FROM_FEN)
    assert code_of(alone) == (422, "override_needed")
    assert (alone.json()["rule"], alone.json()["field"]) == ("ATK-11", "override")
    given = await made(crew.ask())
    done = await crew.refund(FROM_FEN, "one", override=given["id"])
    assert done.status_code == 200, done.text
    again = await crew.refund(FROM_FEN, "one", override=given["id"])
    assert again.json() == done.json(), "a repetition is answered, not refused"
    other = await crew.refund(1, "two", override=given["id"])
    assert code_of(other) == (422, "override_not_valid")
    log = (await made(w.auditor.get("/v1/audit-log", verb="override:refund")))["data"]
    assert [line["subject"] for line in log] == [crew.payment["id"]]
    assert crew.cashier in log[0]["reason"]
    assert crew.boss in log[0]["reason"]


async def test_a_program_of_its_own_has_its_key(w: World, crew: Crew) -> None:
    """Its payments have no cashier; leaving a cashier out makes nobody a program."""
    own = await w.pay(crew.card, 30_000)
    path = f"/v1/payments/{own['id']}/refunds"
    assert (await w.merchant.post(path, {})).status_code == 200
    assert (await crew.refund(FROM_FEN - 1)).status_code == 200
    till = {"store": w.store, "model": "A920"}
    terminal = (await made(w.operator.post("/v1/terminals", till)))["id"]
    who = {"terminal": terminal, "cashier": crew.cashier}
    await made(w.merchant.post("/v1/shifts", who))
    paid = await w.pay(crew.card, 60_000, **who)
    path = f"/v1/payments/{paid['id']}/refunds"
    for body in ({}, {"amount": FROM_FEN}):
        assert code_of(await w.merchant.post(path, body)) == (422, "override_needed")


async def test_a_large_refund_in_pieces_takes_a_supervisor(crew: Crew) -> None:
    first = await crew.refund(FROM_FEN - 1, "piece")
    assert first.status_code == 200
    assert code_of(await crew.refund(1)) == (422, "override_needed")
    assert (await crew.refund(FROM_FEN - 1, "piece")).json() == first.json(), "repeated"
    given = await made(crew.ask(amount=1))
    assert (await crew.refund(1, override=given["id"])).status_code == 200


async def test_an_override_is_for_one_company(w: World, crew: Crew) -> None:
    given = await made(crew.ask())
    first = await crew.refund(FROM_FEN, "same", override=given["id"])
    assert first.status_code == 200
    body = {"amount": FROM_FEN // 5, "cashier": crew.cashier, "override": given["id"]}
    path = f"/v1/payments/{crew.payment['id']}/refunds"
    second = await w.by("visiting-merchant").post(path, body, "same")
    assert code_of(second) == (422, "override_not_valid")


async def test_a_late_void_takes_a_supervisor(w: World, crew: Crew) -> None:
    path = f"/v1/payments/{crew.payment['id']}/void"
    w.clock.advance(AFTER)
    young = await w.pay(crew.card, 100, cashier=crew.cashier)
    body = {"cashier": crew.cashier}
    await made(w.merchant.post(f"/v1/payments/{young['id']}/void", body))
    w.clock.advance(timedelta(microseconds=1))
    assert code_of(await w.merchant.post(path, body)) == (422, "override_needed")
    wrong = await made(crew.ask())
    mistaken = await w.merchant.post(path, body | {"override": wrong["id"]})
    assert code_of(mistaken) == (422, "override_not_valid"), "it was given for a refund"
    given = await made(crew.ask(verb="void", amount=60_000))
    done = await made(w.merchant.post(path, body | {"override": given["id"]}))
    assert done["status"] == "voided"


async def test_an_override_is_for_one_thing_and_not_for_long(w: World, crew: Crew) -> None:
    less = await made(crew.ask(amount=FROM_FEN - 1))
    assert code_of(await crew.refund(FROM_FEN, override=less["id"])) == (422, "override_not_valid")
    old = await made(crew.ask())
    w.clock.advance(VALID)
    assert code_of(await crew.refund(FROM_FEN, override=old["id"])) == (422, "override_not_valid")
    second = await crew.person("02", "cashier")
    given = await made(crew.ask())
    theirs = await crew.refund(FROM_FEN, override=given["id"], cashier=second)
    assert code_of(theirs) == (422, "override_not_valid")
    w.clock.advance(VALID - timedelta(microseconds=1))
    assert (await crew.refund(FROM_FEN, override=given["id"])).status_code == 200


@pytest.mark.row("ATK-3")
async def test_nobody_guesses_a_supervisors_pin(w: World, crew: Crew) -> None:
    wrong = f"{(int(crew.pins[crew.boss]) + 1) % 10**6:06d}"
    for _ in range(TRIES):
        assert code_of(await crew.ask(pin=wrong)) == (422, "override_refused")
    locked = await crew.ask()
    assert code_of(locked) == (422, "override_refused"), "the right one as well"
    stranger = await crew.ask(supervisor="csh_" + "0" * 32)
    assert {k: v for k, v in stranger.json().items() if k != "request_id"} == {
        k: v for k, v in locked.json().items() if k != "request_id"
    }
    w.clock.advance(timedelta(hours=24))
    assert (await crew.ask()).status_code == 201


async def test_who_is_no_second_person(w: World, crew: Crew) -> None:
    elsewhere = await crew.person("91", "supervisor", w.other_store)
    gone = await crew.person("92", "supervisor")
    await made(w.operator.post(f"/v1/cashiers/{gone}/dismiss"))
    for supervisor in (crew.cashier, elsewhere, gone):
        assert code_of(await crew.ask(supervisor=supervisor)) == (422, "override_refused")
    own = await crew.ask(cashier=crew.boss)
    assert code_of(own) == (422, "override_refused"), "a supervisor's own is another's to allow"
    assert (await w.operator.post("/v1/overrides", {})).status_code == 403


async def test_the_pos_door_asks_the_same(w: World, crew: Crew) -> None:
    overrides = w.kabao.merchants.overrides
    ask = OverrideAsk(
        verb=OverrideVerb.TYPED_CARD,
        store=w.store[4:],
        cashier=crew.cashier[4:],
        subject=crew.card["id"],
        amount_fen=100,
    )
    with pytest.raises(KabaoError) as refused:
        await overrides.require(ask, None, key="pos/1")
    assert refused.value.code is OVERRIDE_NEEDED
    given = await overrides.grant(ask, crew.boss[4:], crew.pins[crew.boss])
    await overrides.require(ask, given.id, key="pos/1")
    await overrides.require(ask, given.id, key="pos/1")
    with pytest.raises(KabaoError):
        await overrides.require(ask, given.id, key="pos/2")


@pytest.mark.row("ATK-11")
async def test_refunds_at_once_are_not_two_small_ones(w: World, crew: Crew) -> None:
    """What was given back before is judged under the lock, not before it."""
    for refund in (crew.refund, await order_refund(w, crew)):
        answers = await asyncio.gather(*(refund(FROM_FEN // 2) for _ in range(2)))
        assert sorted(a.status_code for a in answers) == [200, 422]
        refused = next(a for a in answers if a.status_code == 422)
        assert (code_of(refused), refused.json()["rule"]) == ((422, "override_needed"), "ATK-11")


async def order_refund(w: World, crew: Crew) -> Refunding:
    body = order_of(w, amount=60_000)
    order = (await made(w.merchant.post("/v1/payment-orders", body)))["id"]

    async def refund(fen: int) -> httpx.Response:
        said = {"amount": fen, "cashier": crew.cashier}
        return await w.merchant.post(f"/v1/payment-orders/{order}/refunds", said)

    return refund


@pytest.mark.row("P-17")
async def test_what_was_done_is_answered_again_whoever_works_there_now(
    w: World, crew: Crew
) -> None:
    """A till repeats what got no answer: hours later, its cashier gone and its terminal blocked."""
    till = await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "A920"}))
    who = {"terminal": till["id"], "cashier": crew.cashier}
    await made(w.merchant.post("/v1/shifts", who))
    voided, held = await w.pay(crew.card, 100, **who), await w.pay(crew.card, 200, capture=False)
    cancelled, refunded, taken = [
        await made(w.merchant.post("/v1/payment-orders", order_of(w, capture=capture) | who))
        for capture in (True, True, False)
    ]
    loaded = await load(w, crew, who, "load")
    allowed = await w.allowed("topup_void", loaded["id"], 500, crew.cashier, crew.boss)
    asked = [
        (f"/v1/payments/{voided['id']}/void", who),
        (f"/v1/payments/{held['id']}/capture", who),
        (f"/v1/payments/{crew.payment['id']}/refunds", who | {"amount": 100}),
        (f"/v1/payment-orders/{cancelled['id']}/cancel", who),
        (f"/v1/payment-orders/{refunded['id']}/refunds", who | {"amount": 100}),
        (f"/v1/payment-orders/{taken['id']}/capture", who),
        (f"/v1/topups/{loaded['id']}/void", who | {"override": allowed}),
    ]
    first = [await made(w.merchant.post(path, body, path)) for path, body in asked]
    await made(w.operator.post(f"/v1/cashiers/{crew.cashier}/dismiss"))
    await made(w.operator.post(f"/v1/terminals/{till['id']}/block"))
    w.clock.advance(timedelta(hours=5))
    again = [await w.merchant.post(path, body, path) for path, body in asked]
    assert [(a.status_code, a.json()) for a in again] == [(200, body) for body in first]
    assert await load(w, crew, who, "load") == loaded
    fresh = await w.merchant.post(f"/v1/payments/{crew.payment['id']}/refunds", who)
    assert fresh.status_code in {409, 422}, "what is new is judged"


def order_of(w: World, **more: Any) -> dict[str, Any]:
    tenders = [{"type": "cash"}]
    return {"amount": 1_000, "currency": "CNY", "store": w.store, "tenders": tenders} | more


async def load(w: World, crew: Crew, who: dict[str, str], key: str) -> dict[str, Any]:
    body = {"card": crew.card["id"], "amount": 500, "currency": "CNY", "channel": "cash"}
    return await made(w.operator.post("/v1/topups", body | who | {"store": w.store}, key))
