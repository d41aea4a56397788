"""Customers, their proofs and consents, and the rules about them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from kabao.base.errors import INVALID, Kind, code
from kabao.base.naming import same_name
from kabao.customers.personal import (
    BIRTH_DATE_INVALID,
    Identity,
    Profile,
    check_identity,
)
from kabao.policy.model import Rules
from kabao.policy.names import (
    PURCHASE_IDENTITY_BEARER_FROM_FEN,
    PURCHASE_IDENTITY_REGISTERED_FROM_FEN,
)
from kabao.vault.model import RewrapTarget

IDENTITY_TAKEN = code(
    "identity_taken", Kind.CONFLICT, "The company knows a customer with this identity already."
)
CUSTOMER_ERASED = code("customer_erased", Kind.CONFLICT, "The customer's personal data was erased.")
RETENTION_NOT_OVER = code(
    "retention_not_over", Kind.REFUSED, "The law still requires this data to be kept."
)
CONSENT_MISSING = code(
    "consent_missing", Kind.REFUSED, "This needs a separate consent that was not given."
)
CONSENT_WITHDRAWN = code("consent_withdrawn", Kind.CONFLICT, "The consent is withdrawn already.")
VERIFICATION_IMPOSSIBLE = code(
    "verification_impossible", Kind.REFUSED, "This method cannot verify this customer."
)
METHOD_NOT_ATTESTABLE = code(
    "method_not_attestable", Kind.REFUSED, "This method's outcome comes from its verifier only."
)
BUYER_IDENTITY_MISSING = code(
    "buyer_identity_missing", Kind.REFUSED, "This purchase needs the buyer's identity."
)

TABLE = "customers.customer"
COLUMN = "profile"
"""Under these the vault seals a profile."""

PHONE_INDEX = "phone"
IDENTITY_INDEX = "identity"
"""Purposes of the blind indexes."""

REWRAP_TARGETS = (
    RewrapTarget(schema="customers", table="customer", id_column="id", sealed_column=COLUMN),
)
"""Columns the vault's key rotation walks."""

GUARDIAN_UNDER_YEARS = 14
"""Under this age a guardian consents (PIPL art 31; CR-81)."""

ADULT_YEARS = 18
"""From this age on a contract binds without a guardian (Civil Code art 17; CR-31)."""


class Party(StrEnum):
    """What kind of party a customer is."""

    PERSON = "person"
    UNIT = "unit"


class CustomerState(StrEnum):
    """Whether there is still a profile."""

    ACTIVE = "active"
    ERASED = "erased"


class Level(StrEnum):
    """How far the real name is proven, lowest first."""

    NONE = "none"
    PHONE = "phone"
    IDENTITY = "identity"
    FACE = "face"

    def reaches(self, needed: Level) -> bool:
        """Whether this level is at least `needed`."""
        return _RANK[self] >= _RANK[needed]


_RANK = {level: rank for rank, level in enumerate(Level)}


class Method(StrEnum):
    """How a real name is verified: each verifier by what it compares (ruling 15)."""

    SMS_CODE = "sms_code"
    """A one-time code came back from the phone."""
    NAME_ID = "name_id"
    """Name and identity number agree in the population register."""
    NAME_ID_PHONE = "name_id_phone"
    """Name, identity number and phone agree at the carrier."""
    NAME_ID_PHONE_BANK_CARD = "name_id_phone_bank_card"
    """The four agree at the bank."""
    DOCUMENT_AT_COUNTER = "document_at_counter"
    """Staff saw the document and its bearer."""
    UNIT_REGISTER = "unit_register"
    """Name and credit code agree in the enterprise register."""
    NAME_ID_FACE = "name_id_face"
    """A live face agrees with the population register's picture."""


class _Proof(msgspec.Struct, frozen=True):
    """What a method proves: the level it grants and the fields it rests on."""

    level: Level
    rests_on: frozenset[str]
    party: Party | None = None


_PROOFS = {
    Method.SMS_CODE: _Proof(Level.PHONE, frozenset({"phone"})),
    Method.NAME_ID: _Proof(Level.IDENTITY, frozenset({"name", "identity"}), Party.PERSON),
    Method.NAME_ID_PHONE: _Proof(
        Level.IDENTITY, frozenset({"name", "identity", "phone"}), Party.PERSON
    ),
    Method.NAME_ID_PHONE_BANK_CARD: _Proof(
        Level.IDENTITY, frozenset({"name", "identity", "phone"}), Party.PERSON
    ),
    Method.DOCUMENT_AT_COUNTER: _Proof(Level.IDENTITY, frozenset({"name", "identity"})),
    Method.UNIT_REGISTER: _Proof(Level.IDENTITY, frozenset({"name", "identity"}), Party.UNIT),
    Method.NAME_ID_FACE: _Proof(Level.FACE, frozenset({"name", "identity"}), Party.PERSON),
}

ATTESTABLE = frozenset({Method.DOCUMENT_AT_COUNTER})
"""Methods whose outcome staff may state; all others come from their verifier."""


class Verification(msgspec.Struct, frozen=True):
    """One proof of a real name. `reference` is the verifier's own number for it."""

    id: str
    customer: str
    method: Method
    reference: str | None
    verified_at: datetime
    verified_by: str
    voided_at: datetime | None


class ConsentKind(StrEnum):
    """What is agreed to; each needs its own consent (PIPL arts 14, 29; CR-81)."""

    CHARTER = "charter"  # 章程, CR-06
    AGREEMENT = "agreement"  # 协议, CR-06
    PRIVACY = "privacy"
    FINANCIAL = "financial"  # sensitive
    LOCATION = "location"  # sensitive
    BIOMETRIC = "biometric"  # sensitive
    GUARDIAN = "guardian"  # sensitive: under 14
    MARKETING = "marketing"


class NewConsent(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed to: the document's version and its SM3 or SHA-256, 64 hex characters."""

    kind: ConsentKind
    version: str
    document_hash: str


class Consent(msgspec.Struct, frozen=True):
    """One consent, and whether it still stands."""

    id: str
    customer: str
    kind: ConsentKind
    version: str
    document_hash: str
    given_at: datetime
    recorded_by: str
    withdrawn_at: datetime | None

    @property
    def stands(self) -> bool:
        """Whether it was not withdrawn."""
        return self.withdrawn_at is None


class Customer(msgspec.Struct, frozen=True):
    """A holder or buyer, in clear. Handle with care: only what `repr` shows may be logged."""

    id: str
    company: str
    party: Party
    state: CustomerState
    level: Level
    profile: Profile | None
    created_at: datetime
    updated_at: datetime

    def __repr__(self) -> str:
        return f"Customer(id={self.id!r}, party={self.party!s}, level={self.level!s})"

    def age(self, on: date) -> int | None:
        """Whole years of age, where a date of birth is known."""
        born = self.profile.born if self.profile else None
        return None if born is None else age_on(born, on)

    def is_called(self, name: str) -> bool:
        """Whether that is their name, however it is written; nobody's whose data was erased."""
        return self.profile is not None and same_name(self.profile.name, name)

    def is_minor(self, on: date) -> bool:
        """Whether a contract may be voided for want of age (CR-31)."""
        age = self.age(on)
        return age is not None and age < ADULT_YEARS


class NewCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a customer when we first meet; raw, as typed."""

    company: str
    party: Party
    name: str
    phone: str | None = None
    identity: Identity | None = None
    address: str | None = None
    email: str | None = None
    birth_date: date | None = None
    consents: tuple[NewConsent, ...] = ()

    def __repr__(self) -> str:
        return f"NewCustomer(company={self.company!r}, party={self.party!s})"


class CustomerChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; what is unset stays, None takes it away. Raw, as typed."""

    name: str | UnsetType = UNSET
    phone: str | UnsetType | None = UNSET
    identity: Identity | UnsetType | None = UNSET
    address: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return f"CustomerChange({', '.join(self.asked())})"

    def asked(self) -> dict[str, object]:
        """The fields that were said."""
        return {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if getattr(self, name) is not UNSET
        }


class LookKind(StrEnum):
    """How staff came to see a customer."""

    OPENED = "opened"
    BY_PHONE = "by_phone"
    BY_IDENTITY = "by_identity"


class Look(msgspec.Struct, frozen=True):
    """Somebody saw, or sought, a customer. `customer` is None when nothing was found."""

    looker: str
    kind: LookKind
    customer: str | None
    at: datetime


class Export(msgspec.Struct, frozen=True):
    """All we hold about a customer, for the customer (PIPL art 45; CR-82)."""

    customer: Customer
    verifications: tuple[Verification, ...]
    consents: tuple[Consent, ...]

    def __repr__(self) -> str:
        return f"Export({self.customer!r})"


def age_on(born: date, on: date) -> int:
    """Whole years; who is born on 29 February has the birthday on 1 March in other years."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def kept_until(ended_on: date, years: int) -> date:
    """The first day on which data kept for `years` after `ended_on` may go."""
    try:
        return ended_on.replace(year=ended_on.year + years)
    except ValueError:  # 29 February
        return date(ended_on.year + years, 3, 1)


def needs_guardian(profile: Profile, on: date) -> bool:
    """Whether a guardian must consent to our holding this profile (PIPL art 31)."""
    return profile.born is not None and age_on(profile.born, on) < GUARDIAN_UNDER_YEARS


def check_party(party: Party, profile: Profile) -> None:
    """A unit is identified by its credit code, a person by a document; a unit is not born.

    Raises `identity_invalid`, `birth_date_invalid`.
    """
    of_unit = party is Party.UNIT
    if profile.identity is not None:
        check_identity(profile.identity, of_unit=of_unit)
    if of_unit and profile.birth_date is not None:
        raise BIRTH_DATE_INVALID.error("A unit has no date of birth.", field="birth_date")


def level_of(verifications: Iterable[Verification]) -> Level:
    """The highest level a live verification grants."""
    levels = [_PROOFS[v.method].level for v in verifications if v.voided_at is None]
    return max(levels, key=_RANK.__getitem__, default=Level.NONE)


def shaken(verification: Verification, before: Profile, after: Profile) -> bool:
    """Whether a change of the profile takes the ground from under a verification."""
    return any(
        getattr(before, field) != getattr(after, field)
        for field in _PROOFS[verification.method].rests_on
    )


def check_method(method: Method, party: Party, profile: Profile) -> None:
    """Whether a method can verify this party. Raises `verification_impossible`."""
    proof = _PROOFS[method]
    if proof.party not in {None, party}:
        raise VERIFICATION_IMPOSSIBLE.error(f"{method} does not verify a {party}.", field="method")
    missing = sorted(field for field in proof.rests_on if getattr(profile, field) is None)
    if missing:
        raise VERIFICATION_IMPOSSIBLE.error(
            f"{method} needs the customer's {' and '.join(missing)}.", field="method"
        )


def consent_needed(method: Method) -> ConsentKind | None:
    """The separate consent a method needs beforehand (PIPL art 29)."""
    return ConsentKind.BIOMETRIC if method is Method.NAME_ID_FACE else None


def missing_identity(profile: Profile | None) -> tuple[str, ...]:
    """What is missing of the identity data of CR-08: name, number, contact."""
    if profile is None:
        return ("name", "identity", "phone")
    return tuple(field for field in ("identity", "phone") if getattr(profile, field) is None)


_DOCUMENT_HASH = re.compile(r"[0-9a-f]{64}")


def check_consent(consent: NewConsent) -> None:
    """Raises `invalid` unless the hash is 64 lower-case hex characters."""
    if not _DOCUMENT_HASH.fullmatch(consent.document_hash):
        raise INVALID.error("64 lower-case hex characters.", field="document_hash")


def purchase_rule(rules: Rules, amount_fen: int, *, registered: bool) -> str | None:
    """The row by which a purchase or top-up needs the buyer's identity, or None.

    Registered cards at any amount (CR-07), bearer cards from a threshold on (CR-08).
    """
    name = (
        PURCHASE_IDENTITY_REGISTERED_FROM_FEN if registered else PURCHASE_IDENTITY_BEARER_FROM_FEN
    )
    return rules.row(name) if amount_fen >= rules.int(name) else None


def check_buyer(rules: Rules, buyer: Profile | None, amount_fen: int, *, registered: bool) -> None:
    """Refuse a purchase whose buyer (or agent) is not identified as the law wants (L-13).

    Raises:
        KabaoError: `buyer_identity_missing` with the row and the first thing missing.
    """
    rule = purchase_rule(rules, amount_fen, registered=registered)
    missing = missing_identity(buyer)
    if rule is not None and missing:
        detail = f"This purchase needs the buyer's {', '.join(missing)}."
        raise BUYER_IDENTITY_MISSING.error(detail, rule=rule, field=missing[0])
