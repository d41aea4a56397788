"""What is told of a card: everything that happened, once, in its order; nothing that did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kabao.base import outbox
from kabao.base.db import Database

from .http import fresh_key
from .site import Site
from .world import Actors, Card

pytestmark = pytest.mark.row("T-19", "P-05")


def events(site: Site, card: Card) -> list[tuple[str, dict[str, Any]]]:
    """All events of a card's value, by their number."""
    with site.connect() as conn:
        found = conn.execute(
            """select o.type, o.payload from base.outbox o
            join ledger.root r on r.id = o.root and r.card = %s order by o.root_seq""",
            [card.id.removeprefix("card_")],
        ).fetchall()
    return [(kind, payload) for kind, payload in found]


async def test_a_cards_story_in_its_order(actors: Actors, site: Site) -> None:
    card = await actors.card()
    topup = await actors.load(card, 10_000)
    paid = await actors.paid(card, 1_000)
    await actors.pay(card, 20_000)  # declined: nothing has happened
    hold = await actors.held(card, 2_000)
    await actors.act(hold, "capture", amount=500)
    refund = await actors.act(paid, "refunds", amount=300)
    await actors.act(await actors.paid(card, 7), "void")
    key = fresh_key()
    await actors.paid(card, 8, key=key)
    await actors.reverse(idempotency_key=key)
    await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "risk"})
    told = events(site, card)
    assert [kind for kind, _ in told] == [
        "card.created",
        "topup.confirmed",
        "topup.invoiceable",
        "payment.captured",
        "payment.authorized",
        "payment.captured",
        "payment.refunded",
        "payment.captured",
        "payment.voided",
        "payment.captured",
        "payment.reversed",
        "card.state_changed",
    ]
    by_kind = dict(told)
    assert by_kind["topup.confirmed"]["topup"] == topup["id"].removeprefix("top_")
    assert told[3][1] == {
        "payment": paid["id"].removeprefix("pay_"),
        "card": card.id.removeprefix("card_"),
        "store": actors.world.north.id.removeprefix("sto_"),
        "amount": 1_000,
        "currency": "CNY",
        "balance_after": 9_000,
    }
    assert by_kind["payment.refunded"]["refund"] == refund["id"].removeprefix("ref_")


async def test_no_event_holds_a_secret(actors: Actors, site: Site) -> None:
    card = await actors.card(1_000)
    await actors.paid(card, 1)
    text = repr(events(site, card))
    for secret in (card.number, card.pin, card.track2, card.barcode):
        assert secret not in text


async def test_a_replay_tells_nothing_twice(actors: Actors, site: Site) -> None:
    card, key = await actors.card(1_000), fresh_key()
    await asyncio.gather(*(actors.pay(card, 10, key=key) for _ in range(20)))
    kinds = [kind for kind, _ in events(site, card)]
    assert kinds.count("payment.captured") == 1


class Reader:
    """A consumer of the outbox, in a process of its own as far as the database can tell."""

    def __init__(self, db: Database) -> None:
        self._db, self._name = db, f"reader {fresh_key()}"
        self.seen: list[outbox.Written] = []

    async def _some(self) -> int:
        async with self._db.transaction() as conn:
            some = await outbox.read(conn, self._name, limit=37)
            if some:
                await outbox.advance(conn, self._name, some[-1])
        self.seen.extend(some)
        return len(some)

    async def follow(self, done: asyncio.Event) -> None:
        """Read until `done`, and then to the end."""
        while not done.is_set():
            if not await self._some():
                await asyncio.sleep(0.002)
        while await self._some():
            pass

    def check(self) -> None:
        """Every event once, and each root's in the order in which they happened."""
        assert len({(each.xid, each.n) for each in self.seen}) == len(self.seen)
        behind: dict[str, int] = {}
        for each in self.seen:
            if each.root is not None and each.root_seq is not None:
                last = behind.get(each.root, each.root_seq - 1)
                assert each.root_seq == last + 1, (each.type, each.root_seq, "after", last)
                behind[each.root] = each.root_seq


@pytest.fixture
async def reader(site: Site) -> AsyncIterator[Reader]:
    db = Database(site.database_url, max_size=2)
    await db.open()
    yield Reader(db)
    await db.close()


async def test_a_reader_gets_every_event_once_and_each_cards_in_order(
    actors: Actors, site: Site, reader: Reader
) -> None:
    """While two processes write, a reader follows; it never passes a transaction still open."""
    cards = [await actors.card(100_000) for _ in range(6)]
    await site.spread(actors.http, 32)
    done = asyncio.Event()
    following = asyncio.create_task(reader.follow(done))
    await asyncio.gather(*(actors.pay(cards[n % 6], 1) for n in range(1_200)))
    done.set()
    await following
    with site.connect() as conn:
        assert conn.execute("select count(*) from base.outbox").fetchone() == (len(reader.seen),)
    reader.check()


async def test_changes_of_a_card_and_payments_are_told_in_the_order_they_happened(
    actors: Actors, site: Site, reader: Reader
) -> None:
    """A change begins its transaction long before it has the card's lock, payments do not."""
    cards = [await actors.card(100_000) for _ in range(4)]
    await site.spread(actors.http, 32)
    done = asyncio.Event()
    following = asyncio.create_task(reader.follow(done))

    async def change(card: Card) -> None:
        for _ in range(12):
            await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "dispute"})
            body = {"reason": "dispute_closed"}
            await actors.operator.made(f"/v1/cards/{card.id}/unfreeze", body)

    async def pay(card: Card) -> None:
        for _ in range(150):
            await actors.pay(card, 1)

    await asyncio.gather(*(change(card) for card in cards), *(pay(c) for c in cards * 3))
    done.set()
    await following
    reader.check()
