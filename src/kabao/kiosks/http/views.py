"""What the routes of kiosks answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kabao.base.clock import rfc3339, to_us
from kabao.base.ids import to_edge
from kabao.kiosks.model import Box, Credit, Payout, Session, Shortfall, State, Way
from kabao.kiosks.ops import BOX, PAYOUT, SESSION


class ReportedView(msgspec.Struct, frozen=True):
    """Events are known up to here."""

    next_sequence: int


class CreditView(msgspec.Struct, frozen=True):
    """A top-up of a visit."""

    topup: str
    amount: int
    reason: str | None
    created_at: str


class PayoutView(msgspec.Struct, frozen=True):
    """A rest that was paid out: in cash from a drawer, or by a transfer two persons agreed to."""

    id: str
    way: Way
    amount: int
    payee: str | None
    approval: str | None
    reason: str
    created_at: str


class SessionView(msgspec.Struct, frozen=True):
    """A visit. `most` is what the card could take when it began; `rest` is neither on a
    card nor paid out yet.
    """

    id: str
    terminal: str
    store: str
    card: str
    last4: str
    status: State
    most: int
    stacked: int
    credited: int
    paid_out: int
    rest: int
    currency: str
    opened_at: str
    last_at: str


class WholeSession(SessionView, frozen=True):
    """A visit with what of it went onto cards, and what was paid out."""

    credits: list[CreditView]
    payouts: list[PayoutView]


class LoadedView(msgspec.Struct, frozen=True):
    """What was loaded in a visit."""

    session: str
    topup: str
    amount: int
    currency: str


class PaidOutView(msgspec.Struct, frozen=True):
    """What was paid out of a visit."""

    session: str
    payout: PayoutView
    amount: int
    currency: str


class NotesView(msgspec.Struct, frozen=True):
    """So many banknotes of one value."""

    value: int
    count: int


class KioskView(msgspec.Struct, frozen=True):
    """A machine: from which event on it is to report, and what its box should hold."""

    terminal: str
    next_sequence: int
    box: str | None
    notes: list[NotesView]
    amount: int
    currency: str


class BoxView(msgspec.Struct, frozen=True):
    """The notes of one cassette; `expected` and `counted` are told once it was counted."""

    id: str
    terminal: str
    store: str
    opened_at: str
    removed_at: str | None
    counted_at: str | None
    expected: int | None
    counted: int | None
    difference: int | None
    currency: str


class DiffersView(msgspec.Struct, frozen=True):
    """Of one note: how many the machine reported, and how many people found."""

    value: int
    reported: int
    found: int


class CountedView(BoxView, frozen=True):
    """A box that was counted, and where it differs."""

    differs: list[DiffersView]


def session_of(session: Session) -> dict[str, Any]:
    """The fields of a visit."""
    return {
        "id": to_edge(SESSION, session.id),
        "terminal": to_edge("ter", session.terminal),
        "store": to_edge("sto", session.store),
        "card": to_edge("card", session.card),
        "last4": session.last4,
        "status": session.state,
        "most": session.most_fen,
        "stacked": session.stacked_fen,
        "credited": session.credited_fen,
        "paid_out": session.paid_fen,
        "rest": session.rest_fen,
        "currency": "CNY",
        "opened_at": rfc3339(to_us(session.opened_at)),
        "last_at": rfc3339(to_us(session.last_at)),
    }


def session_view(session: Session) -> SessionView:
    """A visit for the outside."""
    return SessionView(**session_of(session))


def credit_view(credit: Credit) -> CreditView:
    """A top-up of a visit for the outside."""
    at = rfc3339(to_us(credit.created_at))
    return CreditView(to_edge("top", credit.topup), credit.amount_fen, credit.reason, at)


def payout_view(payout: Payout) -> PayoutView:
    """What was paid out, for the outside."""
    return PayoutView(
        id=to_edge(PAYOUT, payout.id),
        way=payout.way,
        amount=payout.amount_fen,
        payee=to_edge("cus", payout.payee) if payout.payee else None,
        approval=to_edge("apr", payout.approval) if payout.approval else None,
        reason=payout.reason,
        created_at=rfc3339(to_us(payout.created_at)),
    )


def paid_out(session: Session, payout: Payout) -> PaidOutView:
    """What was paid out of a visit, for the outside."""
    shown = payout_view(payout)
    return PaidOutView(to_edge(SESSION, session.id), shown, payout.amount_fen, "CNY")


def box_of(box: Box) -> dict[str, Any]:
    """The fields of a box."""
    counted = box.counted_fen is not None and box.expected_fen is not None
    return {
        "id": to_edge(BOX, box.id),
        "terminal": to_edge("ter", box.terminal),
        "store": to_edge("sto", box.store),
        "opened_at": rfc3339(to_us(box.opened_at)),
        "removed_at": rfc3339(to_us(box.removed_at)) if box.removed_at else None,
        "counted_at": rfc3339(to_us(box.counted_at)) if box.counted_at else None,
        "expected": box.expected_fen,
        "counted": box.counted_fen,
        "difference": (box.counted_fen or 0) - (box.expected_fen or 0) if counted else None,
        "currency": "CNY",
    }


def box_view(box: Box) -> BoxView:
    """A box for the outside."""
    return BoxView(**box_of(box))


def counted_view(box: Box, differs: Sequence[Shortfall]) -> CountedView:
    """A counted box for the outside."""
    shown = [DiffersView(one.value_fen, one.reported, one.found) for one in differs]
    return CountedView(**box_of(box), differs=shown)


def loaded(session: Session, topup: str, amount_fen: int) -> LoadedView:
    """What was loaded, for the outside."""
    return LoadedView(to_edge(SESSION, session.id), to_edge("top", topup), amount_fen, "CNY")
