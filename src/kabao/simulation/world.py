"""Companies, stores, tills, staff and people, made from a seed. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from kabao.simulation.chance import Chance

GROUP = "Heyue Group"
"""The issuer; every name here is invented."""


class Kind(StrEnum):
    """What a store sells: it decides when people come and what they spend."""

    HYPERMARKET = "hypermarket"
    SUPERMARKET = "supermarket"
    CONVENIENCE = "convenience"
    BAKERY = "bakery"
    CAFE = "cafe"
    CANTEEN = "canteen"


class Means(StrEnum):
    """What a customer shows at the till."""

    NUMBER = "card_number"
    TRACK = "track"
    BARCODE = "barcode"


class Class(StrEnum):
    """The legal class of a card."""

    BEARER = "bearer"
    REGISTERED = "registered"


class Trait(StrEnum):
    """What is unusual about somebody. Most people are honest and careful."""

    CARELESS = "careless"
    """Mistypes PINs and loses cards."""
    GUESSER = "guesser"
    """Tries PINs on numbers seen somewhere."""
    THIEF = "thief"
    """Uses stolen cards, fast."""
    DRAINER = "drainer"
    """Empties cards whose PIN was seen, right after a load."""


class CompanyPlan(msgspec.Struct, frozen=True):
    """A company; the first one is the group, parent of the others."""

    name: str
    parent: bool = False


class CashierPlan(msgspec.Struct, frozen=True):
    """Somebody at the tills of one store."""

    code: str
    name: str
    supervisor: bool = False
    dishonest: bool = False


class StorePlan(msgspec.Struct, frozen=True):
    """A store with its tills; a till is worked by the cashier of the same number."""

    index: int
    code: str
    name: str
    city: str
    kind: Kind
    company: int
    tills: int
    cashiers: tuple[CashierPlan, ...]
    """The first `tills` of them work the tills; the last one is the supervisor."""


class Person(msgspec.Struct, frozen=True):
    """A customer and the habits of one."""

    index: int
    name: str
    phone: str
    identity: str
    """A citizen identity number that checks (GB 11643); nobody's."""
    card_class: Class
    favourites: tuple[int, ...]
    """Stores by index, the dearest first."""
    means: Means
    pace: float
    """Visits on an ordinary day."""
    purse: float
    """1 spends what most spend."""
    first_load_fen: int
    second_card: bool
    """Whether there is a gift card besides, to be merged some day."""
    trait: Trait | None
    works_at: int | None = None
    """The store where this person is the dishonest cashier."""


class World(msgspec.Struct, frozen=True):
    """Everything there is before the first day."""

    seed: str
    companies: tuple[CompanyPlan, ...]
    stores: tuple[StorePlan, ...]
    people: tuple[Person, ...]

    @property
    def tills(self) -> int:
        """Tills in all stores."""
        return sum(store.tills for store in self.stores)


_COMPANIES = (
    CompanyPlan(GROUP, parent=True),
    CompanyPlan("Heyue Supermarkets"),
    CompanyPlan("Heyue Bakeries and Cafes"),
)
_COMPANY_OF = {
    Kind.HYPERMARKET: 1,
    Kind.SUPERMARKET: 1,
    Kind.CONVENIENCE: 1,
    Kind.BAKERY: 2,
    Kind.CAFE: 2,
    Kind.CANTEEN: 2,
}
_KINDS = (
    Kind.HYPERMARKET,
    Kind.BAKERY,
    Kind.SUPERMARKET,
    Kind.CAFE,
    Kind.CONVENIENCE,
    Kind.SUPERMARKET,
    Kind.CANTEEN,
    Kind.CONVENIENCE,
)
_TILLS = {
    Kind.HYPERMARKET: 4,
    Kind.SUPERMARKET: 3,
    Kind.CONVENIENCE: 1,
    Kind.BAKERY: 1,
    Kind.CAFE: 1,
    Kind.CANTEEN: 2,
}
_PLACES = (
    "Riverside",
    "East Lake",
    "Station",
    "Old Town",
    "University",
    "Garden",
    "Harbour",
    "Hill",
    "Market",
    "Bridge",
    "Park",
    "Temple",
)
_CITIES = ("Wuhan", "Changsha", "Nanchang", "Hefei")
_NAMED = {
    Kind.HYPERMARKET: "Hypermarket",
    Kind.SUPERMARKET: "Supermarket",
    Kind.CONVENIENCE: "Corner Shop",
    Kind.BAKERY: "Bakery",
    Kind.CAFE: "Cafe",
    Kind.CANTEEN: "Canteen",
}
_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文辉建国红梅"
_FIRST_LOADS = ((5_000, 10_000, 20_000, 30_000, 50_000), (2, 5, 6, 4, 3))
_LARGER_LOADS = ((50_000, 100_000, 150_000, 200_000, 300_000), (4, 6, 3, 2, 1))
_TRAITS = (
    (Trait.CARELESS, 0.06),
    (Trait.GUESSER, 0.008),
    (Trait.THIEF, 0.01),
    (Trait.DRAINER, 0.01),
)


def make_world(seed: int | str, stores: int, cards: int, *, lively: float = 1.0) -> World:
    """The world of a seed.

    Args:
        seed: the same seed makes the same world.
        stores: how many stores.
        cards: how many people, each with a card; a few have a second one.
        lively: 2 makes everybody come twice as often.
    """
    chance = Chance(seed).child("world")
    made = tuple(_store(chance.child("store", i), i) for i in range(stores))
    people = tuple(_person(chance.child("person", i), i, made, lively) for i in range(cards))
    return World(str(seed), _COMPANIES, made, _with_staff(made, people))


def _store(chance: Chance, index: int) -> StorePlan:
    kind = _KINDS[index % len(_KINDS)]
    place = _PLACES[index % len(_PLACES)]
    number = f" {index // len(_PLACES) + 1}" if index >= len(_PLACES) else ""
    tills = _TILLS[kind]
    bad = chance.whole(0, tills - 1) if index % 4 == 2 else None
    cashiers = [CashierPlan(f"c{n + 1}", _name(chance), dishonest=n == bad) for n in range(tills)]
    cashiers.append(CashierPlan("s1", _name(chance), supervisor=True))
    return StorePlan(
        index=index,
        code=f"S{index + 1:03}",
        name=f"{place} {_NAMED[kind]}{number}",
        city=_CITIES[index % len(_CITIES)],
        kind=kind,
        company=_COMPANY_OF[kind],
        tills=tills,
        cashiers=tuple(cashiers),
    )


def _person(chance: Chance, index: int, stores: tuple[StorePlan, ...], lively: float) -> Person:
    registered = chance.maybe(0.4)
    loads, weights = _LARGER_LOADS if registered else _FIRST_LOADS
    return Person(
        index=index,
        name=_name(chance),
        phone=f"1{chance.pick('35789')}{chance.whole(0, 999):03}{index % 1_000_000:06}",
        identity=_identity(chance, index),
        card_class=Class.REGISTERED if registered else Class.BEARER,
        favourites=tuple(s.index for s in chance.some(stores, chance.whole(2, 4))),
        means=chance.weighted(tuple(Means), (3, 2, 5)),
        pace=chance.between(0.5, 3.0) * lively,
        purse=chance.between(0.6, 1.6),
        first_load_fen=chance.weighted(loads, weights),
        second_card=chance.maybe(0.04),
        trait=_trait(chance),
    )


def _trait(chance: Chance) -> Trait | None:
    at = chance.share()
    for trait, share in _TRAITS:
        if at < share:
            return trait
        at -= share
    return None


def _with_staff(stores: tuple[StorePlan, ...], people: tuple[Person, ...]) -> tuple[Person, ...]:
    """A dishonest cashier is a customer as well, with a card of their own."""
    crooks = [store.index for store in stores if any(c.dishonest for c in store.cashiers)]
    staff = dict(zip(range(3, len(people), 7), crooks, strict=False))
    return tuple(
        msgspec.structs.replace(p, works_at=staff[p.index], trait=None) if p.index in staff else p
        for p in people
    )


def _name(chance: Chance) -> str:
    given = "".join(chance.pick(_GIVEN) for _ in range(chance.whole(1, 2)))
    return chance.pick(_FAMILY) + given


_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_SIGNS = "10X98765432"


def _identity(chance: Chance, index: int) -> str:
    """An identity number that checks. Area 420199 is not given to anybody.

    The running number makes it this person's; 1,000 people share a birthday at most.
    """
    days = (index * 37 + chance.whole(0, 36)) % 19_000
    born = date.fromordinal(date(1950, 1, 1).toordinal() + days)
    body = f"420199{born:%Y%m%d}{index % 1_000:03}"
    check = sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True))
    return body + _SIGNS[check % 11]
