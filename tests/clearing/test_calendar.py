"""Workdays: the notices of the State Council for two years as an oracle, and what is unknown."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import KabaoError
from kabao.clearing.model.calendar import CALENDAR_UNKNOWN, Workdays, is_missing

OFF = (
    # 2025 (notice of 12 November 2024)
    ("2025-01-01", "2025-01-01"),
    ("2025-01-28", "2025-02-04"),
    ("2025-04-04", "2025-04-06"),
    ("2025-05-01", "2025-05-05"),
    ("2025-05-31", "2025-06-02"),
    ("2025-10-01", "2025-10-08"),
    # 2026 (notice of 4 November 2025)
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
)
MOVED = frozenset(
    date.fromisoformat(day)
    for day in (
        *("2025-01-26", "2025-02-08", "2025-04-27", "2025-09-28", "2025-10-11"),
        *("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"),
    )
)
DAYS = [date(2025, 1, 1) + timedelta(days=n) for n in range(730)]


def worked(day: date) -> bool:
    """The oracle: the notices, day by day."""
    if day in MOVED:
        return True
    off = any(date.fromisoformat(a) <= day <= date.fromisoformat(b) for a, b in OFF)
    return not off and day.weekday() < 5


def test_every_day_of_two_years_is_as_the_notices_say() -> None:
    told = Workdays()
    assert [day for day in DAYS if told.is_workday(day) != worked(day)] == []


@given(day=st.sampled_from(DAYS[:700]), n=st.integers(0, 10))
def test_t_plus_n_is_the_nth_workday(day: date, n: int) -> None:
    due = Workdays().after(day, n)
    assert worked(due)
    between = [day + timedelta(days=k) for k in range(1, (due - day).days + 1)]
    if n:
        assert sum(worked(each) for each in between) == n
    else:
        assert not any(worked(each) for each in [day, *between][:-1])


@given(
    overrides=st.dictionaries(st.sampled_from(DAYS), st.booleans(), max_size=40),
    day=st.sampled_from(DAYS),
)
def test_what_two_persons_said_comes_first(overrides: dict[date, bool], day: date) -> None:
    assert Workdays(overrides).is_workday(day) is overrides.get(day, worked(day))


def test_a_year_nobody_published_is_refused() -> None:
    with pytest.raises(KabaoError) as refused:
        Workdays().after(date(2039, 3, 1), 1)
    assert refused.value.code is CALENDAR_UNKNOWN
    assert refused.value.rule == "C-03"


def test_a_single_override_does_not_make_a_year_known() -> None:
    some = Workdays({date(2039, 3, 2): True})
    assert some.is_workday(date(2039, 3, 2))
    with pytest.raises(KabaoError):
        some.is_workday(date(2039, 3, 3))


def test_a_declared_year_is_weekdays_but_for_its_overrides() -> None:
    said = Workdays({date(2039, 1, 3): False, date(2039, 1, 8): True}, frozenset({2039}))
    assert not said.is_workday(date(2039, 1, 3))  # a Monday
    assert said.is_workday(date(2039, 1, 8))  # a Saturday
    assert said.after(date(2039, 1, 2), 1) == date(2039, 1, 4)


def test_a_calendar_without_workdays_is_refused() -> None:
    with pytest.raises(KabaoError):
        Workdays(dict.fromkeys(DAYS, False)).after(DAYS[0], 1)


@pytest.mark.parametrize(
    ("today", "missing"),
    [(date(2038, 10, 31), None), (date(2038, 11, 1), 2039), (date(2038, 12, 31), 2039)],
)
def test_from_november_on_the_next_year_should_be_known(today: date, missing: int | None) -> None:
    assert is_missing(Workdays(declared=frozenset({2038})), today) == missing


def test_the_running_year_should_be_known_always() -> None:
    assert is_missing(Workdays(), date(2039, 1, 2)) == 2039
    assert is_missing(Workdays(), date(2026, 10, 31)) is None
