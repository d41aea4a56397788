"""Types for what comes in: the limits stand in the type, once, for every route.

The decoder enforces them, and the OpenAPI document is generated from the same
types, so what is documented and what is refused cannot drift apart. msgspec is
strict: for an `int` the JSON values `1.0`, `1e2`, `true` and `"1"` are refused.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kabao.base.errors import MALFORMED, MISSING_KEY
from kabao.base.money import MAX_FEN

LINE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
"""One line without control characters: PostgreSQL cannot store NUL, and a line
break smuggled into a name forges a log or a receipt. `$` alone would let a
final line break pass."""

LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
"""Several lines: tab and line breaks are allowed, other control characters are not."""

Amount = Annotated[int, Meta(ge=1, le=MAX_FEN, description="Whole fen, more than zero.")]
AmountOrZero = Annotated[int, Meta(ge=0, le=MAX_FEN, description="Whole fen.")]
Currency = Annotated[Literal["CNY"], Meta(description="ISO 4217 code.")]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]

ShortText = Annotated[str, Meta(min_length=1, max_length=64, pattern=LINE)]
"""A name, a reference, a code: 1 to 64 characters on one line."""

Text = Annotated[str, Meta(max_length=255, pattern=LINES)]
"""A remark: up to 255 characters."""

EdgeId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=LINE,
        description="Such as `card_…`. A malformed id is answered like an unknown one.",
    ),
]

Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339 with offset.")]

Metadata = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=40, pattern=LINE)],
        Annotated[str, Meta(max_length=255, pattern=LINES)],
    ],
    Meta(max_length=20, description="The caller's own notes: up to 20 entries."),
]

KEY_HEADER = "Idempotency-Key"
KEY_LENGTH = 255
_KEY = re.compile("[!-~]+").fullmatch

IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=KEY_LENGTH,
        pattern="^[!-~]+$",
        description="Made by the caller, kept by the caller until it has an answer.",
    ),
]


class RequestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of every request. Unknown fields are refused by name.

    `omit_defaults` keeps the canonical form of a body, and with it the MAC
    under which its Idempotency-Key is remembered, unchanged when a later
    version adds an optional field.
    """


class AskForRefund(RequestBody, frozen=True):
    """How much to give back, nothing given: all that is left; and why."""

    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
    amount: Amount | None = None


class Nothing(RequestBody, frozen=True):
    """The body of a request that carries none: empty, or `{}`."""


def idempotency_key(header: str | None) -> str:
    """The checked key: 1 to 255 printable ASCII characters without blanks.

    Raises `idempotency_key_missing` or `malformed`.
    """
    if not header:
        raise MISSING_KEY.error(field=KEY_HEADER)
    if len(header) > KEY_LENGTH or not _KEY(header):
        raise MALFORMED.error(
            "The Idempotency-Key must be 1 to 255 printable ASCII characters without blanks.",
            field=KEY_HEADER,
        )
    return header
