"""camt.053, the statement of a day, believed only whole; camt.054, single entries."""

from __future__ import annotations

from datetime import date

from kabao.adapters.bank.entries import Entry, came, entries, fen
from kabao.adapters.bank.xml import NotReadableError, elements, name, text
from kabao.adapters.figures import us_of
from kabao.base.clock import US_PER_S

STATEMENT, NOTIFICATION = "camt.053.001.", "camt.054.001."
_OPENING, _CLOSING = ("OPBD", "PRCD"), "CLBD"
_PARTS = frozenset({"Acct", "Bal", "Ntry", "LastPgInd"})
_DAY_US = 86_400 * US_PER_S


def read(file: bytes, account: str, day: date) -> tuple[Entry, ...]:
    """Every booked entry of an account's day.

    Raises:
        NotReadableError: hostile, truncated, of another account or day, one page of several, or
            the entries do not make the closing balance out of the opening one.
    """
    found: list[Entry] = []
    balances: dict[str, int] = {}
    seen = 0
    for element in elements(file, STATEMENT, _PARTS):
        match name(element):
            case "Acct":
                _ours(text(element, "Id/Othr/Id", "Id/IBAN"), account)
                seen += 1
            case "LastPgInd" if (element.text or "").strip() not in {"true", "1"}:
                raise NotReadableError("not the last page")
            case "Bal":
                kind = text(element, "Tp/CdOrPrtry/Cd")
                amount_fen = fen(element, "Amt")
                balances[kind] = amount_fen if came(element) else -amount_fen
            case "Ntry":
                found += entries(element)
    if seen != 1:
        raise NotReadableError("not one statement")
    opening = next((balances[kind] for kind in _OPENING if kind in balances), None)
    return whole(found, day, opening, balances.get(_CLOSING))


def whole(
    found: list[Entry], day: date, opening: int | None, closing: int | None
) -> tuple[Entry, ...]:
    """The entries, if they are of that day and make the closing balance; else NotReadableError."""
    moved = sum(one.amount_fen if one.came else -one.amount_fen for one in found)
    if opening is None or closing is None or opening + moved != closing:
        raise NotReadableError("the entries do not make the closing balance")
    first_us = us_of(day.isoformat(), "%Y-%m-%d")
    if any(not first_us <= one.at_us < first_us + _DAY_US for one in found):
        raise NotReadableError("an entry of another day")
    return tuple(found)


def told(file: bytes, account: str) -> tuple[Entry, ...]:
    """The booked entries of a notification. Raises NotReadableError."""
    found: list[Entry] = []
    seen = 0
    for element in elements(file, NOTIFICATION, frozenset({"Acct", "Ntry"})):
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


def _ours(found: str, account: str) -> None:
    if found != account:
        raise OtherAccountError("another account")
