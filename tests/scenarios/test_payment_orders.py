"""Payment orders while everybody asks at once, and while things are killed.

All tenders are captured or all are undone, whatever dies in between.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from .http import Reply, fresh_key
from .site import Site
from .world import Actors, Card

CLIENTS = 16
LOAD = 50_000


@pytest.fixture(scope="module")
def doomed() -> Iterator[Site]:
    """A platform of its own, to be killed."""
    made = Site()
    yield made
    try:
        made.audit()
    finally:
        made.stop()


def by_card(card: Card, amount: int | None = None) -> dict[str, Any]:
    return {"type": "card", "source": card.by_number} | ({"amount": amount} if amount else {})


def body_of(actors: Actors, amount: int, *tenders: dict[str, Any], **more: Any) -> dict[str, Any]:
    north = actors.world.north
    return {
        "amount": amount,
        "currency": "CNY",
        "store": north.id,
        "terminal": north.terminal,
        "cashier": north.cashier,
        "tenders": list(tenders),
    } | more


async def opened(actors: Actors, amount: int, *tenders: dict[str, Any], **more: Any) -> Any:
    return await actors.merchant.made(
        "/v1/payment-orders", body_of(actors, amount, *tenders, **more)
    )


async def ask(actors: Actors, order: Any, verb: str, key: str = "", **body: Any) -> Reply:
    return await actors.merchant.post(f"/v1/payment-orders/{order['id']}/{verb}", body, key=key)


async def see(actors: Actors, order: Any) -> Any:
    return await actors.merchant.got(f"/v1/payment-orders/{order['id']}")


@pytest.mark.row("P-16", "F-8")
async def test_captures_and_cancels_at_once_leave_nothing_half(actors: Actors, site: Site) -> None:
    await site.spread(actors.http, CLIENTS)
    for _ in range(12):
        one, other = await actors.card(3_000), await actors.card(2_000)
        order = await opened(
            actors, 5_000, by_card(other, 2_000), by_card(one, 3_000), capture=False
        )
        asks = [ask(actors, order, verb) for verb in ("capture", "cancel") for _ in range(6)]
        secrets.SystemRandom().shuffle(asks)
        replies = await asyncio.gather(*asks)
        captures = [r for r in replies if r.status == 200 and r["status"] == "captured"]
        cancels = [r for r in replies if r.status == 200 and r["status"] == "cancelled"]
        # What was captured may be cancelled the same day; what was cancelled stays so.
        assert len(cancels) == 1 and len(captures) <= 1
        refused = {r.code for r in replies if r.status != 200}
        assert refused == {"payment_order_state_forbids"}
        assert (await see(actors, order))["status"] == "cancelled"
        assert await actors.balance(one) == (3_000, 3_000)
        assert await actors.balance(other) == (2_000, 2_000)


@pytest.mark.row("P-16", "F-8")
async def test_two_captures_and_two_releases_are_one(actors: Actors, site: Site) -> None:
    await site.spread(actors.http, CLIENTS)
    for _ in range(12):
        one, other = await actors.card(3_000), await actors.card(2_000)
        order = await opened(
            actors, 5_000, by_card(one, 3_000), by_card(other, 2_000), capture=False
        )
        asks = [ask(actors, order, verb) for verb in ("capture", "release") for _ in range(6)]
        secrets.SystemRandom().shuffle(asks)
        replies = await asyncio.gather(*asks)
        [won] = [r for r in replies if r.status == 200]
        assert {r.code for r in replies if r is not won} == {"payment_order_state_forbids"}
        taken = won["status"] == "captured"
        assert await actors.balance(one) == ((0, 0) if taken else (3_000, 3_000))
        assert await actors.balance(other) == ((0, 0) if taken else (2_000, 2_000))


@pytest.mark.row("P-16")
async def test_one_key_sent_often_is_one_sale(actors: Actors, site: Site) -> None:
    await site.spread(actors.http, CLIENTS)
    card = await actors.card(LOAD)
    key = fresh_key()
    body = body_of(actors, 1_000, by_card(card, 700), {"type": "cash"})
    replies = await asyncio.gather(
        *(actors.merchant.insist("/v1/payment-orders", body, key) for _ in range(CLIENTS))
    )
    assert {(r.status, r.body) for r in replies} == {(201, replies[0].body)}
    assert await actors.balance(card) == (LOAD - 700, LOAD - 700)


@pytest.mark.row("P-16", "F-9")
async def test_the_same_cards_in_any_order_never_wait_in_a_circle(
    actors: Actors, site: Site
) -> None:
    await site.spread(actors.http, CLIENTS)
    cards = [await actors.card(LOAD) for _ in range(4)]
    shuffled = secrets.SystemRandom()

    async def sell(at_the_opening: int) -> Reply:
        mine = shuffled.sample(cards, 4)
        tenders = [by_card(card, 10) for card in mine]
        body = body_of(actors, 40, *tenders[:at_the_opening])
        reply = await actors.merchant.post("/v1/payment-orders", body)
        for tender in tenders[at_the_opening:]:
            reply = await ask(actors, reply.json, "tenders", **tender)
        return reply

    async def pay() -> Reply:
        return await actors.pay(shuffled.choice(cards), 1)

    replies = await asyncio.gather(*(sell(n % 4) if n % 2 else pay() for n in range(80)))
    assert {r.status for r in replies} == {201}, replies
    spent = 40 * 4 * 10 + 40
    balances = [(await actors.balance(card))[0] for card in cards]
    assert sum(balances) == 4 * LOAD - spent


@pytest.mark.row("P-16", "P-17", "F-1", "F-2")
async def test_kills_leave_all_tenders_or_none(doomed: Site) -> None:
    """Each sale is one card, another card and cash, by two requests; servers and
    the database are killed meanwhile. What is answered is so, and no sale is half.
    """
    http = doomed.http()
    actors = Actors(http, doomed.world)
    cards = [await actors.card(LOAD) for _ in range(10)]
    sales: list[tuple[Card, Card, Any]] = []
    left, kills = 160, 0

    async def sell() -> None:
        one, other = secrets.SystemRandom().sample(cards, 2)
        body = body_of(actors, 300, by_card(one, 100), by_card(other, 150), capture=False)
        order = (await actors.merchant.insist("/v1/payment-orders", body, fresh_key())).json
        path = f"/v1/payment-orders/{order['id']}"
        cash = {"type": "cash", "amount": 50}
        await actors.merchant.insist(f"{path}/tenders", cash, fresh_key())
        verb = secrets.choice(["capture", "capture", "cancel"])
        done = await actors.merchant.insist(f"{path}/{verb}", {}, fresh_key())
        assert done.status == 200, repr(done)
        sales.append((one, other, done.json))

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await sell()

    async def killer() -> None:
        nonlocal kills
        for kill in [doomed.kill_server, doomed.kill_database] * 3:
            await asyncio.sleep(0.5)
            while left > 0 and not kill():  # noqa: ASYNC110 -- what is killed comes back by itself
                await asyncio.sleep(0.05)
            kills += left > 0

    async with asyncio.TaskGroup() as group:
        group.create_task(killer())
        for _ in range(CLIENTS):
            group.create_task(client())
    assert kills >= 3, "nobody noticed: the kills came to nothing"
    spent = dict.fromkeys((card.id for card in cards), 0)
    for one, other, order in sales:
        assert await see(actors, order) == order
        if order["status"] == "captured":
            spent[one.id] += 100
            spent[other.id] += 150
        else:
            assert order["status"] == "cancelled"
    for card in cards:
        assert await actors.balance(card) == (LOAD - spent[card.id], LOAD - spent[card.id])
    await http.close()


@pytest.mark.row("P-06", "ruling 20")
async def test_capture_and_sweep_at_once(doomed: Site) -> None:
    """As if the half hour were over at this very moment: one of the two has it."""
    http = doomed.http()
    actors = Actors(http, doomed.world)
    card = await actors.card(LOAD)
    orders = [await opened(actors, 100, by_card(card), capture=False) for _ in range(40)]
    ids = [order["id"].removeprefix("pmo_") for order in orders]
    with doomed.connect() as conn:
        conn.execute(
            "update tenders.payment_order set ends_at = clock_timestamp() + n * interval '60 ms'"
            " from unnest(%s::uuid[]) with ordinality as e (ident, n) where id = ident",
            [ids],
        )
    await asyncio.sleep(1.0)
    await asyncio.gather(*(ask(actors, order, "capture") for order in orders))
    async with asyncio.timeout(60):
        while True:
            seen = [await see(actors, order) for order in orders]
            if all(order["status"] != "open" for order in seen):
                break
            await asyncio.sleep(0.2)
    captured = [order for order in seen if order["status"] == "captured"]
    assert {order["status"] for order in seen} == {"captured", "expired"}
    assert await actors.balance(card) == (LOAD - 100 * len(captured),) * 2
    await http.close()


@pytest.mark.row("P-10")
@pytest.mark.parametrize("who", ["shop", "stranger"])
async def test_an_order_elsewhere_is_unknown(actors: Actors, who: str) -> None:
    card, south = await actors.card(1_000), actors.world.south
    there = {"store": south.id, "terminal": south.terminal, "cashier": south.cashier}
    order = await opened(actors, 1_000, by_card(card, 500), reference="there", **there)
    asker = getattr(actors, who)
    nobodys = f"pmo_{'0' * 32}"
    for verb, body in (
        ("tenders", {"type": "cash"}),
        ("capture", {}),
        ("release", {}),
        ("cancel", {}),
        ("freeze", {"reason": "mine"}),
        ("unfreeze", {}),
        ("refunds", {}),
    ):
        reply = await asker.post(f"/v1/payment-orders/{order['id']}/{verb}", body)
        unknown = await asker.post(f"/v1/payment-orders/{nobodys}/{verb}", body)
        assert (reply.status, reply.code) == (unknown.status, unknown.code) == (404, "not_found")
    for path in ("", "/refunds"):
        reply = await asker.get(f"/v1/payment-orders/{order['id']}{path}")
        assert (reply.status, reply.code) == (404, "not_found")
    assert (await asker.got("/v1/payment-orders", reference="there"))["data"] == []
    refused = await asker.post("/v1/payment-orders", body_of(actors, 1, **there))
    assert (refused.status, refused.code) == (404, "unknown_store")
    assert await see(actors, order) == order
    await ask(actors, order, "cancel")


@pytest.mark.row("R-04")
async def test_verbs_of_an_order_need_their_permission(actors: Actors) -> None:
    order = f"pmo_{'0' * 32}"
    for who, verb in (
        ("auditor", ""),
        ("auditor", f"/{order}/capture"),
        ("operator", f"/{order}/tenders"),
        ("cashier", f"/{order}/refunds"),
    ):
        reply = await getattr(actors, who).post(f"/v1/payment-orders{verb}", {"nonsense": 1})
        assert (reply.status, reply.code) == (403, "forbidden"), (who, verb)


@pytest.mark.row("ATK-1")
async def test_a_card_by_its_id_needs_a_key_that_covers_it(actors: Actors) -> None:
    card = await actors.card(1_000)
    tender = {"type": "card", "source": card.by_id}
    reply = await actors.shop.post("/v1/payment-orders", body_of(actors, 100, tender))
    [declined] = reply["tenders"]
    assert (declined["decline_code"], declined["card"]) == ("card_not_accepted", None)
    await opened(actors, 100, tender)
    assert await actors.balance(card) == (900, 900)
