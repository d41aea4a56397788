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
VISIT_OPEN = code("visit_open", Kind.CONFLICT, "The visit is under way still.")
REST_OVER_CASH = code(
    "rest_over_cash", Kind.REFUSED, "So much is not paid out in cash: load it, or transfer it."
)
BOX_COUNTED = code("box_counted", Kind.CONFLICT, "The box was counted before.")
BOX_IN_USE = code("box_in_use", Kind.CONFLICT, "The box is in the machine still.")

NOT_CREDITED = "kiosk.not_credited"
"""The case about what is left of a visit."""

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
    """All that was stacked is on a card, or was paid out."""
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
    paid_fen: int = 0
    """Paid out to the customer instead."""
    opened_at: datetime
    last_at: datetime

    @property
    def rest_fen(self) -> int:
        """What was inserted and is neither on a card nor paid out yet."""
        return self.stacked_fen - self.credited_fen - self.paid_fen

    @property
    def case_key(self) -> str:
        """Names the case about the rest; one that comes to light later is another's."""
        settled_fen = self.credited_fen + self.paid_fen
        return f"{self.id}/{settled_fen}" if settled_fen else self.id

    def stacked(self, value_fen: int, at: datetime) -> Session:
        """With one note more; one that comes to light after the end reopens nothing."""
        state = State.LEFT if self.state is State.FINISHED else self.state
        stacked_fen = self.stacked_fen + value_fen
        return replace(self, stacked_fen=stacked_fen, state=state, last_at=at)

    def credited(self) -> Session:
        """With its rest on a card. Raises `nothing_left`."""
        self._check_left()
        credited_fen = self.credited_fen + self.rest_fen
        return replace(self, credited_fen=credited_fen, state=State.FINISHED)

    def paid_out(self, amount_fen: int) -> Session:
        """With its rest paid out. Raises `nothing_left`, `visit_open`, and `notes_differ` where
        the rest is another one than the person thinks.
        """
        self._check_left()
        if self.state is State.OPEN:
            raise VISIT_OPEN.error(rule="T-03")
        if amount_fen != self.rest_fen:
            raise NOTES_DIFFER.error(f"{self.rest_fen} fen are left.", rule="T-03")
        return replace(self, paid_fen=self.paid_fen + amount_fen, state=State.FINISHED)

    def _check_left(self) -> None:
        if self.rest_fen <= 0:
            raise NOTHING_LEFT.error(rule="T-03")


class Credit(msgspec.Struct, frozen=True):
    """A top-up of a session's rest."""

    topup: str
    session: str
    amount_fen: int
    by: str | None
    """The person who gave it; None: the machine itself."""
    reason: str | None
    created_at: datetime


class Way(StrEnum):
    """How a rest was paid out."""

    CASH = "cash"
    """From a cashier's drawer, where it stands as paid out."""
    TRANSFER = "transfer"
    """To an account in the payee's own name."""


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """A rest that was paid out."""

    id: str
    session: str
    amount_fen: int
    way: Way
    drawer_entry: str | None = None
    payee: str | None = None
    approval: str | None = None
    """By which the second person has agreed to a transfer."""
    by: str
    """The person who asked for it."""
    reason: str
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
