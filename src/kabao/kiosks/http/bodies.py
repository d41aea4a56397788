"""What the routes of kiosks take."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kabao.base.web.fields import Amount, Count, EdgeId, Moment, RequestBody, ShortText
from kabao.cards.model import Source
from kabao.kiosks.model import EventType

EVENTS_MAX = 200
"""Events in one report."""


class BeginBody(RequestBody, frozen=True):
    """A customer shows a card at a kiosk."""

    terminal: EdgeId
    source: Source


class FinishBody(RequestBody, frozen=True):
    """What was inserted, as the machine has added it up: a check on its own reports."""

    amount: Amount


class CreditBody(RequestBody, frozen=True):
    """Why a person loads what the machine did not; onto which card, if not the one it saw."""

    reason: ShortText
    card: EdgeId | None = None


class AskCreditBody(RequestBody, frozen=True):
    """What is to go onto another card than the machine saw: all that is left."""

    amount: Amount
    card: EdgeId
    reason: ShortText


class CashPayoutBody(RequestBody, frozen=True):
    """What is given back in cash, out of whose drawer; `amount` is all that is left."""

    amount: Amount
    shift: EdgeId
    reason: ShortText
    override: EdgeId | None = None


class TransferBody(RequestBody, frozen=True):
    """What is transferred to an account in the payee's own name: all that is left."""

    amount: Amount
    payee: EdgeId
    reason: ShortText


class EventBody(RequestBody, frozen=True):
    """One thing that happened. `value` (of the note, in fen) and `session` are said of notes."""

    sequence: Annotated[
        int, Meta(ge=1, le=2**53 - 1, description="The machine's own number, without gaps.")
    ]
    type: EventType
    occurred_at: Moment
    value: Amount | None = None
    session: EdgeId | None = None


class ReportBody(RequestBody, frozen=True):
    """What happened to a machine, oldest first."""

    terminal: EdgeId
    events: Annotated[list[EventBody], Meta(min_length=1, max_length=EVENTS_MAX)]


class NotesBody(RequestBody, frozen=True):
    """So many banknotes of one value."""

    value: Amount
    count: Count


class CountBody(RequestBody, frozen=True):
    """All that people found in a box."""

    pieces: Annotated[list[NotesBody], Meta(max_length=10)]
