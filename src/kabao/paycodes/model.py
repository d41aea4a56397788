"""What a pay code is, and the pure rules on making and reading one. Moments in µs UTC."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.base.clock import US_PER_S
from kabao.base.errors import Kind, code
from kabao.base.money import MAX_FEN
from kabao.cards.model import Hidden, Resolved, Source
from kabao.vault.model import RewrapTarget

STORE_CODE_INVALID = code(
    "store_code_invalid", Kind.REFUSED, "This is no code of a store, or it was changed."
)
STORE_CODE_AMOUNT = code(
    "store_code_amount", Kind.REFUSED, "The amount does not fit the store's code."
)
CARD_NOT_ACTIVE = code("card_not_active", Kind.REFUSED, "Only an active card has pay codes.")
TOO_MANY_DEVICES = code(
    "too_many_devices", Kind.REFUSED, "The card has as many devices as it may have."
)

PUBLIC_KEY_INVALID = code(
    "public_key_invalid", Kind.REFUSED, "That is no public key of the curve SM2."
)

CODE_DIGITS = 18
PREFIX_DIGITS = 2
HANDLE_DIGITS = 8
HEAD_DIGITS = PREFIX_DIGITS + HANDLE_DIGITS
PASSWORD_DIGITS = CODE_DIGITS - HEAD_DIGITS

STEP_S = 5
"""The period of a device's passwords. A new code can be had after so many seconds; every
period that is accepted makes a guess more likely to hit.
"""

LOOK_BACK_S = 600
"""How far back a device's code is recognised, to be told from a guess: its payment may
still be under way, and an old code is not a wrong secret. Longer than a code can live.
"""

KEY_BYTES = 32

CODE_INDEX = "pay_code"
"""Purpose of a code's blind index."""

STORE_CODE_MAC = "store_code"
"""Purpose of the MAC in a store's code."""

DEVICE_TABLE, DEVICE_COLUMN = "paycodes.device", "key_sealed"

REWRAP_TARGETS = (
    RewrapTarget(schema="paycodes", table="device", id_column="id", sealed_column=DEVICE_COLUMN),
)
"""Columns the vault's key rotation walks."""


class PayCode(Hidden, frozen=True, tag_field="type", tag="pay_code", forbid_unknown_fields=True):
    """A pay code that a till has scanned."""

    code: Annotated[str, Meta(pattern=f"^[0-9]{{{CODE_DIGITS}}}$")]


class PhoneCode(
    Hidden, frozen=True, tag_field="type", tag="phone_code", forbid_unknown_fields=True
):
    """What a phone showed to a till without a line: a moment, signed by the phone's own key."""

    data: Annotated[str, Meta(pattern=r"^KBP1\.[0-9a-f]{32}\.[0-9]{13}\.[0-9a-f]{128}$")]

    @property
    def device(self) -> str:
        """Which phone says it is."""
        return self.data.split(".")[1]

    @property
    def made_us(self) -> int:
        """When, by its clock."""
        return int(self.data.split(".")[2]) * 1000

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return PHONE_DOMAIN + ".".join(self.data.split(".")[1:3]).encode()

    @property
    def signature(self) -> bytes:
        """SM2, default id."""
        return bytes.fromhex(self.data.split(".")[3])


PHONE_DOMAIN = b"kabao-phone-code-1\n"
"""Before what a phone signs: its key signs nothing else."""

Payable = Source | PayCode
"""What can be shown to pay with."""


class ByCode(Resolved, frozen=True, kw_only=True):
    """A card found by a pay code, with what must be judged under the card's lock."""

    series: str
    """Id of the card or of the device whose code it is."""
    number: int
    until_us: int
    """Its first presentation comes before this, or never."""
    tie_us: int
    """How long its first presentation ties it to a till and an order."""
    superseded: bool
    """Whether a newer code of the series had been made when it was looked up."""


class Made(Hidden, frozen=True):
    """A fresh pay code."""

    code: str
    made_us: int
    expires_us: int


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that makes codes for a card. Its key is not part of it."""

    id: str
    card: str
    head: str
    name: str
    enrolled_at: datetime
    revoked_at: datetime | None


class Phone(msgspec.Struct, frozen=True):
    """A device that signs, with its public key: 64 bytes, x and y."""

    id: str
    card: str
    public_key: bytes
    revoked_at: datetime | None


class Enrolled(Hidden, frozen=True):
    """A new device with its key, told once."""

    device: Device
    key: bytes
    ttl_s: int


class StoreCode(msgspec.Struct, frozen=True):
    """What a store's code says: where to pay, and how much if that is fixed."""

    store: str
    terminal: str | None = None
    amount_fen: int | None = None


# --- codes of a device ----------------------------------------------------------------------


def password(key: bytes, number: int) -> str:
    """The one-time password of a period: RFC 4226 truncation, RFC 6238 with SHA-256."""
    digest = hmac.digest(key, number.to_bytes(8, "big"), "sha256")
    at = digest[-1] & 0x0F
    value = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return f"{value % 10**PASSWORD_DIGITS:0{PASSWORD_DIGITS}d}"


def number_at(us: int) -> int:
    """The period a moment lies in: the number of the code a device makes then."""
    return us // (STEP_S * US_PER_S)


def until(number: int, life_us: int) -> int:
    """When the code of a period has lived: counted from the period's beginning."""
    return number * STEP_S * US_PER_S + life_us


def which(key: bytes, shown: str, now_us: int, skew_us: int) -> int | None:
    """The number of the code that was shown, the newest first; None: it is none.

    A code from the future is accepted for as much as clocks may differ, and for no
    more: "not yet" would tell a guesser what to come back with.
    """
    newest = number_at(now_us + skew_us)
    oldest = number_at(now_us - LOOK_BACK_S * US_PER_S)
    found = None
    for number in range(newest, oldest - 1, -1):
        # No early exit: how long it takes says nothing about how near a guess was.
        if hmac.compare_digest(password(key, number), shown) and found is None:
            found = number
    return found


# --- codes of a store -----------------------------------------------------------------------

STORE_CODE_HEAD = "KABAO1"
"""Capitals, digits and colons: QR codes hold those in half the room."""

MAC_CHARS = 32
"""Hex digits of a store code's MAC: 128 bits, since it is never throttled."""

STORE_CODE_MAX = len(STORE_CODE_HEAD) + 2 * 32 + MAC_CHARS + len(str(MAX_FEN)) + 4


def store_code_body(said: StoreCode) -> str:
    """What the MAC of a store's code covers: everything in it."""
    amount = "" if said.amount_fen is None else str(said.amount_fen)
    return ":".join((STORE_CODE_HEAD, said.store.upper(), (said.terminal or "").upper(), amount))


def read_store_code(text: str) -> tuple[StoreCode, str] | None:
    """What a store's code says, and its MAC, not yet checked; None if it is none of ours."""
    parts = text.split(":")
    if len(parts) != 5 or parts[0] != STORE_CODE_HEAD or len(text) > STORE_CODE_MAX:
        return None
    _, store, terminal, amount, mac = parts
    if amount and not (amount.isascii() and amount.isdigit()):
        return None
    said = StoreCode(store.lower(), terminal.lower() or None, int(amount) if amount else None)
    # One meaning, one text: nothing that only reads alike.
    return (said, mac) if text == f"{store_code_body(said)}:{mac}" else None
