"""Personal data: one form for it, checks of numbers, and what may be shown of it."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from enum import StrEnum

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.org.model import is_credit_code

PHONE_INVALID = code("phone_invalid", Kind.INVALID, "This is not a mainland mobile number.")
EMAIL_INVALID = code("email_invalid", Kind.INVALID, "This is not an e-mail address.")
IDENTITY_INVALID = code("identity_invalid", Kind.INVALID, "The identity number is not a valid one.")
BIRTH_DATE_INVALID = code(
    "birth_date_invalid", Kind.INVALID, "The date of birth is not possible, or not the document's."
)


class IdentityType(StrEnum):
    """What kind of document or code identifies a party."""

    RESIDENT_ID = "resident_id"
    """18 characters of GB 11643: residents, residence permits (81-83), foreigners (9)."""
    PASSPORT = "passport"
    TRAVEL_PERMIT = "travel_permit"
    """来往内地通行证 of Hong Kong, Macao and Taiwan."""
    OTHER_DOCUMENT = "other_document"
    CREDIT_CODE = "credit_code"
    """Unified social credit code of a unit (GB 32100)."""


class Identity(msgspec.Struct, frozen=True):
    """A document and its number."""

    type: IdentityType
    number: str

    def __repr__(self) -> str:
        return f"Identity({self.type!s})"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything personal about a customer, in its one form (`tidied`)."""

    name: str
    phone: str | None = None
    """E.164, `+86…`."""
    identity: Identity | None = None
    address: str | None = None
    email: str | None = None
    birth_date: date | None = None
    """Only where the document does not say it."""

    def __repr__(self) -> str:
        return "Profile(…)"

    @property
    def born(self) -> date | None:
        """The date of birth, as far as it is known."""
        if self.identity is not None and self.identity.type is IdentityType.RESIDENT_ID:
            return birth_date_of(self.identity.number)
        return self.birth_date


def tidied(profile: Profile, on: date) -> Profile:
    """The profile in its one form, as of today.

    Raises:
        KabaoError: `invalid` (name), `phone_invalid`, `identity_invalid`, `email_invalid`,
            `birth_date_invalid`.
    """
    name = " ".join(profile.name.split())
    if not name:
        raise INVALID.error("A name is needed.", field="name")
    identity = None if profile.identity is None else tidied_identity(profile.identity)
    if profile.email is not None and not _EMAIL.fullmatch(profile.email):
        raise EMAIL_INVALID.error(field="email")
    tidy = msgspec.structs.replace(
        profile,
        name=name,
        phone=None if profile.phone is None else e164(profile.phone),
        identity=identity,
    )
    born = tidy.born
    if tidy.birth_date is not None and tidy.birth_date != born:
        raise BIRTH_DATE_INVALID.error("The document says another day.", field="birth_date")
    if born is not None and not _EARLIEST_BIRTH <= born <= on:
        if tidy.birth_date is None:
            raise IDENTITY_INVALID.error(field="identity")
        raise BIRTH_DATE_INVALID.error(field="birth_date")
    if identity is not None and identity.type is IdentityType.RESIDENT_ID:
        return msgspec.structs.replace(tidy, birth_date=None)  # said once, by the document
    return tidy


# --- phone and e-mail -------------------------------------------------------

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+")
_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")
_GAPS = re.compile(r"[\s()\-‐-―]")


def e164(phone: str) -> str:
    """`138 0000 1234`, `+86-138…`, full-width digits: `+8613800001234`. Raises `phone_invalid`."""
    found = _MOBILE.fullmatch(_GAPS.sub("", unicodedata.normalize("NFKC", phone)))
    if found is None:
        raise PHONE_INVALID.error(field="phone")
    return f"+86{found[1]}"


# --- identity numbers -------------------------------------------------------

_DOCUMENT = re.compile(r"[0-9A-Z]{5,20}")
_RESIDENT = re.compile(r"[1-9][0-9]{16}[0-9X]")
_REGIONS = (range(11, 16), range(21, 24), range(31, 38), range(41, 47), range(50, 55))
_REGIONS_WEST_AND_OVERSEAS = (range(61, 66), range(71, 72), range(81, 84))
_PROVINCES = frozenset(
    str(code) for codes in (*_REGIONS, *_REGIONS_WEST_AND_OVERSEAS) for code in codes
)
_FOREIGNERS = "9"
_CHECK_SIGNS = "10X98765432"
_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_EARLIEST_BIRTH = date(1900, 1, 1)


def tidied_identity(identity: Identity) -> Identity:
    """The number in its one form, checked. Raises `identity_invalid`."""
    number = _GAPS.sub("", unicodedata.normalize("NFKC", identity.number)).upper()
    match identity.type:
        case IdentityType.RESIDENT_ID:
            valid = is_resident_id(number)
        case IdentityType.CREDIT_CODE:
            valid = is_credit_code(number)
        case _:
            valid = _DOCUMENT.fullmatch(number) is not None
    if not valid:
        raise IDENTITY_INVALID.error(field="identity")
    return Identity(identity.type, number)


def check_identity(identity: Identity, *, of_unit: bool) -> None:
    """Raises `identity_invalid` if a unit shows a person's document, or the other way round."""
    if (identity.type is IdentityType.CREDIT_CODE) != of_unit:
        raise IDENTITY_INVALID.error(
            "A unit is identified by its credit code, a person by a document.", field="identity"
        )


def is_resident_id(number: str) -> bool:
    """Whether an 18-character citizen identity number checks (GB 11643-1999).

    Region (province only), a real date of birth, and ISO 7064 MOD 11-2. That the day is not
    in the future is for the caller, who has the clock.
    """
    if not _RESIDENT.fullmatch(number):
        return False
    if number[0] != _FOREIGNERS and number[:2] not in _PROVINCES:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return number[-1] == _CHECK_SIGNS[total % 11] and birth_date_of(number) is not None


def birth_date_of(number: str) -> date | None:
    """The date of birth in a citizen identity number, or None if there is no such day."""
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


# --- what may be shown ------------------------------------------------------


def masked_name(name: str, *, of_unit: bool) -> str:
    """`张三丰` to `张**`. A unit's name is public."""
    return name if of_unit else name[:1] + "*" * min(max(len(name) - 1, 1), 2)


def masked_phone(phone: str) -> str:
    """`+8613800001234` to `138****1234`."""
    national = phone.removeprefix("+86")
    return f"{national[:3]}****{national[-4:]}"


def masked_number(number: str) -> str:
    """First 3 and last 4 of a long number; less of a short one, so that most stays hidden."""
    head, tail = (3, 4) if len(number) >= 14 else (1, 2)
    return number[:head] + "*" * (len(number) - head - tail) + number[-tail:]


def masked_identity(identity: Identity) -> str:
    """A person's number masked; a unit's credit code is public."""
    if identity.type is IdentityType.CREDIT_CODE:
        return identity.number
    return masked_number(identity.number)


def masked_email(email: str) -> str:
    """`zhang@example.cn` to `z***@example.cn`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


def masked_address(address: str) -> str:
    """The first three characters: a province or a municipality."""
    return f"{address[:3]}***"
