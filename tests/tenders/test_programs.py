"""Random days at a till and in a shop: the platform and a small pure model agree."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kabao.base.clock import from_us
from tests.app.world import START

from .make import Shop, by_card, cash, shop
from .till import Order, Till

CARDS = [3_000, 5_000, 700]
KEYS = count(1)

which, fen = st.integers(0, 3), st.integers(1, 2_000)
STEPS = st.one_of(
    st.tuples(st.just("open"), st.integers(1, 4_000), st.booleans()),
    st.tuples(st.just("tender"), which, st.sampled_from([None, 0, 1, 2]), fen),
    st.tuples(st.just("rest"), which, st.sampled_from([None, 0, 1, 2])),
    st.tuples(st.just("capture"), which, st.none() | fen, st.booleans()),
    st.tuples(st.sampled_from(["release", "cancel", "reverse", "unfreeze"]), which),
    st.tuples(st.just("refund"), which, fen),
    st.tuples(st.just("freeze"), which, st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 29, 30, 31])),
)
PROGRAMS = st.lists(STEPS, min_size=10, max_size=25)
"""Begun at ten in the morning, they end the same day, however long they wait."""


class Play:
    """One program, on the model and on the platform."""

    def __init__(self, s: Shop, cards: list[dict[str, Any]]) -> None:
        self.s, self.cards = s, cards
        self.till = Till(CARDS)
        self.ids: list[dict[str, Any]] = []

    async def step(self, verb: str, *args: Any) -> None:
        if verb == "open":
            self.till.open(*args)
            key = f"order-{next(KEYS)}"
            self.ids.append(await self.s.open(args[0], capture=args[1], key=key) | {"key": key})
        elif verb == "wait":
            self.till.wait(*args)
            await self.s.later(timedelta(minutes=args[0]))
        elif self.ids:
            await self._on_order(verb, args[0] % len(self.ids), *args[1:])
        await self.compare()

    async def _on_order(self, verb: str, n: int, *args: Any) -> None:
        order, ident = self.till.orders[n], self.ids[n]
        if verb == "rest":
            verb, args = "tender", (*args, max(1, order.amount - order.total("approved")))
        allowed = getattr(self.till, verb)(order, *args)
        if verb == "reverse":
            reply = await self.s.reverse(ident["key"])
        else:
            path, body = self._said(verb, *args)
            reply = await self.s.ask(ident, path, **body)
        assert reply.is_success == allowed, (verb, args, reply.text, order)

    def _said(self, verb: str, *args: Any) -> tuple[str, dict[str, Any]]:
        match verb, args:
            case "tender", (None, int(amount)):
                return "tenders", cash(amount)
            case "tender", (int(card), int(amount)):
                return "tenders", by_card(self.cards[card], amount)
            case "capture", (amount, final):
                return "capture", {"final": final} | ({"amount": amount} if amount else {})
            case "refund", (amount,):
                return "refunds", {"amount": amount}
            case "freeze", (unknown,):
                return "freeze", {"reason": "why", "outcome_unknown": unknown}
        return verb, {}

    async def compare(self) -> None:
        for order, ident in zip(self.till.orders, self.ids, strict=True):
            assert told(await self.s.see(ident)) == expected(order)
        for card, known in zip(self.cards, self.till.cards, strict=True):
            assert await self.s.worth(card) == (known.balance, known.available)


def told(order: dict[str, Any]) -> tuple[Any, ...]:
    tenders = [
        (t["approved_amount"], t["held_amount"], t["captured_amount"], t["refunded_amount"])
        for t in order["tenders"]
    ]
    return order["status"], tenders


def expected(order: Order) -> tuple[Any, ...]:
    return order.status, [(t.approved, t.held, t.captured, t.refunded) for t in order.tenders]


async def play(s: Shop, program: list[Any]) -> None:
    game = Play(s, [await s.card(balance) for balance in CARDS])
    for step in program:
        await game.step(*step)
    for order, ident in zip(game.till.orders, game.ids, strict=True):
        if game.till.unfreeze(order):
            await s.did(ident, "unfreeze")
        if game.till.release(order):
            await s.did(ident, "release")
    now = from_us(s.w.clock.now_us()).astimezone(START.tzinfo)
    tomorrow = (now + timedelta(days=1)).replace(hour=10, minute=0)
    await s.later(tomorrow - now)
    await game.compare()


def run(url: str, folder: Path, examples: int) -> None:
    """One platform for all programs; the audit judges the lot of them."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        s = runner.run(stack.enter_async_context(shop(url, folder)))

        @settings(
            max_examples=examples,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
            deadline=None,
        )
        @given(PROGRAMS)
        def check(program: list[Any]) -> None:
            runner.run(play(s, program))

        check()
        runner.run(stack.aclose())


@pytest.mark.row("P-16", "F-22")
def test_model_and_platform_agree(database_url: str, tmp_path: Path) -> None:
    run(database_url, tmp_path, 30)


@pytest.mark.proof
def test_model_and_platform_agree_a_thousand_times(database_url: str, tmp_path: Path) -> None:
    run(database_url, tmp_path, 1_000)
