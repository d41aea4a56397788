"""The database goes away: a clear no within 5 s, nothing half-done, and back by itself (F-10).

Answers that are lost, doubled and late (F-5, F-6) belong here too: to a client
they are the same silence.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from .http import RETRY, LostError, Reply, fresh_key, request
from .site import Site, stopped
from .world import Actors, Card

LIMIT_S = 5.0
BACK_S = 20.0


@pytest.fixture(scope="module")
def alone() -> Iterator[Site]:
    """A platform whose database nobody else needs."""
    made = Site()
    yield made
    try:
        made.audit()
    finally:
        made.stop()


@pytest.fixture
async def actors(alone: Site) -> Any:
    http = alone.http()
    yield Actors(http, alone.world)
    await http.close()


async def timed(ask: Awaitable[Reply]) -> tuple[Reply | None, float]:
    began = time.monotonic()
    try:
        reply = await ask
    except LostError:
        return None, time.monotonic() - began
    return reply, time.monotonic() - began


Ask = Callable[[Actors, Card, str], Awaitable[Reply]]


async def pay(actors: Actors, card: Card, key: str) -> Reply:
    return await actors.pay(card, 100, key=key)


async def inquire(actors: Actors, card: Card, key: str) -> Reply:
    return await actors.inquire(card)


async def top_up(actors: Actors, card: Card, key: str) -> Reply:
    return await actors.merchant.post("/v1/topups", actors.topup_body(card, 100), key=key)


async def issue(actors: Actors, card: Card, key: str) -> Reply:
    wanted = {"programme": actors.world.bearer, "carrier": "electronic"}
    return await actors.operator.post("/v1/cards", wanted, key=key)


async def look(actors: Actors, card: Card, key: str) -> Reply:
    return await actors.operator.get(f"/v1/cards/{card.id}")


async def search(actors: Actors, card: Card, key: str) -> Reply:
    return await actors.merchant.get("/v1/payments", reference="nothing")


HOT: list[Ask] = [pay, inquire]
COLD: list[Ask] = [top_up, issue, look, search]
ASKS = HOT + COLD


@pytest.mark.row("P-17", "P-02")
@pytest.mark.parametrize("asks", [HOT, COLD], ids=["hot", "cold"])
@pytest.mark.parametrize("outages", [1, pytest.param(10, marks=pytest.mark.proof)])
async def test_a_database_that_hangs_is_answered_in_time(
    actors: Actors, alone: Site, outages: int, asks: list[Ask]
) -> None:
    for _ in range(outages):
        card = await actors.card(10_000)
        await alone.spread(actors.http, 24)
        keys = {ask.__name__: fresh_key() for ask in ASKS}
        postmaster = alone.postmaster()
        assert postmaster is not None
        with stopped(postmaster, *alone.backends()):
            outcomes = await asyncio.gather(
                *(timed(ask(actors, card, keys[ask.__name__])) for ask in asks for _ in range(4))
            )
            ready = await actors.http.at(None).get("/readyz")
        for n, (reply, seconds) in enumerate(outcomes):
            name = asks[n // 4].__name__
            assert reply is not None, (name, seconds)
            # 409: the first request with this key still hangs; asked again like the others.
            assert reply.status in RETRY | {409}, (name, reply)
            assert seconds < LIMIT_S + 0.5, (name, seconds)
        assert ready.status == 503
        await _back(actors, card, keys)


@pytest.mark.row("P-17", "P-02")
async def test_a_database_that_is_stopped_comes_back_by_itself(actors: Actors, alone: Site) -> None:
    card = await actors.card(10_000)
    keys = {ask.__name__: fresh_key() for ask in ASKS}
    servers = sorted(alone.servers())
    postmaster = alone.postmaster()
    assert postmaster is not None
    os.kill(postmaster, signal.SIGQUIT)  # at once, without a checkpoint
    outcomes = await asyncio.gather(
        *(timed(ask(actors, card, keys[ask.__name__])) for ask in ASKS for _ in range(3))
    )
    for reply, seconds in outcomes:
        assert reply is not None
        assert reply.status in RETRY | {200, 201}, repr(reply)
        assert seconds < LIMIT_S + 0.5
    await _back(actors, card, keys)
    assert sorted(alone.servers()) == servers, "no restart was needed"


async def _back(actors: Actors, card: Card, keys: dict[str, str]) -> None:
    """The same requests with the same keys: each has its effect, once."""
    began = time.monotonic()
    for ask in ASKS:
        reply = None
        while reply is None or reply.status in RETRY:
            reply, _ = await timed(ask(actors, card, keys[ask.__name__]))
            assert time.monotonic() - began < BACK_S, (ask.__name__, reply)
            await asyncio.sleep(0.05)
        assert reply.status in {200, 201}, repr(reply)
        if ask is issue:
            actors.keep(reply.json)
    # 100 paid and 100 loaded, however often they were asked for.
    assert await actors.balance(card) == (10_000, 10_000)
    assert [a["type"] for a in await actors.activities(card)].count("payment") == 1


async def test_after_all_this_the_books_hold(alone: Site) -> None:
    alone.audit()


# Answers that are lost, requests that come twice, late and out of order


@pytest.mark.row("P-17", "P-19")
@pytest.mark.parametrize("operations", [400, pytest.param(10_000, marks=pytest.mark.proof)])
async def test_lost_doubled_and_late_requests_have_one_effect_each(
    actors: Actors, alone: Site, operations: int
) -> None:
    """30 % of answers are never read, 20 % of requests come twice, some much later."""
    cards = [await actors.card(100_000) for _ in range(20)]
    await alone.spread(actors.http, 32)
    chance = secrets.randbelow
    later: list[tuple[bytes, bytes]] = []
    spent: dict[int, int] = {}

    async def operation(n: int) -> None:
        card = cards[n % len(cards)]
        body = actors.pay_body(card, 1 + chance(30), capture=bool(chance(5)))
        raw = request("POST", "/v1/payments", body, token=actors.merchant.token, key=fresh_key())
        for _ in range(10):
            if chance(100) >= 30:
                break
            await actors.http.say(raw, linger_s=chance(5) / 1000)
        copies = 2 if chance(100) < 20 else 1
        replies = await asyncio.gather(*(actors.http.ask(raw) for _ in range(copies)))
        assert {(r.status, r.body) for r in replies} == {(201, replies[0].body)}
        spent[n % len(cards)] = spent.get(n % len(cards), 0) + replies[0]["approved_amount"]
        if chance(100) < 20:
            later.append((raw, replies[0].body))

    turns = asyncio.Semaphore(32)

    async def in_turn(n: int) -> None:
        async with turns:
            await operation(n)

    await asyncio.gather(*(in_turn(n) for n in range(operations)))
    secrets.SystemRandom().shuffle(later)
    for raw, body in later:
        assert (await actors.http.ask(raw)).body == body
    for n, card in enumerate(cards):
        assert (await actors.balance(card))[1] == 100_000 - spent.get(n, 0)
