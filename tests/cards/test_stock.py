"""Stock: ranges as a pure model, and plastic that is worth nothing elsewhere."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.cards.claims import By
from kabao.cards.model import Batch, Carrier, NewBatch, NewCard, Programme
from kabao.cards.ranges import (
    Location,
    NewLocation,
    Place,
    Range,
    RangeState,
    Span,
    overlay,
    within,
)
from kabao.cards.states import Reason

from . import lives, make
from .lives import Living, refused

# --- ranges, against a model that knows every serial -----------------------------------

SIZE = 12
LAYERS = st.lists(
    st.tuples(
        st.integers(1, SIZE),
        st.integers(1, SIZE),
        st.sampled_from(["a", "b"]),
        st.sampled_from(list(RangeState)),
    ),
    max_size=10,
)


@given(layers=LAYERS)
def test_ranges_say_of_every_serial_what_was_said_last(
    layers: list[tuple[int, int, str, RangeState]],
) -> None:
    ranges = [Range("x", 1, SIZE, "a", RangeState.IN_PLACE)]
    model = dict.fromkeys(range(1, SIZE + 1), ("a", RangeState.IN_PLACE))
    for one, other, location, state in layers:
        first, last = sorted((one, other))
        ranges = overlay(ranges, [Range("x", first, last, location, state)])
        model |= dict.fromkeys(range(first, last + 1), (location, state))
    told = {serial: (r.location, r.state) for r in ranges for serial in range(r.first, r.last + 1)}
    assert told == model
    assert sum(r.last - r.first + 1 for r in ranges) == SIZE, "no serial lies in two ranges"
    assert not [b for a, b in itertools.pairwise(ranges) if b.follows(a)]
    parts = within(ranges, 3, 7)
    assert next(p.first for p in parts) == 3
    assert [p.last for p in parts][-1] == 7


def test_a_serial_nobody_has_is_not_in_stock() -> None:
    ranges = [
        Range("x", 1, 3, "a", RangeState.IN_PLACE),
        Range("x", 5, 9, "a", RangeState.IN_PLACE),
    ]
    with pytest.raises(KabaoError) as no:
        within(ranges, 2, 6)
    assert no.value.code.name == "stock_range_unknown"


# --- the real thing -----------------------------------------------------------------------


class Depot:
    """A batch of ten plastic cards at headquarters, and places to bring them."""

    world: Living
    of: Programme
    batch: Batch
    cards: list[str]
    office: Location
    shop: Location
    till: Location
    elsewhere: Location
    clerk: By
    taker: By


@pytest.fixture
async def depot(db: Database, tmp_path: Path) -> AsyncIterator[Depot]:
    async with lives.living(db, tmp_path) as world:
        depot = Depot()
        depot.world, company = world, world.issuer.id
        depot.of = await make.programme(world)

        async def place(kind: Place, store: str | None, terminal: str | None = None) -> Location:
            new = NewLocation(
                company=company,
                kind=kind,
                name=f"{kind} {terminal or store or ''}",
                store=store,
                terminal=terminal,
            )
            return await world.do(lambda c: world.stock.add_location(c, new))

        depot.office = await place(Place.HEADQUARTERS, None)
        depot.shop = await place(Place.STORE, world.store.id)
        depot.till = await place(Place.TILL, world.store.id, world.till.id)
        depot.elsewhere = await place(Place.STORE, world.other_store.id)
        new = NewBatch(
            programme=depot.of.id, carrier=Carrier.PHYSICAL, count=10, location=depot.office.id
        )
        depot.batch = await world.do(lambda c: world.cards.open_batch(c, new, world.by_two))
        await world.cards.run_batch(depot.batch.id)
        async with world.db.read() as conn:
            rows = await (
                await conn.execute(
                    "select id from cards.card where batch = %s order by serial", [depot.batch.id]
                )
            ).fetchall()
        depot.cards = [row[0] for row in rows]
        depot.clerk, depot.taker = By("clerk", company), By("taker", company)
        yield depot


async def send(depot: Depot, first: int, last: int, to: Location) -> str:
    world = depot.world
    sent = await world.do(
        lambda c: world.stock.send(c, depot.batch.id, first, last, to.id, depot.clerk)
    )
    return sent.id


async def receive(depot: Depot, ident: str, counted: int, *missing: Span) -> None:
    world = depot.world
    await world.do(lambda c: world.stock.receive(c, ident, counted, missing, depot.taker))


async def activate(depot: Depot, serial: int, by: By) -> None:
    world = depot.world
    await world.do(lambda c: world.life.activate(c, depot.cards[serial - 1], by))


async def in_stock(depot: Depot) -> list[tuple[int, int, str, str, int]]:
    world = depot.world
    async with world.db.read() as conn:
        found = await world.stock.list_ranges(
            conn, locations=None, batch=depot.batch.id, after=None, limit=50
        )
    names = {
        depot.office.id: "office",
        depot.shop.id: "shop",
        depot.till.id: "till",
        depot.elsewhere.id: "elsewhere",
    }
    return [(r.first, r.last, names[r.location], r.state, r.in_stock) for r in found]


@pytest.mark.row("ATK-12")
async def test_plastic_is_activated_only_where_it_lies(depot: Depot) -> None:
    world = depot.world
    here, there = world.counter, world.counter_elsewhere
    async with refused("card_not_in_stock_here", "ATK-12"):
        await activate(depot, 1, here)
    sent = await send(depot, 1, 6, depot.shop)
    async with refused("card_not_in_stock_here"):
        await activate(depot, 1, here)  # on its way
    await receive(depot, sent, 6)
    async with refused("card_not_in_stock_here"):
        await activate(depot, 1, there)
    async with refused("card_not_in_stock_here"):
        await activate(depot, 7, here)
    await activate(depot, 1, here)
    await receive(depot, await send(depot, 2, 3, depot.till), 2)
    await activate(depot, 2, here)
    async with refused("card_not_in_stock_here"):
        await activate(depot, 3, msgspec.structs.replace(here, terminal=world.other_till.id))
    assert await in_stock(depot) == [
        (1, 1, "shop", "in_place", 0),
        (2, 3, "till", "in_place", 1),
        (4, 6, "shop", "in_place", 3),
        (7, 10, "office", "in_place", 4),
    ]


async def test_headquarters_sells_to_companies_out_of_its_own_stock(depot: Depot) -> None:
    async with refused("card_not_in_stock_here"):
        await activate(depot, 9, By("other", depot.world.ids.new()))
    await activate(depot, 9, depot.clerk)


async def test_single_plastic_lies_where_it_was_made(depot: Depot) -> None:
    world = depot.world
    new = NewCard(programme=depot.of.id, carrier=Carrier.PHYSICAL, location=depot.shop.id)
    card = await world.do(lambda c: world.cards.issue(c, new, world.by))
    async with refused("card_not_in_stock_here"):
        await world.do(lambda c: world.life.activate(c, card.card.id, world.counter_elsewhere))
    await world.do(lambda c: world.life.activate(c, card.card.id, world.counter))


async def test_a_hand_over_takes_two_persons_and_two_steps(depot: Depot) -> None:
    world = depot.world
    sent = await send(depot, 1, 5, depot.shop)
    assert await in_stock(depot) == [
        (1, 5, "office", "moving", 5),
        (6, 10, "office", "in_place", 5),
    ]
    async with refused("stock_moving"):
        await send(depot, 4, 7, depot.elsewhere)
    async with refused("same_person", "ATK-11"):
        await world.do(lambda c: world.stock.receive(c, sent, 5, (), depot.clerk))
    async with refused("stock_count_differs"):
        await receive(depot, sent, 4)
    await receive(depot, sent, 5)
    async with refused("hand_over_ended"):
        await receive(depot, sent, 5)
    again = await send(depot, 5, 5, depot.elsewhere)
    await world.do(lambda c: world.stock.cancel(c, again, depot.clerk))
    assert await in_stock(depot) == [
        (1, 5, "shop", "in_place", 5),
        (6, 10, "office", "in_place", 5),
    ]
    async with refused("stock_range_unknown"):
        await send(depot, 5, 6, depot.elsewhere)
    async with refused("stock_range_unknown"):
        await send(depot, 9, 11, depot.elsewhere)
    async with refused("invalid"):
        await send(depot, 1, 5, depot.shop)


async def test_what_is_missing_on_arrival_is_blocked(depot: Depot) -> None:
    sent = await send(depot, 1, 6, depot.shop)
    async with refused("invalid"):
        await receive(depot, sent, 5, Span(7, 7))
    async with refused("invalid"):
        await receive(depot, sent, 3, Span(2, 3), Span(3, 4))
    await receive(depot, sent, 4, Span(2, 3))
    assert await in_stock(depot) == [
        (1, 1, "shop", "in_place", 1),
        (2, 3, "office", "missing", 0),
        (4, 6, "shop", "in_place", 3),
        (7, 10, "office", "in_place", 4),
    ]
    async with refused("card_state_forbids"):
        await activate(depot, 2, depot.world.counter)


async def test_lost_serials_are_blocked_and_can_be_found(depot: Depot) -> None:
    world = depot.world
    await activate(depot, 4, depot.clerk)
    lost = await world.do(
        lambda c: world.stock.lose(c, depot.batch.id, 3, 5, Reason.STOLEN, depot.clerk)
    )
    assert lost == 2, "the sold one is its holder's"
    async with refused("card_state_forbids"):
        await activate(depot, 3, depot.clerk)
    async with refused("stock_moving"):
        await send(depot, 3, 3, depot.shop)
    async with refused("stock_range_unknown"):
        await world.do(lambda c: world.stock.find(c, depot.batch.id, 2, 3, depot.clerk))
    back = await world.do(lambda c: world.stock.find(c, depot.batch.id, 3, 5, depot.clerk))
    assert back == 2
    await activate(depot, 3, depot.clerk)
    assert await in_stock(depot) == [(1, 10, "office", "in_place", 8)]
    async with world.db.read() as conn:
        lines = await world.life.history(conn, depot.cards[2], before=None, limit=9)
    assert [line.verb for line in lines] == ["activate", "unblock", "block"]


async def test_a_stock_take_records_the_difference(depot: Depot) -> None:
    world, batch = depot.world, depot.batch.id
    await receive(depot, await send(depot, 1, 4, depot.shop), 4)
    await activate(depot, 1, world.counter)
    for counted, difference in ((3, 0), (2, -1), (5, 2)):
        taken = await world.do(
            lambda c, n=counted: world.stock.count(c, depot.shop.id, batch, n, "", depot.clerk)  # type: ignore[misc]
        )
        assert (taken.expected, taken.difference) == (3, difference)
    async with world.db.read() as conn:
        kept = await world.stock.list_counts(conn, depot.shop.id, after=None, limit=9)
    assert [one.counted for one in kept] == [3, 2, 5]


async def test_selling_and_losing_the_same_card_at_once(depot: Depot) -> None:
    """Whoever comes first wins; the card is never both sold and blocked."""
    world = depot.world

    async def lose(serial: int) -> int:
        return await world.do(
            lambda c: world.stock.lose(
                c, depot.batch.id, serial, serial, Reason.LOST_IN_STOCK, depot.clerk
            )
        )

    for serial in range(1, 7):
        sold, blocked = await asyncio.gather(
            activate(depot, serial, depot.clerk), lose(serial), return_exceptions=True
        )
        async with world.db.read() as conn:
            card = await world.cards.find_card(conn, depot.cards[serial - 1])
        if sold is None:
            assert (blocked, card.state.value) == (0, "active")
        else:
            assert isinstance(sold, KabaoError)
            assert (blocked, card.state.value) == (1, "blocked")


async def test_a_place_is_one_place(depot: Depot) -> None:
    world, company = depot.world, depot.world.issuer.id

    async def add(**said: object) -> None:
        new = NewLocation(company=company, **said)  # type: ignore[arg-type]
        await world.do(lambda c: world.stock.add_location(c, new))

    async with refused("location_taken"):
        await add(kind=Place.STORE, name="again", store=world.store.id)
    async with refused("invalid"):
        await add(kind=Place.STORE, name="nowhere")
    async with refused("invalid"):
        await add(kind=Place.FACTORY, name="works", store=world.store.id)
    async with refused("invalid"):
        await add(kind=Place.TILL, name="no till", store=world.store.id)
    async with refused("not_found"):
        await add(kind=Place.STORE, name="foreign", store=world.ids.new())
    async with refused("terminal_of_other_store"):
        await add(kind=Place.TILL, name="x", store=world.store.id, terminal=world.other_till.id)
