"""Terminal master keys: two components of two persons, and what becomes of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from kabao.base.errors import INVALID, Kind, code
from kabao.merchants.model.tills import TerminalState
from kabao.vault.model import TerminalCipher

KEY_STATE = code(
    "terminal_key_state_conflict", Kind.CONFLICT, "This terminal key awaits no second component."
)
KEY_SAME_PERSON = code(
    "terminal_key_same_person", Kind.REFUSED, "The two components come from two persons."
)
KEY_CHECK_VALUE = code(
    "terminal_key_check_value", Kind.REFUSED, "The component does not have this check value."
)
KEY_TOO_LATE = code(
    "terminal_key_too_late", Kind.REFUSED, "The second component came too late; begin anew."
)

RULE = "ATK-15"
"""Dual control of keys: no person ever has, or sees, a whole one."""

TMK_BYTES = 16
"""Double-length triple DES and SM4 alike."""

TMK_PURPOSE = ("merchants.terminal_key", "tmk")
COMPONENT_PURPOSE = ("merchants.terminal_key", "component")
"""Table and column under which the vault seals a key, and its first component."""

_DISTINCT = 6
"""Of 16 random bytes, fewer than this many are different once in 10^12 draws."""

_PARITY = bytes([0xFE]) * (TMK_BYTES // 2)


class TerminalKeyState(StrEnum):
    """How far a key has come."""

    HALF = "half"
    """One component is there."""
    ACTIVE = "active"
    ENDED = "ended"
    """Succeeded by another, abandoned, or its terminal was retired; the material is gone."""


class TerminalKeyEntry(msgspec.Struct, frozen=True):
    """What may be known of a terminal's master key: everything but the key.

    `check_value` is that of the first component while the key is half, then the key's.
    """

    id: str
    terminal: str
    version: int
    algorithm: TerminalCipher
    state: TerminalKeyState
    check_value: str
    first_by: str
    second_by: str | None
    created_at: datetime
    activated_at: datetime | None
    ended_at: datetime | None
    revision: int

    def check_second(self, person: str, at: datetime, within: timedelta, rule: str) -> None:
        """Whether this person may add the second component now.

        Raises `terminal_key_state_conflict`, `terminal_key_same_person`, `terminal_key_too_late`.
        """
        if self.state is not TerminalKeyState.HALF:
            raise KEY_STATE.error(f"The key is {self.state}.")
        if person == self.first_by:
            raise KEY_SAME_PERSON.error(rule=RULE)
        if at > self.created_at + within:
            raise KEY_TOO_LATE.error(rule=rule)


class SealedKey(msgspec.Struct, frozen=True):
    """An active key as the snapshot holds it: sealed. `revision` is that of its entry."""

    id: str
    terminal: str
    version: int
    algorithm: TerminalCipher
    state: TerminalKeyState
    tmk: bytes | None
    revision: int


class TerminalKey(msgspec.Struct, frozen=True):
    """A terminal's master key, opened: for the moment of a sign-in, and never stored.

    `state` is the terminal's: a blocked one is known, and still may not sign in.
    """

    terminal: str
    store: str
    company: str
    algorithm: TerminalCipher
    version: int
    state: TerminalState
    tmk: bytes

    def __repr__(self) -> str:
        return f"TerminalKey(terminal={self.terminal!r}, version={self.version})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("terminal", self.terminal), ("version", self.version)]


def read_component(text: str) -> bytes:
    """A component from its hex. Raises `invalid` for one that nobody has drawn by chance."""
    try:
        component = bytes.fromhex(text)
    except ValueError:
        component = b""
    if len(component) != TMK_BYTES:
        raise INVALID.error("32 hexadecimal digits.", field="component")
    if len(set(component)) < _DISTINCT:
        raise INVALID.error("A component is drawn at random.", field="component")
    return component


def join(first: bytes, second: bytes) -> bytes:
    """The whole key: both components, XORed. Raises `invalid` when it is a weak one."""
    key = bytes(a ^ b for a, b in zip(first, second, strict=True))
    left, right = (_without_parity(half) for half in (key[:8], key[8:]))
    if left == right:
        # Two equal halves make single DES of triple DES.
        raise INVALID.error("These components make a weak key; draw anew.", field="component")
    return key


def _without_parity(half: bytes) -> bytes:
    return bytes(byte & mask for byte, mask in zip(half, _PARITY, strict=True))
