"""Cards' types: programmes, cards, sources of payment, and the rules on them."""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Container, Mapping
from datetime import date, datetime
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Annotated, NewType
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from kabao.base.clock import from_us
from kabao.base.errors import Kind, code
from kabao.cards.sources import Barcode as Barcode
from kabao.cards.sources import CardNumber as CardNumber
from kabao.cards.sources import CardRef as CardRef
from kabao.cards.sources import Hidden as Hidden
from kabao.cards.sources import Source as Source
from kabao.cards.sources import Track as Track
from kabao.cards.states import CardState
from kabao.vault.model import CardKeyUse, RewrapTarget

LINE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
"""One line, or several, without control characters."""

CardId = NewType("CardId", str)
ProgrammeId = NewType("ProgrammeId", str)

BARCODE_PREFIX = "988"
KEY_DIGITS = 2
"""Of the card key's version, in tracks and barcodes."""

VALUE_DIGITS = 8
"""Digits of a verification value: what track 2 has room for behind a 19-digit number."""

PROGRAMME_INVALID = code(
    "programme_invalid", Kind.REFUSED, "A programme with these terms is not allowed."
)
PROGRAMME_STATE = code(
    "programme_state", Kind.CONFLICT, "The programme's state does not allow this."
)
PROGRAMME_CHANGED = code(
    "programme_changed", Kind.CONFLICT, "The programme was changed meanwhile; read it again."
)
APPROVAL_NEEDED = code("approval_needed", Kind.REFUSED, "A second person must approve this first.")
PREFIX_TAKEN = code(
    "prefix_taken", Kind.CONFLICT, "The prefix is, contains or starts another programme's prefix."
)
RANGE_FULL = code(
    "number_range_full", Kind.REFUSED, "No number range of the programme has room left."
)
CARRIER_NOT_OFFERED = code(
    "carrier_not_offered", Kind.REFUSED, "The programme does not come on this carrier."
)
HOLDER_NOT_IDENTIFIED = code(
    "holder_not_identified", Kind.REFUSED, "The holder's identity is not known well enough."
)
BATCH_TOO_LARGE = code("batch_too_large", Kind.REFUSED, "The batch is larger than one may be.")
BATCH_STOPPED = code("batch_stopped", Kind.CONFLICT, "The batch was stopped.")
SECRETS_GONE = code(
    "secrets_gone", Kind.CONFLICT, "These numbers and PINs were shown before, or waited too long."
)


CARD_TABLE, CARD_COLUMN = "cards.card", "number_sealed"
CHUNK_TABLE, CHUNK_COLUMN = "cards.batch_chunk", "secrets_sealed"
"""Under these the vault seals numbers, and the secrets of a bulk issue."""

NUMBER_INDEX = "card_number"
"""Purpose of a number's blind index."""

REWRAP_TARGETS = (
    RewrapTarget(schema="cards", table="card", id_column="id", sealed_column=CARD_COLUMN),
    RewrapTarget(schema="cards", table="batch_chunk", id_column="id", sealed_column=CHUNK_COLUMN),
)
"""Columns the vault's key rotation walks."""

CARD_KEY_USES = (CardKeyUse(schema="cards", table="card", version_column="key_version"),)
"""Where it stands which master key a card's verification values need."""


class CardClass(StrEnum):
    """The legal class (记名 / 不记名); limits and validity hang on it."""

    REGISTERED = "registered"
    BEARER = "bearer"


class Carrier(StrEnum):
    """What a card is made of."""

    PHYSICAL = "physical"
    ELECTRONIC = "electronic"


class ProgrammeState(StrEnum):
    """Draft: freely changed, issues nothing. Suspended: issues nothing, cards go on."""

    DRAFT = "draft"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


PROGRAMME_STEPS: Mapping[ProgrammeState, frozenset[ProgrammeState]] = {
    ProgrammeState.DRAFT: frozenset({ProgrammeState.ACTIVE, ProgrammeState.RETIRED}),
    ProgrammeState.ACTIVE: frozenset({ProgrammeState.SUSPENDED, ProgrammeState.RETIRED}),
    ProgrammeState.SUSPENDED: frozenset({ProgrammeState.ACTIVE, ProgrammeState.RETIRED}),
    ProgrammeState.RETIRED: frozenset(),
}


STATUS: Mapping[CardState, str] = {
    CardState.IN_STOCK: "inactive",
    CardState.BLOCKED: "blocked",
    CardState.INACTIVE: "inactive",
    CardState.POSTED: "inactive",
    CardState.ACTIVE: "active",
    CardState.FROZEN: "frozen",
    CardState.LOST: "lost",
    CardState.LOST_FROZEN: "lost",
    CardState.EXPIRED: "expired",
    CardState.REPLACED: "replaced",
    CardState.CLOSED: "closed",
}
"""What the outside is told of a card's state."""


class CredentialKind(IntEnum):
    """Kinds of credential. Tracks and barcodes carry a number and are found by it."""

    NUMBER = 1
    CARD_KEY = 2
    PAY_CODE = 3


class Proof(IntEnum):
    """What a source proved, judged outside the lock; tries are judged under it."""

    NONE = 0
    """No secret came where one is needed."""
    RIGHT = 1
    WRONG = 2
    NO_PIN_SET = 3
    """A PIN came, and the card has none."""
    SCOPE = 4
    """A card named by id: the caller's scope is the proof, and the caller checks it."""


class PinPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a programme uses PINs."""

    length: Annotated[int, Meta(ge=4, le=12)] | None = None
    """Digits; None: as policy says."""
    on_swipe: bool = False
    """Whether a track needs the PIN as well."""


Prefix = Annotated[str, Meta(pattern="^[0-9]{4,12}$")]
Name = Annotated[str, Meta(min_length=1, max_length=60, pattern=LINE)]
RuleText = Annotated[str, Meta(min_length=1, max_length=80, pattern=LINE)]
Limit = int | bool | RuleText | Annotated[tuple[RuleText, ...], Meta(max_length=200)]


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a programme says, and what a new version may change."""

    name_en: Name
    name_zh: Name
    carriers: Annotated[tuple[Carrier, ...], Meta(min_length=1, max_length=2)]
    prefixes: Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=32)]
    number_length: Annotated[int, Meta(ge=16, le=19)] | None = None
    """Digits; None: as policy says."""
    pin: PinPolicy = PinPolicy()
    validity_months: Annotated[int, Meta(ge=1, le=1200)] | None = None
    """Months until a card expires; None: as policy says, a registered card never (CR-13)."""
    face_values: Annotated[tuple[Annotated[int, Meta(gt=0)], ...], Meta(max_length=32)] = ()
    """Amounts it is sold at, in fen; none given: any amount within the limits."""
    limits: Annotated[dict[RuleText, Limit], Meta(max_length=64)] = {}
    """Policy values of its own, by rule name; they may only be tighter."""
    active_at_issue: bool = True
    """Whether electronic cards are active as soon as they are issued."""
    time_zone: Annotated[str, Meta(min_length=1, max_length=40, pattern=LINE)] = "Asia/Shanghai"
    art: Annotated[str, Meta(max_length=200, pattern=LINE)] | None = None
    """Reference to the card face's picture."""
    notes: Annotated[str, Meta(max_length=500, pattern=LINES)] = ""
    """What the face says besides name, issuer, value and number (CR-14)."""
    contact: Annotated[str, Meta(max_length=120, pattern=LINE)] = ""
    """How to reach the issuer, as printed on the face (CR-14)."""


class NewProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """A card product to be. `jurisdiction` None: its issuer's."""

    issuer: str
    card_class: CardClass
    terms: Terms
    currency: str = "CNY"
    jurisdiction: str | None = None
    active: bool = False


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """A card product as it stands. `version` counts its changes."""

    id: str
    issuer: str
    card_class: CardClass
    currency: str
    jurisdiction: str
    state: ProgrammeState
    version: int
    terms: Terms
    created_at: datetime
    changed_at: datetime
    revision: int = 0


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a programme was from one change to the next, and who changed it."""

    programme: str
    version: int
    state: ProgrammeState
    terms: Terms
    changed_at: datetime
    changed_by: str
    approval: str | None


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A card as its row says; no secret is in it."""

    id: str
    root: str
    programme: str
    carrier: Carrier
    state: CardState
    reason: str | None
    state_at: datetime
    frozen_until: datetime | None
    holder: str | None
    expires_on: date | None
    last4: str
    key_version: int
    batch: str | None
    serial: int | None
    location: str | None
    replaces: str | None
    replaced_by: str | None
    issued_at: datetime
    activated_at: datetime | None


class Resolved(msgspec.Struct, frozen=True):
    """What a source turned out to be. To be compared with the root under its
    lock: `card` with `root.card`, `secret_version` with `root.secret_version`.
    """

    card: str
    root: str
    programme: str
    issuer: str
    last4: str
    secret_version: int
    state_of_carrier: CardState
    carrier: Carrier
    proof: Proof
    pin_proved: bool = False
    """Whether a PIN came, and was right: only that forgives wrong ones."""


# --- issuing --------------------------------------------------------------------


class NewCard(msgspec.Struct, frozen=True, kw_only=True):
    """One card to issue."""

    programme: str
    carrier: Carrier
    holder: str | None = None
    location: str | None = None


class Secrets(Hidden, frozen=True, kw_only=True):
    """What is known of a card only when it is made: shown once."""

    card: str
    number: str
    pin: str
    expires_on: date | None
    track2: str
    barcode: str
    serial: int | None = None


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh card with its secrets."""

    card: Card
    secrets: Secrets


class BatchState(StrEnum):
    """A batch runs until all its cards are made or somebody stops it."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk issue to make."""

    programme: str
    carrier: Carrier
    count: int
    reference: str = ""
    location: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk issue as it stands."""

    id: str
    programme: str
    carrier: Carrier
    reference: str
    location: str | None
    requested: int
    issued: int
    state: BatchState
    created_by: str
    approval: str | None
    created_at: datetime
    ended_at: datetime | None


# --- rules ------------------------------------------------------------------------


def local_day(us: int, time_zone: str) -> date:
    """The calendar day of a moment where the programme lives."""
    return from_us(us).astimezone(zone(time_zone)).date()


def last_day(from_day: date, months: int | None) -> date | None:
    """The last day on which a card that starts on `from_day` is good, or None for ever.

    A period in months ends on the same day of its last month, or on that
    month's last day if it has no such day (Civil Code art. 202).
    """
    if months is None:
        return None
    year, month = divmod(from_day.year * 12 + from_day.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(from_day.day, length))


def is_over(valid_until: date | None, us: int, time_zone: str) -> bool:
    """Whether a card's time is over: it is good until the end of its last day,
    in the programme's time zone.
    """
    return valid_until is not None and local_day(us, time_zone) > valid_until


def is_weak_pin(pin: str, weak: Container[str] = ()) -> bool:
    """Whether a PIN is among the first anyone would try: listed (policy
    `pin.weak`), one digit repeated, a run up or down, or a pattern repeated.
    """
    if pin in weak:
        return True
    digits = [int(sign) for sign in pin]
    steps = {(b - a) % 10 for a, b in itertools.pairwise(digits)}
    if steps <= {0} or steps == {1} or steps == {9}:
        return True
    half = len(pin) // 2
    return any(
        len(pin) % width == 0 and pin == pin[:width] * (len(pin) // width)
        for width in range(2, half + 1)
    )


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """A time zone by name. Raises LookupError, ValueError or OSError for what is none."""
    return ZoneInfo(name)
