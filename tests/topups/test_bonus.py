"""What a top-up is given on top, at every threshold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.topups.model.bonus import (
    BonusRule,
    Period,
    RuleState,
    best,
    bonus_of,
    check_terms,
    period_from,
)

DAY = date(2026, 11, 22)


def rule(ident: str = "1", **more: Any) -> BonusRule:
    """1,000 yuan get 200."""
    usual: dict[str, Any] = {
        "id": ident * 32,
        "programme": "p",
        "name": "满1000送200",
        "from_fen": 100_000,
        "give_fen": 20_000,
        "starts_on": date(2026, 11, 1),
        "ends_on": date(2026, 11, 30),
        "budget_fen": 1_000_000,
        "state": RuleState.RUNNING,
        "used_fen": 0,
        "approval": "a",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
        "ended_at": None,
    }
    return BonusRule(**usual | more)


RATE: dict[str, Any] = {"give_fen": None, "give_bp": 1_000}


@pytest.mark.parametrize(
    ("amount", "more", "bonus"),
    [
        (99_999, {}, 0),
        (100_000, {}, 20_000),
        (100_001, {}, 20_000),
        (100_009, RATE, 10_000),
        (100_010, RATE, 10_001),
        (200_000, RATE | {"topup_max_fen": 19_999}, 19_999),
        (200_000, RATE | {"topup_max_fen": 20_000}, 20_000),
        (200_000, RATE | {"topup_max_fen": 20_001}, 20_000),
    ],
)
def test_an_amount_or_a_rate(amount: int, more: dict[str, Any], bonus: int) -> None:
    assert bonus_of(rule(**more), amount) == bonus


@pytest.mark.parametrize(
    ("day", "more", "had", "given"),
    [
        (date(2026, 10, 31), {}, 0, None),
        (date(2026, 11, 1), {}, 0, 20_000),
        (date(2026, 11, 30), {}, 0, 20_000),
        (date(2026, 12, 1), {}, 0, None),
        (DAY, {"state": RuleState.ENDED}, 0, None),
        (DAY, {"used_fen": 979_999}, 0, 20_000),
        (DAY, {"used_fen": 980_000}, 0, 20_000),
        (DAY, {"used_fen": 980_001}, 0, 19_999),
        (DAY, {"used_fen": 1_000_000}, 0, None),
        (DAY, {"card_max_fen": 50_000}, 30_000, 20_000),
        (DAY, {"card_max_fen": 50_000}, 30_001, 19_999),
        (DAY, {"card_max_fen": 50_000}, 50_000, None),
    ],
)
def test_days_budget_and_cap_of_a_card(
    day: date, more: dict[str, Any], had: int, given: int | None
) -> None:
    one = rule(**more)
    found = best([one], 100_000, day, {one.id: had})
    assert (None if found is None else found[1]) == given


def test_the_best_rule_gives_alone_and_of_equals_the_oldest() -> None:
    rules = [rule("3", give_fen=30_000), rule("2", give_fen=30_000), rule("1")]
    found = best(rules, 100_000, DAY, {})
    assert found is not None and (found[0].id, found[1]) == ("2" * 32, 30_000)
    assert best([], 100_000, DAY, {}) is None


@pytest.mark.parametrize(
    ("period", "starts_on", "first"),
    [
        (Period.DAY, date(2026, 1, 1), DAY),
        (Period.MONTH, date(2026, 1, 1), date(2026, 11, 1)),
        (Period.MONTH, date(2026, 11, 5), date(2026, 11, 5)),
        (Period.CAMPAIGN, date(2026, 1, 1), date(2026, 1, 1)),
    ],
)
def test_periods(period: Period, starts_on: date, first: date) -> None:
    assert period_from(rule(period=period, starts_on=starts_on), DAY) == first


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"give_bp": 1}, "give"),
        ({"give_fen": None}, "give"),
        ({"ends_on": date(2026, 10, 31)}, "ends_on"),
        (RATE | {"from_fen": 9}, "give"),
        ({"budget_fen": 19_999}, "budget"),
    ],
)
def test_a_rule_that_makes_no_sense(more: dict[str, Any], field: str) -> None:
    with pytest.raises(KabaoError) as refused:
        check_terms(rule(**more))
    assert refused.value.field == field


def test_rules_that_make_sense() -> None:
    for more in ({}, RATE, {"budget_fen": 20_000}, {"ends_on": date(2026, 11, 1)}):
        check_terms(rule(**more))


@given(
    st.integers(1, 500_000),
    st.integers(0, 1_000_000),
    st.integers(0, 60_000),
    st.one_of(st.none(), st.integers(1, 50_000)),
)
def test_no_more_than_any_of_its_limits(
    amount: int, used: int, had: int, card_max: int | None
) -> None:
    one = rule(**RATE, from_fen=1_000, used_fen=used, card_max_fen=card_max)
    found = best([one], amount, DAY, {one.id: had})
    given_fen = 0 if found is None else found[1]
    assert 0 <= given_fen <= min(amount // 10, one.budget_fen - used)
    assert card_max is None or given_fen <= max(0, card_max - had)
