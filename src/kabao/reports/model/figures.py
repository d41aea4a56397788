"""The figures of a day and what is made of them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from hashlib import sha256

import msgspec

from kabao.base.errors import Kind, code
from kabao.ledger.model import Account, Purpose
from kabao.ledger.sums import Hour, Owed, Volume

DAY_UNKNOWN = code("report_day_unknown", Kind.NOT_FOUND, "There is no report of that day.")

PAID = frozenset({Purpose.PAYMENT, Purpose.CAPTURE, Purpose.LOSS})
"""Purposes for which cards pay; whatever else moves what stores are owed gives it back."""

_PAID_TO_HOLDERS = frozenset({Purpose.CASH_OUT, Purpose.CARD_RETURN})


class Line(StrEnum):
    """Why what holders are owed became more or less."""

    LOADED = "loaded"
    BONUS = "bonus"
    REDEEMED = "redeemed"
    GIVEN_BACK = "given_back"
    PAID_OUT = "paid_out"
    SUSPENDED = "suspended"
    ADJUSTED = "adjusted"
    LAPSED = "lapsed"
    LOST = "lost"
    RECALLED = "recalled"
    DISPUTED = "disputed"
    MOVED = "moved"
    OTHER = "other"


_LINES = {
    Account.COLLECTED: Line.LOADED,
    Account.BONUS_COST: Line.BONUS,
    Account.PAID_OUT: Line.PAID_OUT,
    Account.SUSPENSE: Line.SUSPENDED,
    Account.ADJUSTMENT: Line.ADJUSTED,
    Account.LAPSED: Line.LAPSED,
    Account.LOSS: Line.LOST,
    Account.RECEIVABLE: Line.RECALLED,
    Account.DISPUTED: Line.DISPUTED,
    Account.TRANSIT: Line.MOVED,
}


def line_of(account: int, purpose: int) -> Line:
    """The line of the roll that a transfer belongs to, by its house account and purpose."""
    match account:
        case Account.CASH:
            return Line.PAID_OUT if purpose in _PAID_TO_HOLDERS else Line.LOADED
        case Account.REDEEMED:
            return Line.REDEEMED if purpose in PAID else Line.GIVEN_BACK
        case _:
            return _LINES.get(Account(account), Line.OTHER)


class Figures(msgspec.Struct, frozen=True):
    """All that a day's reports are made of."""

    day: date
    openings: list[Owed]
    volumes: list[Volume]
    hours: list[Hour]

    def digest(self) -> bytes:
        """SHA-256 of the figures in their one form: the same day is the same bytes (X-09)."""
        return sha256(msgspec.json.encode(self)).digest()


class Roll(msgspec.Struct, frozen=True):
    """From what an issuer owed in the morning to what it owes in the evening, in fen (CR-58)."""

    issuer: str
    currency: str
    opening_fen: int
    lines: dict[str, int]
    closing_fen: int


class DoorLine(msgspec.Struct, frozen=True):
    """Payments that came through one door."""

    door: str
    payments: int
    spent_fen: int
    given_back_fen: int


class PlaceLine(msgspec.Struct, frozen=True):
    """A store's day, or a cashier's. What happened at no store has none."""

    place: str | None
    payments: int
    spent_fen: int
    given_back_fen: int
    loads: int
    loaded_fen: int
    paid_out_fen: int


class ChannelLine(msgspec.Struct, frozen=True):
    """Loads paid for in one way; `back_fen` went back the same way."""

    channel: str
    loads: int
    loaded_fen: int
    back_fen: int


class HourLine(msgspec.Struct, frozen=True):
    """What cards paid in an hour."""

    hour: int
    payments: int
    spent_fen: int


class DayBooks(msgspec.Struct, frozen=True):
    """What the journal says of a day, of one issuer's cards or of all."""

    roll: list[Roll]
    doors: list[DoorLine]
    stores: list[PlaceLine]
    channels: list[ChannelLine]
    hours: list[HourLine]


def rolls(openings: Iterable[Owed], volumes: Iterable[Volume]) -> list[Roll]:
    """The roll of every issuer and currency."""
    opening = {(o.issuer, o.currency): o.fen for o in openings}
    moved: dict[tuple[str, str], dict[Line, int]] = {key: {} for key in opening}
    for v in volumes:
        lines = moved.setdefault((v.issuer, v.currency), {})
        line = line_of(v.account, v.purpose)
        lines[line] = lines.get(line, 0) + v.value_fen
    return [
        Roll(
            *key,
            opening_fen=opening.get(key, 0),
            lines={line.value: lines[line] for line in Line if line in lines},
            closing_fen=opening.get(key, 0) + sum(lines.values()),
        )
        for key, lines in sorted(moved.items())
    ]


def books(figures: Figures, issuer: str | None = None) -> DayBooks:
    """A day of one issuer, or of all."""
    volumes = [v for v in figures.volumes if issuer in {None, v.issuer}]
    hours: dict[int, list[Hour]] = defaultdict(list)
    for hour in figures.hours:
        if issuer in {None, hour.issuer}:
            hours[hour.hour].append(hour)
    return DayBooks(
        roll=rolls([o for o in figures.openings if issuer in {None, o.issuer}], volumes),
        doors=_doors(volumes),
        stores=places(volumes, [v.store for v in volumes]),
        channels=_channels(volumes),
        hours=[
            HourLine(hour, sum(h.operations for h in each), sum(h.amount_fen for h in each))
            for hour, each in sorted(hours.items())
        ],
    )


def cashiers(figures: Figures, store: str) -> list[PlaceLine]:
    """A store's day, a line for each cashier."""
    volumes = [v for v in figures.volumes if v.store == store]
    return places(volumes, [v.cashier for v in volumes])


def places(volumes: Sequence[Volume], keys: Sequence[str | None]) -> list[PlaceLine]:
    """A line for each key; what has none comes first."""
    by: dict[str | None, list[Volume]] = defaultdict(list)
    for volume, key in zip(volumes, keys, strict=True):
        by[key].append(volume)
    return [_place(key, by[key]) for key in sorted(by, key=lambda key: key or "")]


def _place(place: str | None, volumes: Sequence[Volume]) -> PlaceLine:
    return PlaceLine(
        place,
        payments=_count(volumes, Line.REDEEMED),
        spent_fen=-_sum(volumes, Line.REDEEMED),
        given_back_fen=_sum(volumes, Line.GIVEN_BACK),
        loads=sum(v.operations for v in volumes if _is_load(v)),
        loaded_fen=_sum(volumes, Line.LOADED),
        paid_out_fen=-_sum(volumes, Line.PAID_OUT),
    )


def _doors(volumes: Iterable[Volume]) -> list[DoorLine]:
    by: dict[str, list[Volume]] = defaultdict(list)
    for v in volumes:
        if v.account == Account.REDEEMED:
            by[v.channel or ""].append(v)
    return [
        DoorLine(
            door,
            _count(each, Line.REDEEMED),
            -_sum(each, Line.REDEEMED),
            _sum(each, Line.GIVEN_BACK),
        )
        for door, each in sorted(by.items())
    ]


def _channels(volumes: Iterable[Volume]) -> list[ChannelLine]:
    by: dict[str, list[Volume]] = defaultdict(list)
    for v in volumes:
        if line_of(v.account, v.purpose) is Line.LOADED:
            by[v.channel or ""].append(v)
    return [
        ChannelLine(
            channel,
            sum(v.operations for v in each if _is_load(v)),
            sum(v.value_fen for v in each if _is_load(v)),
            -sum(v.value_fen for v in each if not _is_load(v)),
        )
        for channel, each in sorted(by.items())
    ]


def _is_load(v: Volume) -> bool:
    return v.purpose == Purpose.LOAD and line_of(v.account, v.purpose) is Line.LOADED


def _sum(volumes: Iterable[Volume], line: Line) -> int:
    return sum(v.value_fen for v in volumes if line_of(v.account, v.purpose) is line)


def _count(volumes: Iterable[Volume], line: Line) -> int:
    return sum(v.operations for v in volumes if line_of(v.account, v.purpose) is line)
