"""Terminals, cashiers, shifts, and their rules."""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import INVALID, Kind, code

TERMINAL_NOT_ACTIVE = code(
    "terminal_not_active", Kind.REFUSED, "The terminal is blocked or retired."
)
TERMINAL_ELSEWHERE = code(
    "terminal_of_other_store", Kind.REFUSED, "The terminal belongs to another store."
)
TERMINAL_STATE = code(
    "terminal_state_conflict", Kind.CONFLICT, "The terminal cannot go from its state to that one."
)
CASHIER_NOT_ACTIVE = code("cashier_not_active", Kind.REFUSED, "The cashier does not work any more.")
CASHIER_ELSEWHERE = code(
    "cashier_of_other_store", Kind.REFUSED, "The cashier works at another store."
)
SHIFT_OPEN = code("shift_already_open", Kind.CONFLICT, "The cashier has an open shift.")
SHIFT_CLOSED = code("shift_closed", Kind.CONFLICT, "The shift is closed.")
NUMBER_TAKEN = code(
    "number_taken", Kind.CONFLICT, "The store has a terminal or cashier of this number."
)

NAME_PURPOSE = ("merchants.cashier", "name")
"""Table and column under which the vault seals a cashier's name."""


class TerminalState(StrEnum):
    """Whether a terminal may be used."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    RETIRED = "retired"


class TerminalKind(StrEnum):
    """What a terminal is."""

    TILL = "till"
    KIOSK = "kiosk"
    """A machine that takes banknotes with nobody beside it (T-03)."""


_TERMINAL_MOVES = {
    TerminalState.ACTIVE: {TerminalState.BLOCKED, TerminalState.RETIRED},
    TerminalState.BLOCKED: {TerminalState.ACTIVE, TerminalState.RETIRED},
    TerminalState.RETIRED: set[TerminalState](),
}


def check_terminal_move(before: TerminalState, after: TerminalState) -> None:
    """Raises `terminal_state_conflict` for a move the table does not know."""
    if after not in _TERMINAL_MOVES[before]:
        raise TERMINAL_STATE.error(f"The terminal is {before}.")


class Certification(msgspec.Struct, frozen=True):
    """What a terminal's security was certified by (row P-23): recorded, not judged here."""

    scheme: str
    """For example `pci_pts`."""
    number: str
    expires_on: date | None = None


class Terminal(msgspec.Struct, frozen=True):
    """One till or reader."""

    id: str
    store: str
    terminal_no: str
    model: str
    certification: Certification | None
    state: TerminalState
    created_at: datetime
    revision: int
    kind: TerminalKind = TerminalKind.TILL

    @property
    def is_active(self) -> bool:
        """Whether it may be used."""
        return self.state is TerminalState.ACTIVE


class NewTerminal(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a terminal when it is set up; without a number it is allotted one."""

    store: str
    model: str
    terminal_no: str | None = None
    certification: Certification | None = None
    kind: TerminalKind = TerminalKind.TILL


class CashierRole(StrEnum):
    """What a cashier may do at a till; a supervisor also confirms voids of cash."""

    CASHIER = "cashier"
    SUPERVISOR = "supervisor"


class CashierState(StrEnum):
    """Whether a cashier still works here."""

    ACTIVE = "active"
    LEFT = "left"


class Cashier(msgspec.Struct, frozen=True):
    """A person at the tills of one store, without the name."""

    id: str
    store: str
    code: str
    role: CashierRole
    state: CashierState
    created_at: datetime
    revision: int
    customer: str | None = None
    """The holder or buyer who is the same person, where that is known."""

    @property
    def is_active(self) -> bool:
        """Whether the cashier still works here."""
        return self.state is CashierState.ACTIVE


class NewCashier(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a cashier who begins to work."""

    store: str
    code: str
    name: str
    role: CashierRole = CashierRole.CASHIER

    def __repr__(self) -> str:
        return f"NewCashier(store={self.store!r}, code={self.code!r})"


class Shift(msgspec.Struct, frozen=True):
    """One cashier at one terminal."""

    id: str
    store: str
    cashier: str
    terminal: str
    opened_at: datetime
    closed_at: datetime | None
    revision: int

    @property
    def is_open(self) -> bool:
        """Whether it is under way."""
        return self.closed_at is None


class Till(msgspec.Struct, frozen=True):
    """Where a payment is taken and by whom, as far as it was said; no cashier, no shift."""

    terminal: Terminal | None
    cashier: Cashier | None
    shift: Shift | None


NO_TILL = Till(None, None, None)
"""Nothing was said."""


def check_terminal_at(terminal: Terminal, store: str) -> Terminal:
    """The terminal, if this store may use it.

    Raises `terminal_of_other_store`, `terminal_not_active`.
    """
    if terminal.store != store:
        raise TERMINAL_ELSEWHERE.error(field="terminal")
    if not terminal.is_active:
        raise TERMINAL_NOT_ACTIVE.error(field="terminal")
    return terminal


def check_cashier_at(cashier: Cashier, store: str) -> Cashier:
    """The cashier, if this person works in this store.

    Raises `cashier_of_other_store`, `cashier_not_active`.
    """
    if cashier.store != store:
        raise CASHIER_ELSEWHERE.error(field="cashier")
    if not cashier.is_active:
        raise CASHIER_NOT_ACTIVE.error(field="cashier")
    return cashier


_TERMINAL_NO = re.compile(r"[0-9A-Z]{8}")
_CASHIER_CODE = re.compile(r"[0-9A-Za-z_-]{1,16}")
_SCHEME = re.compile(r"[a-z0-9_]{1,32}")


def check_terminal_no(text: str) -> None:
    """Raises `invalid` unless it fits field 41 of ISO 8583 as we use it: 8 of 0-9, A-Z."""
    if not _TERMINAL_NO.fullmatch(text):
        raise INVALID.error("8 characters of 0-9 and A-Z.", field="terminal_no")


def check_cashier_code(text: str) -> None:
    """Raises `invalid` unless it is 1 to 16 letters, digits, `_` or `-`."""
    if not _CASHIER_CODE.fullmatch(text):
        raise INVALID.error("1 to 16 letters, digits, '_' or '-'.", field="code")


def check_certification(certification: Certification | None) -> None:
    """Raises `invalid` unless there is none or its scheme is a plain word."""
    if certification is not None and not _SCHEME.fullmatch(certification.scheme):
        raise INVALID.error("1 to 32 of a-z, 0-9 and '_'.", field="certification")


def allotted_terminal_no(revision: int) -> str:
    """A terminal number for one that came with none."""
    return f"{revision % 100_000_000:08d}"


def masked_name(name: str) -> str:
    """`张三丰` to `张**`: who it is, to those who know the person."""
    return name[:1] + "*" * min(max(len(name) - 1, 1), 2)
