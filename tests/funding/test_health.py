"""Success rates and breakers: laws, and every threshold below, on and above it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kabao.funding.model.answers import (
    Closed,
    Created,
    Paid,
    Queried,
    Refused,
    Unknown,
    Unreachable,
    Waiting,
    Whose,
)
from kabao.funding.model.asking import outcome_of
from kabao.funding.model.collections import Outcome
from kabao.funding.model.health import (
    PPM,
    Breaker,
    BreakerRule,
    Circuit,
    LimitRule,
    SuccessRule,
    Tally,
    Told,
    counted,
    minute_of,
    since_closed,
    success_ppm,
    within,
)

S = 1_000_000
T0 = 1_000_000_020 * S
RULE = BreakerRule(
    from_count=20, failure_bp=2000, window_minutes=5, streak_count=5, open_s=60, probes_count=3
)
SUCCESS = SuccessRule(prior_bp=9500, prior_count=20, half_life_minutes=10)


def told(outcome: Outcome, at_s: float = 0, took_ms: int = 100) -> Told:
    at_us = T0 + int(at_s * S)
    return Told(outcome, at_us - took_ms * 1_000, at_us, took_ms)


GOOD, BAD, NO = Outcome.SUCCESS, Outcome.UNKNOWN, Outcome.REFUSED_BY_PAYER


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Paid("1", 1, 1), Outcome.SUCCESS),
        (Waiting(), Outcome.TAKEN),
        (Closed(), Outcome.TAKEN),
        (Refused("no"), Outcome.FAILED),
        (Refused("no", whose=Whose.PAYER), NO),
        (Refused("no", whose=Whose.OURS), Outcome.NOT_ASKED),
        (Unreachable("away"), Outcome.UNREACHABLE),
        (Unreachable("no connection free", ours=True), Outcome.NOT_ASKED),
        (Unknown("late"), BAD),
    ],
)
def test_how_an_answer_speaks_for_a_channel(said: Created | Queried, outcome: Outcome) -> None:
    assert outcome_of(said) is outcome


def test_a_tally_counts_and_adds() -> None:
    all_ = [counted(told(outcome)) for outcome in Outcome]
    total = sum(all_, Tally())
    assert total == Tally(succeeded=2, refused=1, failed=3, took_ms=600)
    assert (total.judged, total.mean_ms, Tally().mean_ms) == (5, 100, 0)


# --- the success rate -------------------------------------------------------------------


def test_without_a_past_the_prior_holds() -> None:
    assert success_ppm({}, T0, SUCCESS) == 950_000


def test_one_bad_call_is_not_a_bad_channel() -> None:
    assert 900_000 < success_ppm({minute_of(T0): Tally(failed=1)}, T0, SUCCESS) < 950_000


def test_what_is_old_has_no_weight() -> None:
    minutes = {minute_of(T0): Tally(failed=1000)}
    rates = [success_ppm(minutes, T0 + n * 600 * S, SUCCESS) for n in range(9)]
    assert rates == sorted(rates)
    assert rates[0] < 20_000 and rates[6] < 950_000 and rates[7] == 950_000


tallies = st.builds(Tally, *(st.integers(0, 1000),) * 3)
histories = st.dictionaries(st.integers(0, 120), tallies, max_size=20)


@given(histories, st.integers(0, 120), st.integers(0, 50))
def test_the_rate_is_a_share_and_rises_with_success(
    history: dict[int, Tally], age: int, more: int
) -> None:
    now = minute_of(T0)
    minutes = {now - minute: tally for minute, tally in history.items()}
    rate = success_ppm(minutes, T0, SUCCESS)
    assert 0 <= rate <= PPM
    before = minutes.get(now - age, Tally())
    assert success_ppm(minutes | {now - age: before + Tally(succeeded=more)}, T0, SUCCESS) >= rate
    assert success_ppm(minutes | {now - age: before + Tally(failed=more)}, T0, SUCCESS) <= rate
    refused = before + Tally(refused=more)
    assert success_ppm(minutes | {now - age: refused}, T0, SUCCESS) == rate


# --- the breaker ------------------------------------------------------------------------


@pytest.mark.parametrize(("in_a_row", "opens"), [(4, False), (5, True), (6, True)])
def test_failures_in_a_row_open_it(in_a_row: int, *, opens: bool) -> None:
    breaker = Breaker()
    for n in range(in_a_row):
        breaker = breaker.told(told(BAD, n), Tally(failed=n + 1), RULE)
    assert breaker.is_open is opens


@pytest.mark.parametrize(
    ("between", "begins", "streak"),
    [
        (GOOD, True, 0),
        (NO, True, 4),  # payers cannot hide that our account there is shut
        (Outcome.NOT_ASKED, True, 4),
        (GOOD, False, 4),  # nor can payments of orders from before
        (BAD, False, 4),
    ],
)
def test_what_ends_a_row(between: Outcome, streak: int, *, begins: bool) -> None:
    one = replace(told(between), begins=begins)
    assert Breaker(streak=4).told(one, Tally(), RULE) == Breaker(streak=streak)


@pytest.mark.parametrize(
    ("window", "opens"),
    [
        (Tally(succeeded=15, failed=4), False),  # 19 calls mean nothing
        (Tally(succeeded=16, failed=4), True),
        (Tally(succeeded=17, failed=4), False),  # 19 %
        (Tally(succeeded=15, refused=100, failed=5), True),
        (Tally(succeeded=81, failed=19), False),
        (Tally(succeeded=80, failed=20), True),
        (Tally(succeeded=79, failed=21), True),
    ],
)
def test_too_many_failures_of_a_window_open_it(window: Tally, *, opens: bool) -> None:
    assert Breaker().told(told(BAD), window, RULE).is_open is opens
    assert not Breaker().told(told(GOOD), window, RULE).is_open


@pytest.mark.parametrize(
    ("after_s", "circuit"), [(59.999999, Circuit.OPEN), (60, Circuit.HALF_OPEN)]
)
def test_it_pauses(after_s: float, circuit: Circuit) -> None:
    breaker = Breaker(is_open=True, since_us=T0)
    at = T0 + int(after_s * S)
    assert breaker.circuit(at, RULE) is circuit
    assert breaker.may_probe(at, RULE) is (circuit is Circuit.HALF_OPEN)


def test_one_probe_at_a_time_and_a_lost_one_is_given_up() -> None:
    breaker = Breaker(is_open=True, since_us=T0).probed(T0 + 60 * S)
    assert not breaker.may_probe(T0 + 119 * S, RULE)
    assert breaker.may_probe(T0 + 120 * S, RULE)


def test_probes_in_a_row_close_it() -> None:
    breaker = Breaker(is_open=True, since_us=T0)
    for n in (60, 61, 62):
        assert breaker.is_open and breaker.may_probe(T0 + n * S, RULE)
        breaker = breaker.probed(T0 + n * S).told(told(GOOD, n + 0.5), Tally(), RULE)
    assert breaker == Breaker(since_us=T0 + int(62.5 * S))


@pytest.mark.parametrize("silent", [NO, Outcome.NOT_ASKED])
def test_what_says_nothing_lets_the_next_one_probe(silent: Outcome) -> None:
    breaker = Breaker(is_open=True, since_us=T0, probes=1)
    probed = breaker.probed(T0 + 60 * S)
    assert probed.told(told(silent, 61), Tally(), RULE) == breaker
    assert breaker.may_probe(T0 + 61 * S, RULE)


@pytest.mark.parametrize("outcome", [GOOD, BAD, NO])
def test_what_is_told_of_an_old_order_answers_no_probe(outcome: Outcome) -> None:
    breaker = Breaker(is_open=True, since_us=T0).probed(T0 + 60 * S)
    assert breaker.told(replace(told(outcome, 61), begins=False), Tally(), RULE) == breaker


def test_a_failed_probe_opens_it_again() -> None:
    breaker = Breaker(is_open=True, since_us=T0, probes=2).probed(T0 + 70 * S)
    breaker = breaker.told(told(BAD, 71), Tally(), RULE)
    assert breaker == Breaker(is_open=True, since_us=T0 + 71 * S)
    assert breaker.circuit(T0 + 130 * S, RULE) is Circuit.OPEN


def test_what_was_sent_before_it_turned_says_nothing_new() -> None:
    late = told(GOOD, 61, took_ms=30_000)
    breaker = Breaker(is_open=True, since_us=T0).probed(T0 + 60 * S)
    assert breaker.told(late, Tally(), RULE) == breaker
    closed = Breaker(since_us=T0 + 60 * S)
    failing = told(BAD, 61, took_ms=30_000)
    assert closed.told(failing, Tally(failed=99), RULE) == closed


def test_what_came_before_it_closed_is_forgiven() -> None:
    now = minute_of(T0)
    minutes = {now - 6: Tally(failed=1), now - 4: Tally(failed=10), now: Tally(succeeded=3)}
    assert since_closed(minutes, Breaker(), T0, RULE) == Tally(succeeded=3, failed=10)
    closed = Breaker(since_us=T0 - 180 * S)
    assert since_closed(minutes, closed, T0, RULE) == Tally(succeeded=3)
    assert within(minutes, T0, 1) == Tally(succeeded=3)


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(0, 40)), max_size=200))
def test_whatever_is_told_it_lets_one_through_in_the_end(story: list[tuple[Outcome, int]]) -> None:
    """An open breaker gets only probes, one at a time; and it never stays shut for ever."""
    breaker, at_s, probing = Breaker(), 0, False
    for outcome, pause_s in story:
        at_s += pause_s
        now = T0 + at_s * S
        if breaker.is_open:
            if not breaker.may_probe(now, RULE):
                assert breaker.told(told(outcome, at_s, 0), Tally(), RULE).is_open or probing
                continue
            breaker, probing = breaker.probed(now), True
        breaker = breaker.told(told(outcome, at_s, 0), Tally(), RULE)
        probing = breaker.probe_us is not None
    assert not breaker.is_open or breaker.may_probe(T0 + (at_s + 60) * S, RULE)


# --- daily limits -----------------------------------------------------------------------

LIMIT = LimitRule(low_bp=9000, well_bp=9500, lowered_bp=5000)


@pytest.mark.parametrize(
    ("was", "success", "is_"),
    [
        (False, 899_999, True),
        (False, 900_000, False),
        (True, 900_000, True),
        (True, 949_999, True),
        (True, 950_000, False),
    ],
)
def test_a_limit_is_lowered_and_whole_again(success: int, *, was: bool, is_: bool) -> None:
    assert LIMIT.lowered(now=was, success=success) is is_


def test_what_is_left_of_a_lowered_limit() -> None:
    assert LIMIT.limit_fen(101, lowered=True) == 50
    assert LIMIT.limit_fen(101, lowered=False) == 101
