"""What a kiosk reports, and what becomes of the notes: pure. Amounts in fen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from kabao.base.errors import INVALID, Kind, code

NOT_A_KIOSK = code("not_a_kiosk", Kind.REFUSED, "The terminal is no kiosk.")
EVENTS_MISSING = code("events_missing", Kind.CONFLICT, "Events before these have not come yet.")
EVENT_DIFFERS = code("event_differs", Kind.CONFLICT, "An event of this number was another one.")
NOTES_DIFFER = code(
    "notes_differ", Kind.CONFLICT, "The notes that the machine reported come to another sum."
)
NOTHING_LEFT = code("nothing_left", Kind.REFUSED, "All that was inserted is on a card already.")
VISIT_LEFT = code(
    "visit_left", Kind.REFUSED, "The visit has been left; a person settles what is inside."
)
BOX_COUNTED = code("box_counted", Kind.CONFLICT, "The box was counted before.")
BOX_IN_USE = code("box_in_use", Kind.CONFLICT, "The box is in the machine still.")

NOTES = (100, 500, 1_000, 2_000, 5_000, 10_000)
"""Banknotes of the renminbi in use, in fen."""


class EventType(StrEnum):
    """What a kiosk reports."""

    ACCEPTED = "accepted"
    """A note was recognised and is held; nobody's yet."""
    STACKED = "stacked"
    """It fell into the cassette: the money is ours."""
    REJECTED = "rejected"
    """It was given back."""
    JAM = "jam"
    CASSETTE_FULL = "cassette_full"
    CASSETTE_REMOVED = "cassette_removed"
    CASSETTE_INSERTED = "cassette_inserted"


_OF_NOTES = frozenset({EventType.ACCEPTED, EventType.STACKED, EventType.REJECTED})


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as a machine numbers them."""

    terminal: str
    sequence: int
    type: EventType
    value_fen: int | None
    """Which note."""
    session: str | None
    box: str | None
    """Into which box a stacked note fell."""
    occurred_us: int

    def check(self) -> None:
        """Raises `invalid` for a note there is not, and for a value where there is no note."""
        if (self.value_fen is not None) != (self.type in _OF_NOTES):
            raise INVALID.error("A value is said of notes, and of nothing else.", field="events")
        if self.value_fen is not None and self.value_fen not in NOTES:
            raise INVALID.error("There is no such banknote.", field="events")

    def same(self, other: Event) -> bool:
        """Whether a repetition says the same."""
        return replace(self, box=other.box) == other


class State(StrEnum):
    """Where a visit stands."""

    OPEN = "open"
    FINISHED = "finished"
    """All that was stacked is on a card."""
    LEFT = "left"
    """Nobody finished it in time, or a note came to light afterwards."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One customer's visit."""

    id: str
    terminal: str
    store: str
    company: str
    """Of the store."""
    card: str
    last4: str
    state: State
    most_fen: int
    """What the card could take when the visit began; the machine takes no note beyond."""
    stacked_fen: int = 0
    credited_fen: int = 0
    opened_at: datetime
    last_at: datetime

    @property
    def rest_fen(self) -> int:
        """What was inserted and is on no card yet."""
        return self.stacked_fen - self.credited_fen

    def stacked(self, value_fen: int, at: datetime) -> Session:
        """With one note more; one that comes to light after the end reopens nothing."""
        state = State.LEFT if self.state is State.FINISHED else self.state
        stacked_fen = self.stacked_fen + value_fen
        return replace(self, stacked_fen=stacked_fen, state=state, last_at=at)

    def credited(self) -> Session:
        """With its rest on a card. Raises `nothing_left`."""
        if self.rest_fen <= 0:
            raise NOTHING_LEFT.error(rule="T-03")
        return replace(self, credited_fen=self.stacked_fen, state=State.FINISHED)


class Credit(msgspec.Struct, frozen=True):
    """A top-up of a session's rest."""

    topup: str
    session: str
    amount_fen: int
    by: str | None
    """The person who gave it; None: the machine itself."""
    reason: str | None
    created_at: datetime


class Kiosk(msgspec.Struct, frozen=True):
    """How far a machine's events are known."""

    terminal: str
    next_sequence: int
    box: str | None
    """The one inside; None while there is no cassette, or nothing was stacked into it."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """The notes of one cassette."""

    id: str
    terminal: str
    store: str
    opened_at: datetime
    removed_at: datetime | None
    counted_at: datetime | None
    expected_fen: int | None
    counted_fen: int | None
    """Both as they were at the count."""


class Shortfall(msgspec.Struct, frozen=True):
    """Of one note: how many were reported, and how many were found."""

    value_fen: int
    reported: int
    found: int


def compared(reported: Mapping[int, int], found: Mapping[int, int]) -> list[Shortfall]:
    """The notes of which not as many were found as were reported, by value."""
    return [
        Shortfall(value, reported.get(value, 0), found.get(value, 0))
        for value in sorted(reported.keys() | found.keys())
        if reported.get(value, 0) != found.get(value, 0)
    ]


def worth(pieces: Mapping[int, int]) -> int:
    """What notes are worth. Raises `invalid` for one there is not."""
    if not pieces.keys() <= set(NOTES):
        raise INVALID.error("There is no such banknote.", field="pieces")
    return sum(value * count for value, count in pieces.items())
