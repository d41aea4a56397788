"""The dishonest acts of a day. Few, and each with a label."""

from __future__ import annotations

from collections.abc import Iterator

from kabao.simulation import habits
from kabao.simulation.chance import Chance
from kabao.simulation.intents import (
    AnyIntent,
    Drain,
    Guess,
    SelfRefund,
    Steal,
    Theft,
    VoidAfterCash,
)
from kabao.simulation.world import Kind, Person, StorePlan, Trait, World

_PINS_TRIED = ("123456", "888888", "000000", "666666", "111111", "520520", "198801", "200812")
_FROM_S, _UNTIL_S = 9 * 3_600.0, 21.5 * 3_600.0


def crimes(world: World, chance: Chance) -> Iterator[AnyIntent]:
    """What guessers, thieves, drainers and dishonest cashiers do on a day."""
    for person in world.people:
        own = chance.child(person.index)
        if person.works_at is not None:
            yield from _of_cashier(world, world.stores[person.works_at], person, own)
        elif person.trait is Trait.GUESSER and own.maybe(0.5):
            yield _guess(world, person, own)
        elif person.trait is Trait.THIEF and own.maybe(0.35):
            yield _steal(world, person, own)
        elif person.trait is Trait.DRAINER and own.maybe(0.35):
            yield _drain(world, person, own)


def _guess(world: World, person: Person, chance: Chance) -> Guess:
    store = _shop(world, chance)
    return Guess(
        at_s=_at(chance),
        person=person.index,
        victim=_victim(world, person, chance),
        store=store.index,
        till=chance.whole(0, store.tills - 1),
        pins=tuple(chance.some(_PINS_TRIED, chance.whole(3, 6))),
    )


def _steal(world: World, person: Person, chance: Chance) -> Steal:
    thefts, after = [], 0.0
    for _ in range(chance.whole(2, 5)):
        store = _shop(world, chance)
        amount = int(habits.basket(person, store.kind, chance) * chance.between(1.5, 4))
        thefts.append(Theft(after, store.index, chance.whole(0, store.tills - 1), amount))
        after += chance.between(60, 400)
    return Steal(
        at_s=_at(chance),
        person=person.index,
        victim=_victim(world, person, chance),
        thefts=tuple(thefts),
        reported_after_s=chance.between(200, 2_400),
    )


def _drain(world: World, person: Person, chance: Chance) -> Drain:
    store = _shop(world, chance)
    return Drain(
        at_s=_at(chance),
        person=person.index,
        victim=_victim(world, person, chance),
        load_fen=chance.pick([20_000, 30_000, 50_000]),
        store=store.index,
        till=chance.whole(0, store.tills - 1),
        after_s=chance.between(30, 400),
    )


def _of_cashier(
    world: World, store: StorePlan, person: Person, chance: Chance
) -> Iterator[AnyIntent]:
    till = next(n for n, cashier in enumerate(store.cashiers) if cashier.dishonest)
    if chance.maybe(0.6):
        yield SelfRefund(
            at_s=_at(chance),
            person=person.index,
            store=store.index,
            till=till,
            amount_fen=chance.fen(4_000, 0.5, 500, 20_000),
            after_s=chance.between(900, 6_000),
        )
    if chance.maybe(0.5):
        yield VoidAfterCash(
            at_s=_at(chance),
            person=_victim(world, person, chance),
            store=store.index,
            till=till,
            amount_fen=chance.pick([10_000, 20_000, 30_000]),
            after_s=chance.between(120, 900),
        )


def _shop(world: World, chance: Chance) -> StorePlan:
    """Where goods are that can be sold on."""
    big = [s for s in world.stores if s.kind in {Kind.HYPERMARKET, Kind.SUPERMARKET}]
    return chance.pick(big or world.stores)


def _victim(world: World, person: Person, chance: Chance) -> int:
    """Anybody but oneself."""
    found = chance.whole(0, len(world.people) - 2)
    return found if found < person.index else found + 1


def _at(chance: Chance) -> float:
    return chance.between(_FROM_S, _UNTIL_S)
