"""CR-91 at its thresholds: cards emptied in one store, a top-up spent at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.outbox import Written
from kabao.risk.model import (
    Drain,
    Flagged,
    Loaded,
    Memory,
    Paid,
    PaidBack,
    Sign,
    Spent,
    Terms,
    Unloaded,
    is_emptied,
    sign,
)

TERMS = Terms(3, timedelta(minutes=10), 500, timedelta(minutes=10))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
US = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
ROOT = "0" * 32


def paid(card: int, after: timedelta, left: int = 0, store: str = "s", amount: int = 1_000) -> Paid:
    name = f"{card}@{after.total_seconds()}"
    return Paid(f"p{name}", f"r{card}", f"c{card}", store, amount, left, NOON + after)


def judged(signs: list[Sign], memory: Memory | None = None) -> list[Drain | Spent]:
    memory = memory or Memory()
    return [alert for one in signs for alert in memory.after(one, TERMS)]


@pytest.mark.parametrize(
    ("left", "amount", "emptied"),
    [(0, 1, True), (50, 950, True), (51, 949, False), (51, 950, False), (52, 988, True)],
)
def test_emptied_is_a_share_of_what_there_was(left: int, amount: int, emptied: bool) -> None:
    assert is_emptied(paid(1, MINUTE, left, amount=amount), TERMS) is emptied


@pytest.mark.parametrize(("cards", "raised"), [(2, 0), (3, 1), (4, 2)])
def test_three_cards_are_a_drain(cards: int, raised: int) -> None:
    """And a fourth is the same one, going on."""
    alerts = judged([paid(card, card * MINUTE) for card in range(cards)])
    assert len(alerts) == raised
    for n, alert in enumerate(alerts):
        assert isinstance(alert, Drain)
        assert (alert.alarm.first, alert.further) == ("p0@0.0", n > 0)
        assert len(alert.payments) == (1 if n else 3)


@pytest.mark.parametrize(("span", "raised"), [(-US, 1), (0 * US, 1), (US, 0)])
def test_within_ten_minutes(span: timedelta, raised: int) -> None:
    late = 10 * MINUTE + span
    assert len(judged([paid(1, 0 * US), paid(2, MINUTE), paid(3, late)])) == raised


def test_one_card_alone_or_one_store_each_is_none() -> None:
    assert judged([paid(1, n * MINUTE) for n in range(5)]) == []
    assert judged([paid(n, n * MINUTE, store=f"s{n}") for n in range(5)]) == []
    assert judged([paid(n, n * MINUTE, left=900) for n in range(5)]) == []


def test_a_payment_is_counted_once_also_when_it_is_captured() -> None:
    held = paid(1, MINUTE)
    captured = Paid(held.payment, held.root, held.card, "s", 1_000, 0, NOON + 2 * MINUTE)
    assert judged([held, captured, paid(2, 2 * MINUTE)]) == []


def test_what_was_undone_was_no_theft() -> None:
    first, second, third = (paid(n, n * MINUTE) for n in range(3))
    undone = PaidBack(second.payment, second.root, "s", NOON + 2 * MINUTE)
    assert judged([first, second, undone, third]) == []
    other = PaidBack("another", second.root, "s", NOON + 2 * MINUTE)
    assert len(judged([first, second, other, third])) == 1


@pytest.mark.parametrize(("quiet", "further"), [(-US, True), (0 * US, True), (US, False)])
def test_a_drain_is_over_when_a_whole_window_was_quiet(quiet: timedelta, further: bool) -> None:
    begun = [paid(n, n * MINUTE) for n in range(3)]
    again = [paid(n + 3, 12 * MINUTE + quiet + n * US) for n in range(3)]
    last = judged([*begun, *again])[-1]
    assert isinstance(last, Drain)
    assert last.further is further
    assert (last.alarm.first == begun[0].payment) is further


@given(st.permutations(range(5)))
def test_in_whatever_order_they_come_it_is_one_drain(order: list[int]) -> None:
    """Of different cards, events come only nearly in the order of their moments."""
    alerts = judged([paid(n, n * MINUTE) for n in order])
    assert [alert.further for alert in alerts if isinstance(alert, Drain)] == [False, True, True]


def test_every_order_of_three() -> None:
    spread = [0 * MINUTE, 5 * MINUTE, 10 * MINUTE]
    for order in permutations(enumerate(spread)):
        assert len(judged([paid(n, after) for n, after in order])) == 1


def loaded(before: int = 0, amount: int = 1_000, after: timedelta = timedelta()) -> Loaded:
    return Loaded(f"t{after.total_seconds()}", "r1", amount, before, NOON + after)


@pytest.mark.parametrize(("late", "raised"), [(-US, 1), (0 * US, 0), (US, 0)])
def test_a_load_spent_in_less_than_ten_minutes(late: timedelta, raised: int) -> None:
    alerts = judged([loaded(), paid(1, 10 * MINUTE + late)])
    assert len(alerts) == raised


@pytest.mark.parametrize(("left", "raised"), [(499, 1), (500, 1), (501, 0)])
def test_it_is_spent_when_the_card_has_what_it_had_before(left: int, raised: int) -> None:
    assert len(judged([loaded(before=500), paid(1, MINUTE, left)])) == raised


def test_in_several_payments_and_told_once() -> None:
    alerts = judged([loaded(), paid(1, MINUTE, 600), paid(1, 2 * MINUTE, 1), paid(1, 3 * MINUTE)])
    assert [type(alert) for alert in alerts] == [Spent]
    assert judged([loaded(), paid(1, MINUTE), paid(1, 2 * MINUTE)])[1:] == []


def test_of_two_loads_each_by_itself() -> None:
    loads: list[Sign] = [loaded(), loaded(1_000, 500, MINUTE)]
    (later,) = judged([*loads, paid(1, 2 * MINUTE, 1_000)])
    assert isinstance(later, Spent)
    assert later.load.topup == "t60.0"
    assert len(judged([*loads, paid(1, 2 * MINUTE)])) == 2


def test_not_by_another_card_nor_before_the_load_nor_when_it_was_taken_back() -> None:
    assert judged([loaded(), paid(2, MINUTE)]) == []
    assert judged([loaded(after=MINUTE), paid(1, 0 * US)]) == []
    taken = Unloaded("t0.0", "r1", NOON)
    assert judged([loaded(before=500), taken, paid(1, MINUTE, 400)]) == []


def written(kind: str, root: str | None = ROOT, **payload: object) -> Written:
    return Written("1", 1, root, 1, kind, 1, payload, NOON)


def test_what_events_mean() -> None:
    payment = {"payment": "p", "card": "c", "store": "s", "amount": 7, "balance_after": 3}
    for kind in ("payment.captured", "payment.authorized"):
        assert sign(written(kind, **payment)) == Paid("p", ROOT, "c", "s", 7, 3, NOON)
    for kind in ("payment.voided", "payment.reversed", "payment.expired"):
        assert sign(written(kind, **payment)) == PaidBack("p", ROOT, "s", NOON)
    topup = {"topup": "t", "card": "c", "store": None, "amount": 100, "bonus": 20}
    assert sign(written("topup.confirmed", **topup, balance_after=150)) == Loaded(
        "t", ROOT, 120, 30, NOON
    )
    for kind in ("topup.voided", "topup.refunding", "topup.recalled"):
        assert sign(written(kind, **topup)) == Unloaded("t", ROOT, NOON)
    flagged = {**payment, "why": "sudden_large_amount", "rule": "R-06"}
    assert sign(written("payment.flagged", **flagged)) == Flagged(
        "p", ROOT, "c", "s", 7, "sudden_large_amount", NOON
    )
    for other in ("payment.declined", "card.created", "topup.pending", "case.opened"):
        assert sign(written(other, **payment)) is None
    assert sign(written("payment.captured", None, **payment)) is None
