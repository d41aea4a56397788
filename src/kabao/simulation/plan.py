"""A day of intents: pure, so that a seed repeats it to the last fen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from kabao.simulation import habits
from kabao.simulation.chance import Chance
from kabao.simulation.crime import crimes
from kabao.simulation.intents import (
    AnyIntent,
    Ask,
    Buy,
    ChangePin,
    Combine,
    End,
    Give,
    Later,
    Load,
    Lose,
    Pause,
    Reserve,
    WhenShort,
)
from kabao.simulation.world import Class, Means, Person, StorePlan, Trait, World

_OPENS_S, _CLOSES_S = 7 * 3_600.0, 22.5 * 3_600.0
"""Between these the service counters are staffed."""


def plan_day(world: World, day: date, *, dishonest: bool = True) -> list[AnyIntent]:
    """Everything people set out to do on a day, in the order of its moments."""
    chance = Chance(world.seed).child("day", day.isoformat())
    found: list[AnyIntent] = []
    for person in world.people:
        found += _of_person(world, person, day, chance.child("person", person.index))
    if dishonest:
        found += crimes(world, chance.child("crime"))
    return sorted(found, key=lambda intent: (intent.at_s, intent.person))


def expected_intents(world: World) -> float:
    """About how many intents an ordinary day has."""
    return sum(person.pace for person in world.people) * 1.2


def _of_person(world: World, person: Person, day: date, chance: Chance) -> Iterator[AnyIntent]:
    for number in range(habits.visits(person, day, chance)):
        visit = chance.child("visit", number)
        store = habits.store_of(person, world.stores, visit)
        at = habits.moment(store.kind, visit)
        if visit.maybe(0.04):
            yield _reserve(person, store, at, visit)
        else:
            yield _buy(person, store, at, visit)
    yield from _errands(world, person, chance.child("errands"))


def _buy(person: Person, store: StorePlan, at: float, chance: Chance) -> Buy:
    amount = habits.basket(person, store.kind, chance)
    means = _means(person, chance)
    careless = person.trait is Trait.CARELESS
    wrong_pins = 0
    if means is Means.NUMBER and chance.maybe(0.25 if careless else 0.012):
        wrong_pins = 3 if careless and chance.maybe(0.2) else chance.whole(1, 2)
    return Buy(
        at_s=at,
        person=person.index,
        store=store.index,
        till=_till(store, chance),
        amount_fen=amount,
        means=means,
        wrong_pins=wrong_pins,
        typed_fen=_mistyped(amount, chance) if chance.maybe(0.008) else None,
        when_short=chance.weighted(tuple(WhenShort), (5, 3, 1)),
        looks_first=chance.maybe(0.8),
        offers_partial=chance.maybe(0.15),
        returns=_returns(chance),
    )


def _returns(chance: Chance) -> tuple[Later, ...]:
    """Two goods in a hundred come back, whole or in parts."""
    if not chance.maybe(0.022):
        return ()
    first = Later(chance.between(600, 10_000), 1.0 if chance.maybe(0.55) else chance.share())
    if first.share < 1.0 and chance.maybe(0.3):
        # More than what is left, sometimes: that has to be refused.
        return first, Later(first.after_s + chance.between(300, 3_000), chance.share())
    return (first,)


def _mistyped(amount: int, chance: Chance) -> int:
    """An amount as it comes out when a digit too many or two swapped ones are typed."""
    return chance.pick([amount * 10, amount + 900, max(1, amount // 10)])


def _reserve(person: Person, store: StorePlan, at: float, chance: Chance) -> Reserve:
    end = chance.weighted(tuple(End), (6, 2, 1, 1))
    return Reserve(
        at_s=at,
        person=person.index,
        store=store.index,
        till=_till(store, chance),
        amount_fen=habits.basket(person, store.kind, chance),
        means=_means(person, chance),
        end=end,
        after_s=chance.between(120, 1_500),
        share=1.0 if chance.maybe(0.6) else chance.between(0.3, 1.0),
    )


def _errands(world: World, person: Person, chance: Chance) -> Iterator[AnyIntent]:
    """What is done at a service counter. Each is drawn from a stream of its own."""
    store = world.stores[person.favourites[0]].index
    ident = person.index

    def at(what: Chance) -> float:
        return what.between(_OPENS_S, _CLOSES_S)

    if (load := chance.child("load")).maybe(0.16):
        yield _load(world, person, at(load), load)
    if (ask := chance.child("ask")).maybe(0.12):
        wrong = 1 if ask.maybe(0.05) else 0
        yield Ask(
            at_s=at(ask), person=ident, store=store, means=_means(person, ask), wrong_pins=wrong
        )
    if (lose := chance.child("lose")).maybe(0.02 if person.trait is Trait.CARELESS else 0.002):
        found = lose.between(900, 7_200) if lose.maybe(0.4) else None
        yield Lose(at_s=at(lose), person=ident, store=store, found_after_s=found)
    if (pause := chance.child("pause")).maybe(0.002):
        after = pause.between(600, 7_200)
        yield Pause(at_s=at(pause), person=ident, store=store, after_s=after)
    if (give := chance.child("give")).maybe(0.0015):
        to = give.whole(0, len(world.people) - 1)
        if world.people[to].card_class is Class.REGISTERED and to != ident:
            yield Give(at_s=at(give), person=ident, to=to, store=store)
    if person.second_card and (combine := chance.child("combine")).maybe(0.2):
        yield Combine(at_s=at(combine), person=ident, store=store)
    if (pin := chance.child("pin")).maybe(0.003):
        digits = "".join(str(pin.whole(0, 9)) for _ in range(6))
        yield ChangePin(at_s=at(pin), person=ident, store=store, digits=digits)


def _load(world: World, person: Person, at: float, chance: Chance) -> Load:
    store = habits.store_of(person, world.stores, chance)
    registered = person.card_class is Class.REGISTERED
    amounts, weights = habits.LARGER_TOP_UPS if registered else habits.TOP_UPS
    amount = chance.weighted(amounts, weights)
    return Load(
        at_s=at,
        person=person.index,
        store=store.index,
        till=_till(store, chance),
        amount_fen=amount,
        mistaken_fen=chance.pick([amount // 10, amount * 2]) if chance.maybe(0.03) else None,
    )


def _till(store: StorePlan, chance: Chance) -> int:
    return chance.whole(0, store.tills - 1)


def _means(person: Person, chance: Chance) -> Means:
    """Mostly the way somebody is used to."""
    return person.means if chance.maybe(0.85) else chance.pick(tuple(Means))
