"""Plastic in stock as ranges of serial numbers. Pure.

Card numbers are random, so stock is counted in serials: a card's place within
the batch that made it, printed on its back. A batch is cut into ranges that
never overlap; each lies at one location, travels in one hand-over, or is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.base.errors import INVALID, Kind, code

NOT_IN_STOCK_HERE = code(
    "card_not_in_stock_here", Kind.REFUSED, "The card is not in the stock of this place."
)
STOCK_UNKNOWN = code(
    "stock_range_unknown", Kind.REFUSED, "These serial numbers are not all in stock there."
)
STOCK_MOVING = code("stock_moving", Kind.CONFLICT, "These cards are in a hand-over or missing.")
HANDOVER_OVER = code("hand_over_ended", Kind.CONFLICT, "This hand-over has ended.")
SAME_PERSON = code(
    "same_person", Kind.REFUSED, "Who gives cards and who takes them must be two persons."
)
LOCATION_TAKEN = code(
    "location_taken", Kind.CONFLICT, "There is a location of this name, store or till already."
)
STOCK_DIFFERS = code(
    "stock_count_differs",
    Kind.REFUSED,
    "The number counted and the serials named as missing do not add up.",
)

SPANS_MAX = 200
"""How many spans of serials one request may name."""


class Place(StrEnum):
    """What kind of place holds cards, from the printer to the customer."""

    FACTORY = "factory"
    HEADQUARTERS = "headquarters"
    STORE = "store"
    TILL = "till"


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place that holds cards. A till belongs to the store it stands in."""

    id: str
    company: str
    kind: Place
    name: str
    store: str | None
    terminal: str | None
    created_at: datetime


class NewLocation(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a location when it is set up."""

    company: str
    kind: Place
    name: str
    store: str | None = None
    terminal: str | None = None


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Serials `first` to `last` of a batch, both included."""

    first: Annotated[int, Meta(ge=1, le=2_147_483_647)]
    last: Annotated[int, Meta(ge=1, le=2_147_483_647)]

    @property
    def count(self) -> int:
        """How many serials it has."""
        return self.last - self.first + 1


class RangeState(StrEnum):
    """Where the cards of a range are, as far as the books know."""

    IN_PLACE = "in_place"
    MOVING = "moving"
    """Sent, not yet received; whoever sent them still answers for them."""
    MISSING = "missing"


class Range(msgspec.Struct, frozen=True):
    """A stretch of one batch that shares a location and a state."""

    batch: str
    first: int
    last: int
    location: str
    state: RangeState
    handover: str | None = None

    def cut(self, first: int, last: int) -> Range:
        """The part of it that lies within `first` to `last`."""
        return msgspec.structs.replace(
            self, first=max(first, self.first), last=min(last, self.last)
        )

    def follows(self, before: Range) -> bool:
        """Whether it goes on where `before` ends, the same in all else."""
        same = (before.batch, before.location, before.state, before.handover) == (
            self.batch,
            self.location,
            self.state,
            self.handover,
        )
        return same and before.last + 1 == self.first


class HandoverState(StrEnum):
    """A hand-over has two steps: one gives, another takes."""

    SENT = "sent"
    RECEIVED = "received"
    CANCELLED = "cancelled"


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """Cards on their way from one location to another."""

    id: str
    batch: str
    first: int
    last: int
    from_location: str
    to_location: str
    state: HandoverState
    sent_count: int
    """Cards in stock among the serials when they were sent."""
    received_count: int | None
    sent_by: str
    sent_at: datetime
    ended_by: str | None
    ended_at: datetime | None


class StockCount(msgspec.Struct, frozen=True, kw_only=True):
    """A stock-take: what should be there and what was. It changes nothing."""

    id: str
    location: str
    batch: str | None
    expected: int
    counted: int
    note: str
    counted_by: str
    counted_at: datetime

    @property
    def difference(self) -> int:
        """Counted less expected."""
        return self.counted - self.expected


def check_span(first: int, last: int, field: str = "first") -> None:
    """Raises `invalid` unless `first` comes no later than `last`."""
    if first > last:
        raise INVALID.error("A span of serials ends no earlier than it starts.", field=field)


def within(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """The parts of a batch's ranges that make up `first` to `last`, in order.

    Raises `stock_range_unknown` when a serial in between is in none of them.
    """
    parts = sorted(
        (r.cut(first, last) for r in ranges if r.first <= last and r.last >= first),
        key=lambda part: part.first,
    )
    if sum(part.last - part.first + 1 for part in parts) != last - first + 1:
        raise STOCK_UNKNOWN.error(f"Not all serials from {first} to {last} are in stock.")
    return parts


def overlay(ranges: Sequence[Range], new: Sequence[Range]) -> list[Range]:
    """A batch's ranges with `new` ones laid over them, neighbours joined."""
    left: list[Range] = list(ranges)
    for top in new:
        pieces = []
        for old in left:
            if old.last < top.first or old.first > top.last:
                pieces.append(old)
                continue
            if old.first < top.first:
                pieces.append(old.cut(old.first, top.first - 1))
            if old.last > top.last:
                pieces.append(old.cut(top.last + 1, old.last))
        left = [*pieces, top]
    joined: list[Range] = []
    for part in sorted(left, key=lambda r: r.first):
        if joined and part.follows(joined[-1]):
            joined[-1] = msgspec.structs.replace(joined[-1], last=part.last)
        else:
            joined.append(part)
    return joined


def check_missing(missing: Sequence[Span], first: int, last: int) -> None:
    """Raises `invalid` unless the spans lie within the serials and do not overlap."""
    before = first - 1
    for span in sorted(missing, key=lambda s: s.first):
        check_span(span.first, span.last, "missing")
        if span.first <= before or span.last > last:
            raise INVALID.error("Spans must lie within the serials, each once.", field="missing")
        before = span.last
