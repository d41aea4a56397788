"""camt.053, the statement of a day, believed only whole; camt.054, single entries."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import IO

from kabao.adapters.bank.entries import Entry, came, entries, fen
from kabao.adapters.bank.xml import NotReadableError, elements, name, text
from kabao.adapters.figures import us_of
from kabao.base.clock import US_PER_S
from kabao.reconciliation.model.lines import BILL_CUT, BILL_DAY, BILL_MERCHANT, BILL_TOTALS

STATEMENT, NOTIFICATION = "camt.053.001.", "camt.054.001."
_OPENING, _CLOSING = ("OPBD", "PRCD"), "CLBD"
_PARTS = frozenset({"Acct", "Bal", "Ntry", "LastPgInd"})
_DAY_US = 86_400 * US_PER_S


def read(file: IO[bytes], account: str, day: date) -> Iterator[Entry]:
    """Every booked entry of an account's day, as the file is read.

    Raises:
        NotReadableError: hostile, truncated, of another account or day, one page of several, or
            the entries do not make the closing balance out of the opening one.
    """
    balances: dict[str, int] = {}
    sums = Sums(day)
    seen = 0
    for element in elements(file, STATEMENT, _PARTS):
        match name(element):
            case "Acct":
                _ours(text(element, "Id/Othr/Id", "Id/IBAN"), account)
                seen += 1
            case "LastPgInd" if (element.text or "").strip() not in {"true", "1"}:
                raise NotReadableError("not the last page", BILL_CUT)
            case "Bal":
                kind = text(element, "Tp/CdOrPrtry/Cd")
                amount_fen = fen(element, "Amt")
                balances[kind] = amount_fen if came(element) else -amount_fen
            case "Ntry":
                yield from map(sums.add, entries(element))
    if seen != 1:
        raise NotReadableError("not one statement")
    opening = next((balances[kind] for kind in _OPENING if kind in balances), None)
    sums.check(opening, balances.get(_CLOSING))


class Sums:
    """Adds up the entries of a day, for what its balances say of them."""

    def __init__(self, day: date) -> None:
        self._first_us = us_of(day.isoformat(), "%Y-%m-%d")
        self._moved_fen = 0

    def add(self, one: Entry) -> Entry:
        """Raises NotReadableError for one of another day."""
        if not self._first_us <= one.at_us < self._first_us + _DAY_US:
            raise NotReadableError("an entry of another day", BILL_DAY)
        self._moved_fen += one.amount_fen if one.came else -one.amount_fen
        return one

    def check(self, opening: int | None, closing: int | None) -> None:
        """Raises NotReadableError where they do not make the closing balance."""
        if opening is None or closing is None or opening + self._moved_fen != closing:
            raise NotReadableError("the entries do not make the closing balance", BILL_TOTALS)


def told(file: bytes, account: str) -> tuple[Entry, ...]:
    """The booked entries of a notification. Raises NotReadableError."""
    found: list[Entry] = []
    seen = 0
    for element in elements(io.BytesIO(file), NOTIFICATION, frozenset({"Acct", "Ntry"})):
        if name(element) == "Acct":
            _ours(text(element, "Id/Othr/Id", "Id/IBAN"), account)
            seen += 1
        else:
            found += entries(element)
    if not seen:
        raise NotReadableError("no account is named")
    return tuple(found)


class OtherAccountError(NotReadableError):
    """It is somebody else's."""

    def __init__(self) -> None:
        super().__init__("another account", BILL_MERCHANT)


def _ours(found: str, account: str) -> None:
    if found != account:
        raise OtherAccountError
