"""Identifiers: UUIDv7 as 32 hex characters inside, `prefix_hex` at the edge.

Hex strings and not `uuid.UUID`: PostgreSQL reads them as `uuid`, and neither
side of the hot path pays for building objects. `NewType`s keep kinds apart.
"""

from __future__ import annotations

import secrets
from datetime import date
from typing import NewType, Protocol

from kabao.base.clock import US_PER_S, BusinessDays, Clock, to_us
from kabao.base.errors import NOT_FOUND

Id = NewType("Id", str)
"""Any identifier: 32 lowercase hex characters. Slices derive their own kinds."""

_HEX = frozenset("0123456789abcdef")
ID_LENGTH = 32
US_PER_DAY = 24 * 60 * 60 * US_PER_S
_BLOCK = 4096
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class Ids(Protocol):
    """A source of fresh identifiers, handed in like the clock."""

    def new(self) -> str:
        """A fresh UUIDv7 as 32 hex characters."""
        ...


class RandomIds:
    """UUIDv7 (RFC 9562): milliseconds, then a counter, then randomness."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_ms = 0
        self._counter = 0
        self._random = ""
        self._at = 0

    def new(self) -> str:
        """Fresh and, within this process, ever rising."""
        ms = self._clock.now_us() // 1000
        if ms > self._last_ms:
            self._last_ms, self._counter = ms, int(self._digits(3), 16) >> 2
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last_ms, self._counter = self._last_ms + 1, 0
        variant = _VARIANT[self._digits(1)]
        return f"{self._last_ms:012x}7{self._counter:03x}{variant}{self._digits(15)}"

    def _digits(self, count: int) -> str:
        """Random hex digits, drawn from the system a block at a time."""
        at = self._at
        if at + count > len(self._random):
            self._random, at = secrets.token_hex(_BLOCK), 0
        self._at = at + count
        return self._random[at : at + count]


class SequentialIds:
    """Reproducible identifiers for tests and simulations."""

    def __init__(self, seed: int = 0) -> None:
        self._next = seed << 32

    def new(self) -> str:
        """The next identifier of this seed, shaped like a UUIDv7."""
        self._next += 1
        return f"{self._next >> 32:012x}7{0:03x}{(0b10 << 62) | (self._next & 0xFFFFFFFF):016x}"


def least_id(us: int) -> str:
    """What sorts before every id given at that moment or later, in µs since the epoch."""
    return f"{max(0, us // 1000):012x}{0:020x}"


ID_AGE_US = 3_600_000_000
"""How far an id's time may be from its row's: clocks differ, and requests wait."""


def given_us(ident: str) -> int:
    """About when an id was given, in µs since the epoch: up to `ID_AGE_US` from its row's time."""
    return int(ident[:12], 16) * 1000


def ids_of_day(days: BusinessDays, day: date) -> tuple[str, str]:
    """Ids between which all lie whose business day it is: each was given its id shortly
    before the moment that decided on the day. The first is included, the last is not.
    """
    start_us = to_us(days.start(day))
    return least_id(start_us - ID_AGE_US), least_id(start_us + US_PER_DAY + ID_AGE_US)


def is_id(text: str) -> bool:
    """Whether the text has the form of an identifier."""
    return len(text) == ID_LENGTH and _HEX.issuperset(text)


def to_edge(prefix: str, ident: str) -> str:
    """`("pay", "01…")` to `"pay_01…"`."""
    return f"{prefix}_{ident}"


def from_edge(prefix: str, text: str, *, field: str | None = None) -> str:
    """`"pay_01…"` to `"01…"`. Raises `not_found` for any other form: to a
    caller a malformed id and an unknown one are the same.
    """
    head, _, ident = text.partition("_")
    if head != prefix or not is_id(ident):
        raise NOT_FOUND.error(f"There is no {prefix}_… with that id.", field=field)
    return ident
