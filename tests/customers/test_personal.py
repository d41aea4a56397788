"""Numbers, their one form, and what is shown of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kabao.base.errors import INVALID, Code, KabaoError
from kabao.base.naming import same_name
from kabao.customers.personal import (
    BIRTH_DATE_INVALID,
    EMAIL_INVALID,
    IDENTITY_INVALID,
    PHONE_INVALID,
    Identity,
    IdentityType,
    Profile,
    birth_date_of,
    e164,
    is_resident_id,
    masked_address,
    masked_email,
    masked_identity,
    masked_name,
    masked_number,
    masked_phone,
    tidied,
    tidied_identity,
)

TODAY = date(2026, 11, 22)
RESIDENT = "11010519491231002X"
DIGITS = "0123456789"


@pytest.mark.parametrize(
    "typed",
    [
        "13800001234",
        "138 0000 1234",
        "138-0000-1234",
        "+8613800001234",
        "+86 138 0000 1234",
        "+86-13800001234",
        "008613800001234",
        "8613800001234",
        "１３８００００１２３４",
        "(138)00001234",
        " 13800001234 ",
    ],
)
def test_a_phone_has_one_form(typed: str) -> None:
    assert e164(typed) == "+8613800001234"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "1380000123",
        "138000012345",
        "12800001234",
        "23800001234",
        "+8513800001234",
        "+1 415 555 0100",
        "1380000123a",
        "٠١٢٣٤٥٦٧٨٩٠",
        "021-58000000",
        "13800001234;13900001234",
    ],
)
def test_what_is_no_mainland_mobile(typed: str) -> None:
    with pytest.raises(KabaoError) as refused:
        e164(typed)
    assert (refused.value.code, refused.value.field) == (PHONE_INVALID, "phone")
    assert typed not in str(refused.value) or not typed


@pytest.mark.parametrize(
    ("number", "born"),
    [
        ("11010519491231002X", date(1949, 12, 31)),  # the standard's own examples
        ("440524188001010014", date(1880, 1, 1)),
        ("810000199001010019", date(1990, 1, 1)),  # residence permit, Hong Kong
        ("910123198001010018", date(1980, 1, 1)),  # foreigner's permanent residence
    ],
)
def test_numbers_that_check(number: str, born: date) -> None:
    assert is_resident_id(number)
    assert birth_date_of(number) == born


@pytest.mark.parametrize(
    "number",
    [
        "110105194912310021",  # wrong check digit
        "11010519491231002x",  # its one form is upper case
        "11010519491231002",
        "11010519491231002XX",
        "110105491231002",  # 15 digits: no longer valid
        "010105194912310021",
        "",
    ],
)
def test_numbers_that_do_not_check(number: str) -> None:
    assert not is_resident_id(number)


def signed(body: str) -> str:
    return next(body + sign for sign in "0123456789X" if _sum(body + sign) % 11 == 1)


def _sum(number: str) -> int:
    values = [10 if sign == "X" else int(sign) for sign in number]
    return sum(value * pow(2, 17 - place, 11) for place, value in enumerate(values))


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ("11010520240229001", True),  # a leap year
        ("11010520230229001", False),
        ("11010520230431001", False),
        ("11010520231301001", False),
        ("11010520230001001", False),
        ("16010520230101001", False),  # no such province
        ("84010520230101001", False),
        ("83000020230101001", True),
    ],
)
def test_place_and_date_must_exist(body: str, valid: bool) -> None:
    assert is_resident_id(signed(body)) is valid


@given(
    st.dates(date(1900, 1, 1), date(2026, 11, 22)),
    st.text(DIGITS, min_size=3, max_size=3),
    st.integers(0, 16),
    st.sampled_from(DIGITS),
)
def test_one_wrong_digit_is_always_found(born: date, serial: str, place: int, digit: str) -> None:
    """MOD 11-2 finds every single wrong digit."""
    number = signed(f"310101{born:%Y%m%d}{serial}")
    assert is_resident_id(number)
    assert birth_date_of(number) == born
    changed = number[:place] + digit + number[place + 1 :]
    assert is_resident_id(changed) is (changed == number)


@pytest.mark.parametrize(
    ("kind", "typed", "tidy"),
    [
        (IdentityType.RESIDENT_ID, " 110105-19491231-002x ", RESIDENT),
        (IdentityType.RESIDENT_ID, "１１０１０５１９４９１２３１００２Ｘ", RESIDENT),
        (IdentityType.PASSPORT, "e1234 5678", "E12345678"),
        (IdentityType.TRAVEL_PERMIT, "H12345678", "H12345678"),
        (IdentityType.CREDIT_CODE, "91350100m000100y43", "91350100M000100Y43"),
    ],
)
def test_an_identity_number_has_one_form(kind: IdentityType, typed: str, tidy: str) -> None:
    assert tidied_identity(Identity(kind, typed)) == Identity(kind, tidy)


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (IdentityType.RESIDENT_ID, "110105194912310021"),
        (IdentityType.PASSPORT, "E123"),
        (IdentityType.PASSPORT, "护照12345678"),
        (IdentityType.OTHER_DOCUMENT, "x" * 21),
        (IdentityType.CREDIT_CODE, "91350100M000100Y44"),
    ],
)
def test_bad_identity_numbers_are_not_repeated(kind: IdentityType, typed: str) -> None:
    with pytest.raises(KabaoError) as refused:
        tidied_identity(Identity(kind, typed))
    assert refused.value.code is IDENTITY_INVALID
    assert typed not in str(refused.value)


PASSPORT = Identity(IdentityType.PASSPORT, "E12345678")


@pytest.mark.parametrize(
    ("profile", "code", "field"),
    [
        (Profile(name="  "), INVALID, "name"),
        (Profile(name="张", email="张"), EMAIL_INVALID, "email"),
        (Profile(name="张", email="a@b"), EMAIL_INVALID, "email"),
        (Profile(name="张", email="a b@c.cn"), EMAIL_INVALID, "email"),
        (Profile(name="张", birth_date=date(1899, 12, 31)), BIRTH_DATE_INVALID, "birth_date"),
        (Profile(name="张", birth_date=date(2026, 11, 23)), BIRTH_DATE_INVALID, "birth_date"),
        (
            Profile(
                name="张",
                identity=Identity(IdentityType.RESIDENT_ID, RESIDENT),
                birth_date=date(1949, 12, 30),
            ),
            BIRTH_DATE_INVALID,
            "birth_date",
        ),
        (
            Profile(
                name="张", identity=Identity(IdentityType.RESIDENT_ID, signed("11010520261123001"))
            ),
            IDENTITY_INVALID,
            "identity",
        ),
    ],
)
def test_a_profile_that_cannot_be(profile: Profile, code: Code, field: str) -> None:
    with pytest.raises(KabaoError) as refused:
        tidied(profile, TODAY)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_profile_has_one_form() -> None:
    typed = Profile(
        name="  张  三丰 ",
        phone="138 0000 1234",
        identity=Identity(IdentityType.RESIDENT_ID, RESIDENT.lower()),
        email="zhang@mail.example.cn",
        birth_date=date(1949, 12, 31),
    )
    tidy = tidied(typed, TODAY)
    assert tidy == Profile(
        name="张 三丰",
        phone="+8613800001234",
        identity=Identity(IdentityType.RESIDENT_ID, RESIDENT),
        email="zhang@mail.example.cn",
    )
    assert tidy.born == date(1949, 12, 31)
    assert tidied(tidy, TODAY) == tidy
    for day in (date(1900, 1, 1), TODAY):
        assert tidied(Profile(name="张", identity=PASSPORT, birth_date=day), TODAY).born == day


def test_what_is_shown() -> None:
    assert masked_name("张三", of_unit=False) == "张*"
    assert masked_name("欧阳娜娜", of_unit=False) == "欧**"
    assert masked_name("张", of_unit=False) == "张*"
    assert masked_name("某某有限公司", of_unit=True) == "某某有限公司"
    assert masked_phone("+8613800001234") == "138****1234"
    assert masked_identity(Identity(IdentityType.RESIDENT_ID, RESIDENT)) == "110***********002X"
    assert masked_identity(PASSPORT) == "E******78"
    credit = Identity(IdentityType.CREDIT_CODE, "91350100M000100Y43")
    assert masked_identity(credit) == "91350100M000100Y43"
    assert masked_email("zhang@example.cn") == "z***@example.cn"
    assert masked_address("上海市黄浦区南京东路1号") == "上海市***"


@given(st.text(DIGITS + "X", min_size=5, max_size=20))
def test_most_of_a_number_stays_hidden(number: str) -> None:
    masked = masked_number(number)
    assert len(masked) == len(number)
    shown = sum(sign != "*" for sign in masked)
    assert shown <= 7
    assert shown * 2 <= len(number) or len(number) == 5


def test_nothing_personal_is_in_a_repr() -> None:
    profile = Profile(name="张三丰", phone="+8613800001234", identity=PASSPORT, address="上海")
    assert "张" not in repr(profile)
    assert "138" not in repr(profile)
    assert "E1234" not in repr(PASSPORT)


@pytest.mark.parametrize(
    ("ours", "banks", "same"),
    [
        ("王芳", "王 芳", True),
        ("王芳", "王\u3000芳\u00a0", True),
        ("Jean Dupont", "ＪＥＡＮ　ＤＵＰＯＮＴ", True),
        ("买买提·阿不都", "买买提•阿不都", True),
        ("甲乙（上海）有限公司", "甲乙(上海)有限公司", True),
        ("王芳", "王芬", False),
        ("王芳", "王", False),
        ("王芳", "王芳芳", False),
        ("王芳", "", False),
    ],
)
def test_the_same_name_however_it_is_written(ours: str, banks: str, same: bool) -> None:
    assert same_name(ours, banks) is same_name(banks, ours) is same
    assert same_name(ours, ours)
