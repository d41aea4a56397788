"""Levels, ages, consents and what a purchase asks of its buyer: pure rules."""

from datetime import UTC, date, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.clock import FixedClock
from kabao.base.errors import KabaoError
from kabao.customers.model import (
    ADULT_YEARS,
    BUYER_IDENTITY_MISSING,
    GUARDIAN_UNDER_YEARS,
    VERIFICATION_IMPOSSIBLE,
    ConsentKind,
    Customer,
    CustomerChange,
    CustomerState,
    Export,
    Level,
    Method,
    NewCustomer,
    Party,
    Verification,
    age_on,
    check_buyer,
    check_method,
    check_party,
    consent_needed,
    kept_until,
    level_of,
    missing_identity,
    needs_guardian,
    purchase_rule,
    shaken,
)
from kabao.customers.personal import IDENTITY_INVALID, Identity, IdentityType, Profile
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
TODAY = date(2026, 11, 22)
RESIDENT = Identity(IdentityType.RESIDENT_ID, "11010519491231002X")
CREDIT = Identity(IdentityType.CREDIT_CODE, "91350100M000100Y43")
WHOLE = Profile(name="张三丰", phone="+8613800001234", identity=RESIDENT)
UNIT = Profile(name="某公司", phone="+8613800001234", identity=CREDIT)


def proof(method: Method, *, void: bool = False) -> Verification:
    return Verification("v", "c", method, None, AT, "somebody", AT if void else None)


def customer(profile: Profile | None) -> Customer:
    state = CustomerState.ACTIVE if profile else CustomerState.ERASED
    return Customer("c", "company", Party.PERSON, state, Level.NONE, profile, AT, AT)


def test_levels_are_a_ladder() -> None:
    ladder = [Level.NONE, Level.PHONE, Level.IDENTITY, Level.FACE]
    for (i, level), (j, needed) in product(enumerate(ladder), enumerate(ladder)):
        assert level.reaches(needed) is (i >= j)


@pytest.mark.parametrize(
    ("method", "level"),
    [
        (Method.SMS_CODE, Level.PHONE),
        (Method.NAME_ID, Level.IDENTITY),
        (Method.NAME_ID_PHONE, Level.IDENTITY),
        (Method.NAME_ID_PHONE_BANK_CARD, Level.IDENTITY),
        (Method.DOCUMENT_AT_COUNTER, Level.IDENTITY),
        (Method.UNIT_REGISTER, Level.IDENTITY),
        (Method.NAME_ID_FACE, Level.FACE),
    ],
)
def test_each_method_grants_its_level_until_it_is_void(method: Method, level: Level) -> None:
    assert level_of([proof(method)]) is level
    assert level_of([proof(method, void=True)]) is Level.NONE


def test_no_method_is_called_four_elements() -> None:
    """Ruling 15: a verifier is named by what it compares."""
    assert all("four" not in method and "element" not in method for method in Method)


@given(st.lists(st.tuples(st.sampled_from(Method), st.booleans())))
def test_the_level_is_the_highest_live_one(given_proofs: list[tuple[Method, bool]]) -> None:
    proofs = [proof(method, void=void) for method, void in given_proofs]
    level = level_of(proofs)
    live = [level_of([one]) for one in proofs if one.voided_at is None]
    assert all(level.reaches(one) for one in live)
    assert level in {*live, Level.NONE}


@pytest.mark.parametrize(
    ("after", "voids"),
    [
        (WHOLE, set[Method]()),
        (Profile(name="张三丰", phone="+8613900001234", identity=RESIDENT), {"phone"}),
        (Profile(name="张三", phone="+8613800001234", identity=RESIDENT), {"name"}),
        (Profile(name="张三丰", phone="+8613800001234"), {"identity"}),
        (
            Profile(
                name="张三丰", phone=WHOLE.phone, identity=RESIDENT, address="上海", email="a@b.c"
            ),
            set[Method](),
        ),
    ],
)
def test_a_change_voids_what_rested_on_it(after: Profile, voids: set[str]) -> None:
    for method in Method:
        phone = method in {
            Method.SMS_CODE,
            Method.NAME_ID_PHONE,
            Method.NAME_ID_PHONE_BANK_CARD,
        }
        expected = ("phone" in voids and phone) or (
            bool(voids & {"name", "identity"}) and method is not Method.SMS_CODE
        )
        assert shaken(proof(method), WHOLE, after) is expected


@pytest.mark.parametrize(
    ("method", "party", "profile"),
    [
        (Method.SMS_CODE, Party.PERSON, Profile(name="张")),
        (Method.NAME_ID, Party.PERSON, Profile(name="张", phone="+8613800001234")),
        (Method.NAME_ID_PHONE, Party.PERSON, Profile(name="张", identity=RESIDENT)),
        (Method.NAME_ID, Party.UNIT, UNIT),
        (Method.NAME_ID_FACE, Party.UNIT, UNIT),
        (Method.UNIT_REGISTER, Party.PERSON, WHOLE),
    ],
)
def test_a_method_needs_what_it_compares(method: Method, party: Party, profile: Profile) -> None:
    with pytest.raises(KabaoError) as refused:
        check_method(method, party, profile)
    assert refused.value.code is VERIFICATION_IMPOSSIBLE
    check_method(Method.DOCUMENT_AT_COUNTER, Party.PERSON, WHOLE)
    check_method(Method.DOCUMENT_AT_COUNTER, Party.UNIT, UNIT)


def test_only_a_face_needs_a_separate_consent() -> None:
    needed = {method: consent_needed(method) for method in Method}
    assert needed.pop(Method.NAME_ID_FACE) is ConsentKind.BIOMETRIC
    assert set(needed.values()) == {None}


def test_a_unit_has_a_code_and_a_person_a_document() -> None:
    check_party(Party.PERSON, WHOLE)
    check_party(Party.UNIT, UNIT)
    check_party(Party.UNIT, Profile(name="某公司"))
    for party, profile in ((Party.PERSON, UNIT), (Party.UNIT, WHOLE)):
        with pytest.raises(KabaoError) as refused:
            check_party(party, profile)
        assert refused.value.code is IDENTITY_INVALID
    with pytest.raises(KabaoError):
        check_party(Party.UNIT, Profile(name="某公司", birth_date=TODAY))


@pytest.mark.parametrize(
    ("born", "on", "age"),
    [
        (date(2008, 11, 22), date(2026, 11, 21), 17),
        (date(2008, 11, 22), date(2026, 11, 22), 18),
        (date(2008, 11, 22), date(2026, 11, 23), 18),
        (date(2012, 2, 29), date(2026, 2, 28), 13),
        (date(2012, 2, 29), date(2026, 3, 1), 14),
        (date(2012, 2, 29), date(2028, 2, 29), 16),
        (TODAY, TODAY, 0),
    ],
)
def test_age_in_whole_years(born: date, on: date, age: int) -> None:
    assert age_on(born, on) == age


@pytest.mark.parametrize(
    ("born", "minor", "guardian"),
    [
        (date(2008, 11, 21), False, False),
        (date(2008, 11, 22), False, False),
        (date(2008, 11, 23), True, False),
        (date(2012, 11, 21), True, False),
        (date(2012, 11, 22), True, False),
        (date(2012, 11, 23), True, True),
        (None, False, False),
    ],
)
@pytest.mark.row("CR-31", "CR-81")
def test_who_is_a_minor_and_who_a_child(born: date | None, minor: bool, guardian: bool) -> None:
    assert (ADULT_YEARS, GUARDIAN_UNDER_YEARS) == (18, 14)
    profile = Profile(name="张", birth_date=born)
    assert customer(profile).is_minor(TODAY) is minor
    assert needs_guardian(profile, TODAY) is guardian


@pytest.mark.parametrize(
    ("ended_on", "until"),
    [
        (date(2021, 11, 22), date(2026, 11, 22)),
        (date(2024, 2, 29), date(2029, 3, 1)),
    ],
)
def test_data_is_kept_for_whole_years(ended_on: date, until: date) -> None:
    assert kept_until(ended_on, 5) == until


@pytest.fixture(scope="module", params=["national", "beijing", "shanghai"])
def rules(request: pytest.FixtureRequest) -> Rules:
    return Policy.load(FixedClock(AT)).rules(jurisdiction=request.param, on=TODAY)


@pytest.mark.parametrize(
    ("registered", "amount_fen", "rule"),
    [
        (True, 0, "CR-07"),
        (True, 1, "CR-07"),
        (True, 1_000_000, "CR-07"),
        (False, 0, None),
        (False, 999_999, None),
        (False, 1_000_000, "CR-08"),
        (False, 1_000_001, "CR-08"),
    ],
)
@pytest.mark.row("L-13", "CR-07", "CR-08")
def test_when_a_purchase_needs_the_buyers_identity(
    rules: Rules, registered: bool, amount_fen: int, rule: str | None
) -> None:
    assert purchase_rule(rules, amount_fen, registered=registered) == rule
    check_buyer(rules, WHOLE, amount_fen, registered=registered)
    check_buyer(rules, UNIT, amount_fen, registered=registered)
    for lacking, field in (
        (None, "name"),
        (Profile(name="张", phone="+8613800001234"), "identity"),
        (Profile(name="张", identity=RESIDENT), "phone"),
    ):
        if rule is None:
            check_buyer(rules, lacking, amount_fen, registered=registered)
            continue
        with pytest.raises(KabaoError) as refused:
            check_buyer(rules, lacking, amount_fen, registered=registered)
        assert refused.value.code is BUYER_IDENTITY_MISSING
        assert (refused.value.rule, refused.value.field) == (rule, field)


def test_what_is_missing_of_an_identity() -> None:
    assert missing_identity(None) == ("name", "identity", "phone")
    assert missing_identity(Profile(name="张")) == ("identity", "phone")
    assert missing_identity(WHOLE) == ()


def test_nothing_personal_is_in_a_repr() -> None:
    known = customer(WHOLE)
    for shown in (
        repr(known),
        repr(Export(known, (), ())),
        repr(NewCustomer(company="c", party=Party.PERSON, name="张三丰", phone="13800001234")),
        repr(CustomerChange(name="张三丰", phone="13800001234")),
    ):
        assert "张" not in shown
        assert "138" not in shown
