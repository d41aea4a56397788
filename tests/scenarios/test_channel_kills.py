"""`kill -9` of servers while channels tell of payments: every paid top-up arrives, once (F-5)."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.book import State
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.host import Host

from .http import fresh_key, until_answered
from .site import Site
from .world import Actors, Card

EACH = 3
"""Top-ups that are being paid when a server is killed."""
SETTLED_S = 120


@pytest.fixture(scope="module")
def doomed() -> Iterator[Site]:
    """A platform of its own, to be killed."""
    made = Site()
    yield made
    try:
        made.audit(with_journal=False)  # a top-up that is pending is no load yet
    finally:
        made.stop()


@pytest_asyncio.fixture
async def alipay(doomed: Site) -> AsyncIterator[Host]:
    """A party of the sandbox, told of by an operator."""
    party = PARTIES["alipay"](moment.real, Chance(1), keys.new)
    host = Host(party, Chance(2))
    await host.start()
    http = doomed.http()
    world = doomed.world
    body = {
        "company": world.founded.group,
        "name": f"alipay-{secrets.token_hex(3)}",
        "kind": "alipay",
        "account": host.account(),
        "scenes": ["qr", "code"],
        "reason": "a new contract",
    }
    asked = await Actors(http, world).operator.made("/v1/channels", body)
    await http.at(world.keys["approver"]).made(f"/v1/approvals/{asked['id']}/approve", {})
    yield host
    await host.stop()
    await http.close()


@pytest.mark.row("T-05", "T-20")
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.proof)])
async def test_every_paid_top_up_arrives_once(doomed: Site, alipay: Host, kills: int) -> None:
    http = doomed.http()
    actors = Actors(http, doomed.world)
    alipay.order(Faults(lose_notice=30, duplicate=2))
    cards = [await actors.card() for _ in range(10)]
    opened: list[tuple[Card, Any]] = []
    for _ in range(kills):
        for _ in range(EACH):
            card = secrets.choice(cards)
            opened.append((card, await _opened(actors, card)))
        for trade in list(alipay.party.book):
            if trade.state is State.WAITING:
                assert alipay.pay(trade)
        await asyncio.sleep(secrets.randbelow(60) / 1000)
        while not doomed.kill_server():  # noqa: ASYNC110 -- what was killed comes back by itself
            await asyncio.sleep(0.01)
    async with asyncio.timeout(SETTLED_S):
        for _, topup in opened:
            while await _status(actors, topup) != "confirmed":  # noqa: ASYNC110 -- it is asked
                await asyncio.sleep(0.1)
    loaded: Counter[str] = Counter()
    for card, topup in opened:
        loaded[card.id] += topup["amount"]
    for card in cards:
        assert (await actors.balance(card))[0] == loaded[card.id]
    await http.close()


async def _opened(actors: Actors, card: Card) -> Any:
    """A top-up whose payer was shown a code."""
    body = {
        "card": card.id,
        "amount": 100 + secrets.randbelow(200),
        "currency": "CNY",
        "channel": "any",
        "scene": "qr",
        "store": actors.world.north.id,
    }
    async with asyncio.timeout(SETTLED_S):
        while True:
            reply = await actors.operator.insist("/v1/topups", body, fresh_key())
            # Every server knows of a new channel within a second of its approval.
            if reply.status != 422 or reply.json["code"] != "channel_not_configured":
                break
            await asyncio.sleep(0.1)
    assert reply.status == 201, repr(reply)
    return reply.json


async def _status(actors: Actors, topup: Any) -> str:
    seen = await until_answered(partial(actors.operator.get, f"/v1/topups/{topup['id']}"), 60)
    return str(seen["status"])
