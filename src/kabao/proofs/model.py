"""Codes, proofs, hits and the rules about them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NewType

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.vault.model import RewrapTarget

CodeId = NewType("CodeId", str)

CODE_REFUSED = code(
    "code_refused", Kind.REFUSED, "The code is wrong, too old, or was tried too often."
)
TOO_MANY_CODES = code(
    "too_many_codes", Kind.TOO_MANY, "Too many codes were sent; wait before asking for another."
)
PROOF_REFUSED = code(
    "proof_refused", Kind.REFUSED, "The code was not proved for this, is too old, or is spent."
)

PAGE_TOKEN_REFUSED = code(
    "page_token_refused",
    Kind.REFUSED,
    "The page's token is wrong, too old, used before, or of another page.",
)

REWRAP_TARGETS = (
    RewrapTarget("proofs", "sms", "id", "phone"),
    RewrapTarget("proofs", "sms", "id", "text"),
)
"""Sealed columns, for the rotation of keys."""

HOUR = timedelta(hours=1)


class CodeLimits(msgspec.Struct, frozen=True):
    """What the policy says of one-time codes."""

    digits: int
    ttl_s: int
    tries: int
    resend_s: int
    sends_per_hour: int
    tries_row: str
    resend_row: str
    sends_row: str

    @classmethod
    def of(cls, rules: Rules) -> CodeLimits:
        """Take them from resolved rules."""
        return cls(
            digits=rules.int(names.PROOF_CODE_DIGITS),
            ttl_s=rules.int(names.PROOF_TTL_SECONDS),
            tries=rules.int(names.PROOF_TRIES_COUNT),
            resend_s=rules.int(names.PROOF_RESEND_SECONDS),
            sends_per_hour=rules.int(names.PROOF_SENDS_PER_HOUR_COUNT),
            tries_row=rules.row(names.PROOF_TRIES_COUNT),
            resend_row=rules.row(names.PROOF_RESEND_SECONDS),
            sends_row=rules.row(names.PROOF_SENDS_PER_HOUR_COUNT),
        )


class Code(msgspec.Struct, frozen=True):
    """A code that was sent. It is proved when said rightly, and spent when used."""

    id: str
    purpose: str
    subject: str
    mac: bytes
    tries_left: int
    created_at: datetime
    expires_at: datetime
    proved_at: datetime | None = None
    spent_at: datetime | None = None


class Sent(msgspec.Struct, frozen=True):
    """What the asker is told of a code: its id, how long it is good, how often it may be tried."""

    id: str
    expires_at: datetime
    tries: int


class Proof(msgspec.Struct, frozen=True):
    """A code that was said rightly. Spend it in the transaction it permits."""

    id: str
    purpose: str
    subject: str
    expires_at: datetime


class PageOf(msgspec.Struct, frozen=True):
    """What a payment page's token is bound to."""

    company: str
    amount_fen: int
    currency: str
    order: str
    session: str


class Sms(msgspec.Struct, frozen=True):
    """A text for a phone. Both are personal or secret: never log one."""

    purpose: str
    phone: str
    text: str

    def __repr__(self) -> str:
        return f"<Sms {self.purpose}>"


class Hit(msgspec.Struct, frozen=True):
    """The answer of a counter: the how-manieth hit this was, and whether it is allowed.

    `count` stops at `limit` + 1. A window begins with its first hit and ends at `until`.
    """

    count: int
    limit: int
    until: datetime

    @property
    def allowed(self) -> bool:
        """Whether the hit is within the limit."""
        return self.count <= self.limit

    @property
    def left(self) -> int:
        """How many more are allowed before `until`."""
        return max(self.limit - self.count, 0)


_PURPOSE = re.compile(r"[a-z][a-z_.]{0,39}")
_PHONE = re.compile(r"\+?[0-9]{6,15}")
_CODE = re.compile(r"[0-9]{4,12}")
MAX_SUBJECT = 80
MAINLAND = 11
"""Digits of a mainland mobile number without its country code."""


def check_purpose(purpose: str, subject: str) -> None:
    """A defect of ours, not of a caller: purposes and subjects are named by slices."""
    assert _PURPOSE.fullmatch(purpose), "a purpose is lower-case words with dots"
    assert 0 < len(subject) <= MAX_SUBJECT, "a subject is an id"


def check_phone(phone: str) -> None:
    """Raises `invalid` unless it is 6 to 15 digits, with or without a leading plus (E.164)."""
    if not _PHONE.fullmatch(phone):
        raise INVALID.error("6 to 15 digits, with or without a leading '+'.", field="phone")


def phone_key(phone: str) -> str:
    """One form for the ways a mainland number is written, so that limits hold for all of them."""
    plain = phone.removeprefix("+").removeprefix("00")
    return plain[2:] if len(plain) == MAINLAND + 2 and plain.startswith("86") else plain


def is_code(text: str) -> bool:
    """Whether the text could be a code at all."""
    return text.isascii() and _CODE.fullmatch(text) is not None


def sms_text(code: str, ttl_s: int) -> str:
    """What the phone shows. Says who asks, in the brackets that gateways demand, and warns,
    since fraud begins with a phone call.
    """
    minutes = max(ttl_s // 60, 1)
    return (
        f"【卡包】验证码{code}，{minutes}分钟内有效，工作人员绝不会向您索要。"
        f"Your code is {code}, good for {minutes} min; our staff will never ask you for it."
    )
