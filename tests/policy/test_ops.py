"""`Policy`: caching, explaining, comparing."""

from datetime import date, timedelta

import pytest

from kabao.base.clock import FixedClock
from kabao.base.errors import KabaoError
from kabao.policy import names
from kabao.policy.model import Standing
from kabao.policy.ops import CACHED_RULES, Policy
from kabao.policy.wording import Difference

from . import make

LIMIT = names.CARD_LIMIT_REGISTERED_FEN


@pytest.fixture(scope="module")
def policy() -> Policy:
    return make.policy()


def test_the_same_rules_are_the_same_object_until_something_changes(policy: Policy) -> None:
    first = policy.rules(jurisdiction="national", on=date(2026, 11, 22))
    assert policy.rules(jurisdiction="national", on=date(2026, 11, 23)) is first
    assert policy.rules(jurisdiction="national", on=date(2025, 12, 31)) is not first
    assert policy.rules(jurisdiction="beijing", on=date(2026, 11, 22)) is not first
    mine = policy.rules(
        jurisdiction="national", on=make.TODAY, overrides={LIMIT: 1, "pin.tries_count": 2}
    )
    assert mine is not first
    assert mine is policy.rules(
        jurisdiction="national", on=make.TODAY, overrides={"pin.tries_count": 2, LIMIT: 1}
    )


def test_one_and_true_are_not_mistaken_for_each_other(policy: Policy) -> None:
    flag = names.ACCESS_TOTP_REQUIRED
    policy.rules(jurisdiction="national", on=make.TODAY, overrides={flag: True})
    with pytest.raises(KabaoError) as no:
        policy.rules(jurisdiction="national", on=make.TODAY, overrides={flag: 1})
    assert no.value.code.name == "bad_policy_override"


@pytest.mark.parametrize("wrong", [1.5, None, {"a": 1}, [1], [["a"]]])
def test_an_override_that_is_no_value_is_refused(policy: Policy, wrong: object) -> None:
    with pytest.raises(KabaoError) as no:
        policy.rules(jurisdiction="national", on=make.TODAY, overrides={LIMIT: wrong})
    assert (no.value.code.name, no.value.field) == ("bad_policy_override", LIMIT)


def test_the_cache_is_bounded(policy: Policy) -> None:
    for value in range(CACHED_RULES + 10):
        policy.rules(jurisdiction="national", on=make.TODAY, overrides={LIMIT: value})
    assert len(policy._rules) <= CACHED_RULES


def test_rules_cannot_be_changed(policy: Policy) -> None:
    held = policy.rules(jurisdiction="national", on=make.TODAY)
    with pytest.raises(TypeError):
        held.settled[LIMIT] = None  # type: ignore[index]  # that is the point
    with pytest.raises(AttributeError):
        held.jurisdiction = "beijing"  # type: ignore[misc]  # that is the point


def test_each_reader_gives_its_kind(policy: Policy) -> None:
    held = policy.rules(jurisdiction="national", on=make.TODAY)
    assert held.int(names.CARD_VALIDITY_BEARER_MONTHS) == 36
    assert held.rate(names.CUSTODY_SCALE_BP) == 2000
    assert held.flag(names.ACCESS_TOTP_REQUIRED) is True
    assert held.text(names.BUSINESS_DAY_CUTOFF) == "00:00"
    assert held.texts(names.CARD_LIMIT_EXEMPT_PURPOSES) == ("reversal", "void", "release")
    assert held.row(LIMIT) == "CR-12"
    cited = held.cite(LIMIT)
    assert (cited.row, cited.article, cited.pack, cited.value) == (
        "CR-12",
        "G25",
        "national",
        500_000,
    )


def test_jurisdictions(policy: Policy) -> None:
    assert policy.jurisdictions == ("beijing", "national", "shanghai")


def test_everything_that_holds_is_explained(policy: Policy) -> None:
    lines = policy.explain(jurisdiction="shanghai", on=make.TODAY, overrides={LIMIT: 300_000})
    by_name = {line.name: line for line in lines}
    assert list(by_name) == sorted(names.KINDS)

    mine = by_name[LIMIT]
    assert (mine.shown, mine.pack, mine.row) == ("3,000.00 yuan", "programme", "CR-12")
    assert mine.why == "set by the programme, in place of 5,000.00 yuan by CR-12 (G25, national)"
    assert mine.bounds == ("at most 5,000.00 yuan: CR-12 (G25, national)",)
    assert mine.source.startswith("国办发〔2011〕25号")

    law = by_name[names.CARD_RETURN_WINDOW_DAYS]
    assert law.why == "national since 2025-05-01, in place of 0 days by CR-23 (platform)"
    assert law.holds_from == date(2025, 5, 1)

    local = by_name[names.CUSTODY_LOCAL_RATIO_BP]
    assert (local.shown, local.article, local.standing) == (
        "40.00 %",
        "SHI19 art. 11",
        Standing.UNCONFIRMED,
    )
    house = by_name[names.PIN_LOCK_MINUTES]
    assert (house.why, house.holds_from, house.article) == ("platform", None, "")
    assert house.bounds == ("at least 30 minutes: R-01 (platform)",)
    assert by_name[names.ACCESS_TOTP_REQUIRED].shown == "yes"
    assert by_name[names.REPORT_OUTFLOW_DAY_OF_MONTH].shown == "day 25"
    assert by_name[names.TOPUP_CROSS_BORDER_MAX_USD_CENTS].shown == "50,000.00 USD"


def test_a_draft_law_is_compared_with_what_holds(policy: Policy) -> None:
    draft = make.policy(make.DRAFT + make.rule(value="600_000"))
    day = date(2027, 1, 1)
    assert policy.compare(draft, jurisdiction="beijing", on=day - timedelta(days=1)) == []
    assert policy.compare(draft, jurisdiction="beijing", on=day) == [
        Difference(LIMIT, "5,000.00 yuan", "6,000.00 yuan", "CR-12 (T1 art. 1, draft)")
    ]


def test_a_value_that_a_later_law_forbids_lapses_on_its_day() -> None:
    now, day = make.policy(), date(2027, 1, 1)
    then = make.policy(make.DRAFT + make.rule(value="300_000", more='bound = "max"'))
    mine = {LIMIT: 400_000}
    for on, worth in ((day - timedelta(days=1), 400_000), (day, 300_000)):
        held = then.rules(jurisdiction="beijing", on=on, overrides=mine, lapse=True)
        assert held.int(LIMIT) == worth
    with pytest.raises(KabaoError, match=r"T1 art\. 1, draft") as no:
        then.rules(jurisdiction="beijing", on=day, overrides=mine)
    assert no.value.code.name == "policy_loosened"
    assert now.compare(then, jurisdiction="beijing", on=day, overrides=mine) == [
        Difference(LIMIT, "4,000.00 yuan", "3,000.00 yuan", "CR-12 (T1 art. 1, draft)")
    ]
    why = {
        line.name: line.why for line in then.explain(jurisdiction="beijing", on=day, overrides=mine)
    }[LIMIT]
    assert why == (
        "draft since 2027-01-01; the programme's 4,000.00 yuan has lapsed, being out of bounds"
    )


def test_the_shipped_packs_load() -> None:
    assert Policy.load(FixedClock(make.START)).jurisdictions
