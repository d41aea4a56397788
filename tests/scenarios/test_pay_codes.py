"""Pay codes shown twice at once, over two server processes: one acceptance each (ATK-5).

How old a code may be is judged by the clock, so it is shown where the clock stands still:
`tests/paycodes`. The count of `make test` is small, that of the issue runs with `make proof`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from .http import Reply
from .site import Site
from .test_races import CLIENTS, both, full, together
from .world import Actors, Card, World

CARDS = 100
"""Each shows one code at a time: a newer one would bar it."""


@pytest.fixture(autouse=True)
async def spread(actors: Actors, site: Site) -> None:
    """Half of the connections at each server process."""
    await site.spread(actors.http, CLIENTS)


@pytest.fixture(scope="module", autouse=True)
def audited(site: Site) -> Iterator[None]:
    """Whatever raced, the books hold, and every client was told the truth."""
    yield
    site.audit()


def places(world: World, n: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Where the two presentations happen: two tills, two orders of one till, or a
    till that sends the same order twice under two keys.
    """
    north, south = (
        {"store": s.id, "terminal": s.terminal, "cashier": s.cashier, "reference": f"order-{n}"}
        for s in (world.north, world.south)
    )
    return (north, (south, north | {"reference": f"other-{n}"}, north)[n % 3])


async def shown_twice(actors: Actors, card: Card, n: int) -> tuple[Reply, Reply]:
    made = await actors.merchant.made("/v1/pay-codes", {"card": card.id})
    source = {"type": "pay_code", "code": made["code"]}
    one, two = places(actors.world, n)
    first, second = await asyncio.gather(actors.pay(source, 1, **one), actors.pay(source, 1, **two))
    return first, second


@pytest.mark.row("P-14", "P-08")
@pytest.mark.parametrize("count", [500, full(10_000)])
async def test_a_code_shown_twice_at_once_is_accepted_once(actors: Actors, count: int) -> None:
    answers: list[Reply] = []
    for first in range(0, count, CARDS):
        size = min(CARDS, count - first)
        cards = await together((actors.card(10) for _ in range(size)), clients=8)
        pairs = await together(
            (shown_twice(actors, card, first + n) for n, card in enumerate(cards)),
            clients=CLIENTS // 2,
        )
        for pair in pairs:
            assert sorted(reply["status"] for reply in pair) == ["captured", "declined"], pair
            answers += pair
    assert both(answers)
    declined = Counter(r["decline_code"] for r in answers if r["status"] == "declined")
    assert declined == {"pay_code_used": count}


async def test_many_presentations_of_one_code_at_many_tills_are_one_payment(
    actors: Actors,
) -> None:
    card = await actors.card(1_000)
    made = await actors.merchant.made("/v1/pay-codes", {"card": card.id})
    source = {"type": "pay_code", "code": made["code"]}
    replies = await together(
        actors.pay(source, 1, reference=f"order-{n}") for n in range(2 * CLIENTS)
    )
    assert Counter(reply["status"] for reply in replies)["captured"] == 1
    assert (await actors.see(card))["balance"] == 999


async def test_of_codes_made_at_once_the_last_one_counts(actors: Actors) -> None:
    card = await actors.card(1_000)
    made = await together(
        actors.merchant.made("/v1/pay-codes", {"card": card.id}) for _ in range(20)
    )
    sources = [{"type": "pay_code", "code": each["code"]} for each in made]
    replies = await together(actors.pay(source, 1) for source in sources)
    assert Counter(reply["decline_code"] for reply in replies) == {
        None: 1,
        "pay_code_expired": 19,
    }
