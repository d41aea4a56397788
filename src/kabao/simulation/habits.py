"""When people come, what they buy and how they pay. Pure numbers, no one's secrets."""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.simulation.chance import Chance
from kabao.simulation.world import Kind, Person, StorePlan

HOUR_S = 3_600
SATURDAY = 5


class Basket(msgspec.Struct, frozen=True):
    """What people spend in one kind of store, in fen."""

    median_fen: int
    spread: float
    low_fen: int
    high_fen: int


BASKETS = {
    Kind.HYPERMARKET: Basket(8_800, 0.75, 300, 120_000),
    Kind.SUPERMARKET: Basket(5_200, 0.7, 200, 60_000),
    Kind.CONVENIENCE: Basket(1_500, 0.6, 100, 12_000),
    Kind.BAKERY: Basket(1_300, 0.5, 200, 20_000),
    Kind.CAFE: Basket(2_600, 0.45, 900, 18_000),
    Kind.CANTEEN: Basket(1_800, 0.35, 500, 8_000),
}

_EVENING = (0, 0, 0, 0, 0, 0, 0, 1, 3, 5, 5, 5, 4, 3, 3, 4, 6, 8, 10, 19, 23, 17, 3, 0)
_HOURS = {
    Kind.HYPERMARKET: _EVENING,
    Kind.SUPERMARKET: _EVENING,
    Kind.CONVENIENCE: (1, 0, 0, 0, 0, 0, 1, 5, 6, 4, 3, 4, 6, 4, 3, 3, 4, 6, 8, 11, 12, 10, 4, 2),
    Kind.BAKERY: (0, 0, 0, 0, 0, 0, 2, 10, 10, 5, 4, 4, 4, 3, 4, 5, 5, 7, 6, 7, 7, 4, 0, 0),
    Kind.CAFE: (0, 0, 0, 0, 0, 0, 0, 2, 6, 6, 5, 4, 5, 6, 7, 7, 5, 4, 5, 9, 10, 7, 1, 0),
    Kind.CANTEEN: (0, 0, 0, 0, 0, 0, 2, 7, 4, 0, 1, 12, 16, 4, 0, 0, 2, 8, 10, 9, 5, 2, 0, 0),
}
"""How many come in each hour from midnight on: quiet nights, a peak from 19:00 to 22:00."""

_DEAREST_FIRST = (5, 3, 1, 1)

TOP_UPS = ((10_000, 20_000, 30_000, 50_000), (5, 6, 3, 2))
LARGER_TOP_UPS = ((20_000, 50_000, 100_000), (4, 5, 2))


def visits(person: Person, day: date, chance: Chance) -> int:
    """How often somebody comes on a day; on weekends more."""
    weekend = 1.3 if day.weekday() >= SATURDAY else 1.0
    return chance.poisson(person.pace * weekend)


def store_of(person: Person, stores: tuple[StorePlan, ...], chance: Chance) -> StorePlan:
    """Where somebody goes: mostly to the favourites, now and then elsewhere."""
    if chance.maybe(0.08):
        return chance.pick(stores)
    weights = _DEAREST_FIRST[: len(person.favourites)]
    return stores[chance.weighted(person.favourites, weights)]


def moment(kind: Kind, chance: Chance) -> float:
    """When somebody comes, in seconds after midnight."""
    hour = chance.weighted(range(24), _HOURS[kind])
    return hour * HOUR_S + chance.between(0, HOUR_S)


def basket(person: Person, kind: Kind, chance: Chance) -> int:
    """What somebody buys, in fen."""
    usual = BASKETS[kind]
    median = max(usual.low_fen, int(usual.median_fen * person.purse))
    return chance.fen(median, usual.spread, usual.low_fen, usual.high_fen)
