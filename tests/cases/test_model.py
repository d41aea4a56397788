"""By when somebody must look, and what may be opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kabao.base.clock import FixedClock
from kabao.cases.model import Case, CaseState, NewCase, response_time
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def rules() -> Rules:
    policy = Policy.load(FixedClock(AT))
    return policy.rules(jurisdiction="national", on=AT.date())


def new(**more: object) -> NewCase:
    usual = {"kind": "funding.wrong_amount", "subject": "top_01", "company": "0" * 32, "key": "k"}
    return NewCase(**(usual | more))  # type: ignore[arg-type]  # what a test leaves out is usual


def test_a_kind_has_its_own_time_or_the_usual_one(rules: Rules) -> None:
    assert response_time(rules, "notices.endpoint_failing") == timedelta(hours=4)
    assert response_time(rules, "funding.wrong_amount") == timedelta(minutes=8)
    assert response_time(rules, "notices.endpoint") == timedelta(minutes=8)


def test_it_is_overdue_once_its_time_is_past_and_nobody_took_it() -> None:
    def case(state: CaseState) -> Case:
        return Case("0" * 32, "a.b", "k", "top_01", "0" * 32, None, {}, state, 1, AT, AT, AT)

    microsecond = timedelta(microseconds=1)
    assert not case(CaseState.OPEN).overdue(AT - microsecond)
    assert not case(CaseState.OPEN).overdue(AT)
    assert case(CaseState.OPEN).overdue(AT + microsecond)
    assert not case(CaseState.TAKEN).overdue(AT + microsecond)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "wrong_amount"},
        {"kind": "Funding.x"},
        {"kind": "f." + "x" * 79},
        {"subject": "top"},
        {"subject": "13800000000"},
        {"key": ""},
        {"key": "k" * 201},
        {"facts": {str(n): n for n in range(31)}},
        {"facts": {"a": "x" * 256}},
    ],
)
def test_what_no_slice_may_open(wrong: dict[str, object]) -> None:
    new(key="k" * 200, facts={str(n): "x" * 255 for n in range(30)}).check()
    with pytest.raises(AssertionError):
        new(**wrong).check()
