"""One Idempotency-Key at all doors of top-ups: cash, a channel, another card of the holder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from kabao.cards.model import CardRef

from .money import Money, made, money
from .test_between import paying, person, registered


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    async with money(database_url, tmp_path) as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


ROUNDS = [
    (("cash", "alipay", "card"), False),
    (("cash", "alipay"), True),
    (("cash", "card"), True),
]
"""Who comes with one key, and whether cash comes late because somebody holds its cards."""


@pytest.mark.row("T-20")
async def test_one_key_at_once_at_every_door_is_one_top_up(at: Money) -> None:
    """Each for a card of its own, so that no lock of a card puts them in order."""
    holder, post = await person(at, "0009"), at.home.operator.post
    paying_card = paying(await registered(at, holder, 50_000))
    doors: dict[str, dict[str, Any]] = {
        "cash": {"channel": "cash", "scene": None},
        "alipay": {},
        "card": {"channel": "card", "scene": None, "paying_card": paying_card},
    }
    cards = {door: [await registered(at, holder) for _ in range(2)] for door in doors}
    won, moved = set(), dict.fromkeys((card["id"] for two in cards.values() for card in two), 0)
    for n, (who, cash_is_late) in enumerate(ROUNDS * 4):
        bodies = [at.body(card, 1_000 + n, **doors[door]) for door in who for card in cards[door]]
        async with held(at, cards["cash"] if cash_is_late else []) as release:
            asked = [asyncio.ensure_future(post("/v1/topups", body, f"{n}")) for body in bodies]
            if cash_is_late:
                await asyncio.wait(asked[2:])
            await release()
            answers = [(await one).json() for one in asked]
        codes = [answer.get("code", "") for answer in answers]
        assert sorted(codes) == ["", *["idempotency_key_reused"] * (len(codes) - 1)], (who, codes)
        first = codes.index("")
        again = await post("/v1/topups", bodies[first], f"{n}")
        assert again.json()["id"] == answers[first]["id"]
        won.add(answers[first]["channel"])
        if answers[first]["status"] == "confirmed":
            moved[answers[first]["card"]["id"]] += answers[first]["amount"]
    assert won == set(doors)
    shown = {ident: (await at.balance({"id": ident}))[0] for ident in moved}
    assert shown == moved


@asynccontextmanager
async def held(
    at: Money, cards: list[dict[str, Any]]
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Cards that nothing happens to until they are released."""
    kabao = at.home.kabao
    async with kabao.db.transaction() as conn:
        found = await kabao.cards.resolve(conn, [CardRef(card["id"]) for card in cards])
        await kabao.ledger.lock(conn, [card.root for card in found if card is not None])
        yield conn.commit


@pytest.mark.row("T-20", "T-02")
async def test_a_till_that_was_blocked_since_hears_its_first_answer(at: Money) -> None:
    till = {"store": at.home.store, "model": "A920"}
    terminal = (await made(at.home.operator.post("/v1/terminals", till)))["id"]
    card, post = await at.card(), at.home.operator.post
    body = at.body(card, channel="cash", scene=None, terminal=terminal)
    first = await made(post("/v1/topups", body, "before"))
    await made(post(f"/v1/terminals/{terminal}/block"))
    assert (await made(post("/v1/topups", body, "before")))["id"] == first["id"]
    for key, told in (("later", "terminal_not_active"), ("before", "idempotency_key_reused")):
        again = await post("/v1/topups", body | {"amount": 1}, key)
        assert again.json()["code"] == told
    assert await at.balance(card) == (10_000, 10_000)
