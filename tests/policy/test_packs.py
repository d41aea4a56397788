"""The shipped packs: what holds where and since when, and how it is named."""

import re
from datetime import date, timedelta

import pytest

from kabao.base.errors import KabaoError
from kabao.policy import names
from kabao.policy.model import COVERED_FROM, Rules, Standing, Unit
from kabao.policy.names import KINDS, Kind
from kabao.policy.ops import Policy

from . import make

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return make.policy()


def rules(policy: Policy, jurisdiction: str = "national", on: date = make.TODAY) -> Rules:
    return policy.rules(jurisdiction=jurisdiction, on=on)


# What a jurisdiction says from a day on: the value before, and from that day.
BEGINNINGS = [
    # jurisdiction, name, first day, before, from then on, row
    ("national", names.CARD_RETURN_WINDOW_DAYS, "2025-05-01", 0, 7, "CR-23"),
    ("national", names.CARD_RETURN_INTEREST_ISSUER, "2025-05-01", "none", "lpr_1y", "CR-26"),
    ("national", names.CARD_RETURN_INTEREST_CONSUMER, "2025-05-01", "none", "deposit_1y", "CR-26"),
    ("national", names.CARD_RETURN_INTEREST_CUSTODY, "2025-05-01", "none", "actual", "CR-26"),
    (
        "national",
        names.CARD_RETURN_VALUATION_CONSUMER,
        "2025-05-01",
        "paid_ratio",
        "list_price",
        "CR-24",
    ),
    ("national", names.PURCHASE_CONTRACT_REQUIRED, "2024-07-01", False, True, "CR-32"),
    ("national", names.CLOSURE_TELLS_EACH_HOLDER, "2024-07-01", False, True, "CR-33"),
    ("national", names.RATE_LPR_1Y_BP, "2024-10-21", 335, 310, "CR-26"),
    ("national", names.RATE_LPR_1Y_BP, "2025-05-20", 310, 300, "CR-26"),
    ("national", names.INVOICE_SALE_CODE, "2026-01-01", "601", "601", "CR-76"),
    ("beijing", names.CARD_RETURN_WINDOW_DAYS, "2022-06-01", 0, 7, "CR-34"),
    ("beijing", names.CARD_RETURN_PAY_UNUSED_DAYS, "2022-06-01", 15, 5, "CR-34"),
    ("beijing", names.CARD_RETURN_PAY_OTHER_DAYS, "2022-06-01", 15, 15, "CR-34"),
    ("beijing", names.RETENTION_TRADE_YEARS, "2022-06-01", 5, 5, "CR-35"),
    ("beijing", names.ISSUER_FILING_FROM_FEN, "2023-09-01", 0, 50_000_000, "CR-36"),
    ("beijing", names.CUSTODY_LOCAL_RATIO_BP, "2023-09-01", 0, 4000, "CR-36"),
    ("shanghai", names.REPORT_OUTFLOW_DAY_OF_MONTH, "2019-01-01", 0, 25, "CR-38"),
    ("shanghai", names.CLOSURE_TELLS_EACH_HOLDER, "2019-01-01", False, True, "CR-38"),
    ("shanghai", names.CUSTODY_LOCAL_FROM_FEN, "2019-05-01", 0, 20_000_001, "CR-39"),
    ("shanghai", names.CUSTODY_LOCAL_RATIO_BP, "2019-05-01", 0, 4000, "CR-39"),
    ("shanghai", names.CUSTODY_SPECIAL_RATIO_BP, "2019-05-01", 0, 10_000, "CR-39"),
    ("shanghai", names.CUSTODY_SPECIAL_RATIO_BP, "2024-05-01", 10_000, 10_000, "CR-40"),
]


@pytest.mark.parametrize(("jurisdiction", "name", "first", "before", "after", "row"), BEGINNINGS)
def test_a_law_begins_on_its_day(
    policy: Policy,
    jurisdiction: str,
    name: str,
    first: str,
    before: object,
    after: object,
    row: str,
) -> None:
    day = date.fromisoformat(first)
    values = [
        rules(policy, jurisdiction, on).settled[name].value for on in (day - DAY, day, day + DAY)
    ]
    assert values == [before, after, after]
    assert rules(policy, jurisdiction, day).row(names.IntName(name)) == row


TODAY_NATIONAL = [
    (names.CARD_LIMIT_REGISTERED_FEN, 500_000, "CR-12"),
    (names.CARD_LIMIT_BEARER_FEN, 100_000, "CR-12"),
    (names.CARD_VALIDITY_BEARER_MONTHS, 36, "CR-13"),
    (names.CARD_VALIDITY_REGISTERED_EXPIRES, False, "CR-13"),
    (names.CARD_NUMBER_LENGTH_DIGITS, 19, "ATK-2"),
    (names.CARD_NUMBER_DENSITY_PPM, 100, "ATK-2"),
    (names.PURCHASE_IDENTITY_REGISTERED_FROM_FEN, 0, "CR-07"),
    (names.PURCHASE_IDENTITY_BEARER_FROM_FEN, 1_000_000, "CR-08"),
    (names.PURCHASE_TRANSFER_UNIT_FROM_FEN, 500_000, "CR-09"),
    (names.PURCHASE_TRANSFER_PERSON_FROM_FEN, 5_000_000, "CR-09"),
    (names.PURCHASE_TRANSFER_REMOTE_ALWAYS, True, "CR-09"),
    (names.PURCHASE_TRANSFER_TRACEABLE_COUNTS, True, "ruling 17"),
    (names.PURCHASE_SPLITTING_FROM_COUNT, 3, "CR-10"),
    (names.RETENTION_BUYER_YEARS, 5, "CR-11"),
    (names.RETENTION_TRADE_YEARS, 5, "L-11"),
    (names.CASH_OUT_MAX_FEN, 10_000, "CR-21"),
    (names.PAY_REFUND_CASH_MAX_FEN, 10_000, "CR-20"),
    (names.CLOSURE_NOTICE_DAYS, 30, "CR-22"),
    (names.CUSTODY_SCALE_BP, 2000, "CR-50"),
    (names.CUSTODY_GROUP_BP, 3000, "CR-50"),
    (names.CUSTODY_BRAND_BP, 4000, "CR-50"),
    (names.CUSTODY_LIVE_BP, 10_000, "L-11"),
    (names.ISSUER_BALANCE_RETAIL_BP, 4000, "CR-16"),
    (names.REPORT_QUARTER_WORKDAYS, 20, "CR-55"),
    (names.PIN_TRIES_COUNT, 3, "R-01"),
    (names.PIN_LOCK_MINUTES, 24 * 60, "R-01"),
    (names.LOSS_EFFECT_SECONDS, 0, "P-15"),
    (names.LOSS_REPLACEMENT_PHYSICAL_HOURS, 24, "P-15"),
    (names.LOSS_REPLACEMENT_COUNTER_HOURS, 0, "ruling 3"),
    (names.LOSS_BEARER_FREEZE_HOURS, 72, "ruling 3"),
    (names.HOLD_FREEZE_MINUTES, 30, "P-06"),
    (names.KEY_REDEEM_BY_MONTHS, 6, "K-03"),
    (names.BIND_DAY_MAX_COUNT, 5, "B-21"),
    (names.KEY_RESALE_PER_YEAR_COUNT, 3, "K-18"),
    (names.OFFLINE_CODE_ALLOWED, False, "ruling 10"),
    (names.DISPUTE_RETRIEVAL_DAYS, 180, "C-04"),
    (names.RECONCILE_OWN_TOLERANCE_FEN, 0, "ruling 14"),
    (names.HTTP_SECRET_REVEAL_HOURS, 24, "design 4"),
    (names.HTTP_PAGE_MAX_COUNT, 200, "ATK-9"),
    (names.ACCESS_PASSWORD_MIN_CHARS, 12, "ATK-17"),
    (names.ACCESS_SESSION_IDLE_MINUTES, 15, "ATK-17"),
]


@pytest.mark.parametrize(("name", "value", "row"), TODAY_NATIONAL)
def test_the_figures_of_the_requirements_hold(
    policy: Policy, name: names.IntName, value: object, row: str
) -> None:
    cited = rules(policy).cite(name)
    assert (cited.value, cited.row) == (value, row)


# At the bound, one step to the safe side and one beyond it.
BOUNDS = [
    # jurisdiction, name, allowed, refused, the row that refuses
    ("national", names.CARD_LIMIT_REGISTERED_FEN, (499_999, 500_000), 500_001, "CR-12"),
    ("national", names.CARD_LIMIT_BEARER_FEN, (99_999, 100_000), 100_001, "CR-12"),
    ("national", names.CARD_VALIDITY_BEARER_MONTHS, (36, 37), 35, "CR-13"),
    ("national", names.CARD_VALIDITY_REGISTERED_EXPIRES, (False,), True, "CR-13"),
    ("national", names.PURCHASE_IDENTITY_REGISTERED_FROM_FEN, (0,), 1, "CR-07"),
    ("national", names.PURCHASE_IDENTITY_BEARER_FROM_FEN, (999_999, 1_000_000), 1_000_001, "CR-08"),
    ("national", names.PURCHASE_TRANSFER_UNIT_FROM_FEN, (499_999, 500_000), 500_001, "CR-09"),
    ("national", names.PURCHASE_TRANSFER_REMOTE_ALWAYS, (True,), False, "CR-09"),
    ("national", names.CARD_RETURN_WINDOW_DAYS, (7, 8), 6, "CR-23"),
    ("beijing", names.CARD_RETURN_PAY_UNUSED_DAYS, (4, 5), 6, "CR-34"),
    ("beijing", names.RETENTION_TRADE_YEARS, (3, 5, 6), 2, "CR-35"),
    ("shanghai", names.REPORT_OUTFLOW_DAY_OF_MONTH, (25,), 24, "CR-38"),
    ("national", names.CASH_OUT_MAX_FEN, (9_999, 10_000), 10_001, "CR-21"),
    ("national", names.CUSTODY_GROUP_BP, (3000, 3001), 2999, "CR-50"),
    ("shanghai", names.CUSTODY_LOCAL_RATIO_BP, (4000, 4001), 3999, "CR-40"),
    ("national", names.PIN_TRIES_COUNT, (3, 4, 5), 6, "R-01"),
    ("national", names.PIN_LOCK_MINUTES, (30, 31, 1440), 29, "R-01"),
    ("national", names.PIN_LENGTH_DIGITS, (6, 7), 5, "R-01"),
    ("national", names.CARD_NUMBER_DENSITY_PPM, (99, 100), 101, "ATK-2"),
    ("national", names.LOSS_EFFECT_SECONDS, (0,), 1, "P-15"),
    ("national", names.LOSS_BEARER_FREEZE_HOURS, (71, 72), 73, "ruling 3"),
    ("national", names.CARD_RETURN_FEE_BP, (0,), 1, "ruling 4"),
    ("national", names.SWITCH_RELEASE_NEEDS_TWO, (True,), False, "ATK-11"),
    ("national", names.APPROVAL_ADJUSTMENT_FROM_FEN, (1,), 2, "ATK-11"),
]


@pytest.mark.parametrize(("jurisdiction", "name", "allowed", "refused", "row"), BOUNDS)
def test_a_programme_may_tighten_and_never_loosen(
    policy: Policy,
    jurisdiction: str,
    name: str,
    allowed: tuple[object, ...],
    refused: object,
    row: str,
) -> None:
    for value in allowed:
        held = policy.rules(jurisdiction=jurisdiction, on=make.TODAY, overrides={name: value})
        assert held.settled[name].value == value
        assert held.settled[name].pack == "programme"
    with pytest.raises(KabaoError) as no:
        policy.rules(jurisdiction=jurisdiction, on=make.TODAY, overrides={name: refused})
    assert (no.value.code.name, no.value.rule, no.value.field) == ("policy_loosened", row, name)
    assert row in no.value.detail
    assert name in no.value.detail


def test_a_programme_may_add_weak_pins_and_not_drop_one(policy: Policy) -> None:
    listed = rules(policy).texts(names.PIN_WEAK)
    more = policy.rules(
        jurisdiction="national",
        on=make.TODAY,
        overrides={names.PIN_WEAK: [*listed, "204060"]},
    )
    assert more.texts(names.PIN_WEAK) == (*listed, "204060")
    with pytest.raises(KabaoError, match=r"pin\.weak"):
        policy.rules(
            jurisdiction="national", on=make.TODAY, overrides={names.PIN_WEAK: list(listed[1:])}
        )


def test_constants_are_named_after_their_rules() -> None:
    for constant, name in vars(names).items():
        if constant.isupper() and isinstance(name, str):
            assert name in KINDS
            assert name.upper().replace(".", "_") == constant


UNITS_BY_ENDING = {
    "fen": Unit.FEN,
    "cents": Unit.USD_CENTS,
    "bp": Unit.BP,
    "ppm": Unit.PPM,
    "count": Unit.COUNT,
    "digits": Unit.DIGITS,
    "chars": Unit.CHARS,
    "bits": Unit.BITS,
    "bytes": Unit.BYTES,
    "years": Unit.YEARS,
    "months": Unit.MONTHS,
    "days": Unit.DAYS,
    "workdays": Unit.WORKDAYS,
    "hours": Unit.HOURS,
    "minutes": Unit.MINUTES,
    "seconds": Unit.SECONDS,
    "ms": Unit.MS,
    "month": Unit.DAY_OF_MONTH,
    "january": Unit.DAY_OF_MONTH,
}


def test_numbers_end_in_their_unit(policy: Policy) -> None:
    for name, settled in rules(policy).settled.items():
        if KINDS[name] in (Kind.INT, Kind.RATE):
            assert settled.row.unit is UNITS_BY_ENDING[re.split(r"[._]", name)[-1]], name


@pytest.mark.parametrize("jurisdiction", ["national", "beijing", "shanghai"])
def test_every_name_has_a_value_from_the_covered_day_on(policy: Policy, jurisdiction: str) -> None:
    for on in (COVERED_FROM, make.TODAY, date.max):
        assert set(rules(policy, jurisdiction, on).settled) == set(KINDS)


def test_before_the_covered_day_a_missing_value_is_said_so(policy: Policy) -> None:
    old = rules(policy, on=date(2019, 8, 19))
    with pytest.raises(KabaoError) as no:
        old.rate(names.RATE_LPR_1Y_BP)
    assert no.value.code.name == "no_rule_in_force"


def test_what_a_lawyer_should_look_at_is_marked(policy: Policy) -> None:
    def standing(jurisdiction: str, name: str) -> Standing:
        return rules(policy, jurisdiction).settled[name].row.standing

    assert standing("national", names.PURCHASE_TRANSFER_TRACEABLE_COUNTS) is Standing.UNCONFIRMED
    assert standing("shanghai", names.CUSTODY_LOCAL_RATIO_BP) is Standing.UNCONFIRMED
    assert standing("national", names.ISSUER_BALANCE_GROUP_BP) is Standing.UNCONFIRMED
    assert standing("national", names.CARD_RETURN_WINDOW_DAYS) is Standing.VERIFIED
    assert standing("national", names.PIN_TRIES_COUNT) is Standing.HOUSE


def test_weak_pins_have_the_length_of_a_pin(policy: Policy) -> None:
    held = rules(policy)
    length = held.int(names.PIN_LENGTH_DIGITS)
    assert all(len(pin) == length and pin.isdigit() for pin in held.texts(names.PIN_WEAK))
