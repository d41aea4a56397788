"""The world and its days: a seed repeats them, and they look like a chain of stores."""

from __future__ import annotations

from collections import Counter
from datetime import date

import msgspec
import pytest

from kabao.simulation.chance import Chance
from kabao.simulation.intents import AnyIntent, Buy, Guess, Label, Load, Reserve, Steal
from kabao.simulation.plan import plan_day
from kabao.simulation.world import Class, Trait, World, make_world

DAY = date(2026, 3, 2)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(7, stores=8, cards=1_000)


@pytest.fixture(scope="module")
def plan(world: World) -> list[AnyIntent]:
    return plan_day(world, DAY)


def test_a_seed_makes_the_same_world_and_the_same_days() -> None:
    one, again = make_world(5, 6, 200), make_world("5", 6, 200)
    assert one == again
    assert plan_day(one, DAY) == plan_day(again, DAY)
    assert plan_day(one, DAY) != plan_day(one, date(2026, 3, 3))
    assert make_world(6, 6, 200) != one


def test_one_person_more_changes_nobody_elses_decisions() -> None:
    few, more = make_world(5, 6, 100), make_world(5, 6, 101)
    assert more.people[:100] == few.people

    def of(world: World, person: int) -> list[AnyIntent]:
        kinds = (Buy, Load, Reserve)
        return [i for i in plan_day(world, DAY) if i.person == person and isinstance(i, kinds)]

    assert all(of(few, person) == of(more, person) for person in range(100))


def test_the_day_is_in_order_and_within_itself(plan: list[AnyIntent]) -> None:
    moments = [intent.at_s for intent in plan]
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < 86_400


def test_nights_are_quiet_and_the_peak_is_in_the_evening(plan: list[AnyIntent]) -> None:
    hours = Counter(int(i.at_s // 3_600) for i in plan if isinstance(i, Buy))
    total = hours.total()
    windows = {h: hours[h] + hours[h + 1] + hours[h + 2] for h in range(22)}
    assert max(windows, key=windows.__getitem__) == 19
    assert windows[19] > 0.25 * total
    assert sum(hours[h] for h in range(6)) < 0.02 * total


def test_amounts_look_like_baskets(plan: list[AnyIntent]) -> None:
    amounts = sorted(i.amount_fen for i in plan if isinstance(i, Buy))
    assert amounts[0] >= 100
    assert 1_500 < amounts[len(amounts) // 2] < 6_000
    assert amounts[-1] > 20_000


def test_means_and_classes_are_mixed(world: World, plan: list[AnyIntent]) -> None:
    assert {i.means for i in plan if isinstance(i, Buy)} == {"card_number", "track", "barcode"}
    classes = Counter(person.card_class for person in world.people)
    assert classes[Class.BEARER] > classes[Class.REGISTERED] > 300


def test_identities_and_phones_are_nobody_twice(world: World) -> None:
    assert len({p.identity for p in world.people}) == len(world.people)
    assert len({p.phone for p in world.people}) == len(world.people)


def test_dishonest_people_are_few_and_do_no_harm_to_themselves(world: World) -> None:
    traits = Counter(person.trait for person in world.people)
    assert traits[None] > 0.88 * len(world.people)
    assert traits[Trait.THIEF] > 0
    week = [i for d in range(2, 9) for i in plan_day(world, date(2026, 3, d))]
    crimes = [i for i in week if isinstance(i, Guess | Steal)]
    assert crimes
    assert all(crime.victim != crime.person for crime in crimes)
    honest = plan_day(world, DAY, dishonest=False)
    assert not any(isinstance(i, Guess | Steal) for i in honest)


def test_every_dishonest_kind_comes_to_pass_in_a_month(world: World) -> None:
    kinds = {type(i).__name__ for d in range(1, 29) for i in plan_day(world, date(2026, 3, d))}
    assert {"Guess", "Steal", "Drain", "SelfRefund", "VoidAfterCash"} <= kinds
    assert {"Lose", "Pause", "Give", "Combine", "ChangePin"} <= kinds
    assert len(Label) == 5


def test_a_plan_can_be_written_down(plan: list[AnyIntent]) -> None:
    text = msgspec.json.encode(plan)
    assert msgspec.json.decode(text, type=list[AnyIntent]) == plan


def test_streams_of_chance_are_independent() -> None:
    chance = Chance(1)
    first = [chance.child("a").share() for _ in range(2)]
    assert first[0] == first[1]
    assert chance.child("a").share() != chance.child("b").share()
    chance.share()
    assert chance.child("a").share() == first[0]


@pytest.mark.parametrize("mean", [0.2, 2.0, 9.0])
def test_poisson_has_its_mean(mean: float) -> None:
    chance = Chance("poisson")
    count = 20_000
    found = sum(chance.poisson(mean) for _ in range(count)) / count
    assert abs(found - mean) < 0.06 * mean
