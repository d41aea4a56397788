"""Where tills and books differ: what keeps a day open, until two persons have looked into it.

The books stand. What two persons find is either that they are right, or that money has to
move: then it moves as all corrections do, under an approval of its own, which is named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from kabao.access.model import Approval, ApprovalState, Executor
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import to_edge
from kabao.edges.iso8583 import sql_differences as sql
from kabao.edges.iso8583.model import DIFFERENCE_CHANGED
from kabao.edges.iso8583.sql_differences import Place
from kabao.reconciliation.model.gate import OpenPart

SOURCE = "terminal"
"""What a kept part of a day calls tills."""

RULE = "T-21"

RESOLUTION_ACTION = "pos_difference"
"""What an approval of a resolution is called in policy `approval.actions`."""

MOVES_MONEY = frozenset({"adjustment", "clearing_adjustment", "goods_refund", "order_refund"})
"""Approvals that correct what a till and the books differ about."""


class NewResolution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resolution that waits for the second person, with the figures that both look at."""

    difference: Place
    till_fen: int | None
    host_fen: int | None
    correction: str | None
    """The executed approval that moved money; None: the books are right as they stand."""


class Resolved(msgspec.Struct, frozen=True):
    """A difference that keeps no day open any more."""

    batch: str
    trace: int


class Differences:
    """Differences, and the gate they are (`reconciliation.ports.Gate`)."""

    def __init__(self, clock: Clock, days: BusinessDays) -> None:
        self._clock, self._days = clock, days

    async def open_parts(self, conn: Conn, day: date) -> Sequence[OpenPart]:
        """Stores of whose tills a batch differs, or is not uploaded yet: between our own books
        the tolerance is zero (T-21).

        A batch counts to the business day on which its settlement was asked for.
        """
        begin, end = self._days.start(day), self._days.start(day + timedelta(days=1))
        return [_part(row) for row in await sql.open_stores(conn, begin, end)]

    async def get(self, conn: Conn, place: Place) -> sql.DifferenceShown:
        """A difference as it stands. Raises `not_found`."""
        found = await sql.get(conn, place)
        if found is None:
            raise NOT_FOUND.error("There is no such difference.")
        return found

    def check(self, found: sql.DifferenceShown, correction: Approval | None) -> None:
        """Whether it can be resolved now.

        Raises `pos_difference_changed` for one that is, and `invalid` for a correction that was
        not executed or moves no money.
        """
        if found.resolved_at is not None:
            raise DIFFERENCE_CHANGED.error(rule=RULE)
        if correction is not None and not (
            correction.kind in MOVES_MONEY and correction.state is ApprovalState.EXECUTED
        ):
            raise INVALID.error("This is no executed correction of money.", field="correction")

    async def resolve(self, conn: Conn, asked: NewResolution, approval: Approval) -> Resolved:
        """What two persons agreed to; its row is locked.

        Raises `pos_difference_changed` where it is resolved, is none any more, or has other
        figures than they looked at.
        """
        found = await sql.get(conn, asked.difference, lock=True)
        figures = None if found is None else (found.till_fen, found.host_fen)
        if found is None or found.resolved_at or figures != (asked.till_fen, asked.host_fen):
            raise DIFFERENCE_CHANGED.error(rule=RULE)
        await sql.resolve(conn, found.place, approval.id, asked.correction, now(self._clock))
        return Resolved(batch_id(found.terminal, found.batch), found.trace)


def batch_id(terminal: str, number: int) -> str:
    """A batch's id at the edge: `ter_….000001`."""
    return f"{to_edge('ter', terminal)}.{number:06}"


def pos_executors(
    differences: Differences,
) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def resolve(conn: Conn, asked: NewResolution, approval: Approval) -> Resolved:
        return await differences.resolve(conn, asked, approval)

    return [(RESOLUTION_ACTION, resolve, NewResolution)]


def _part(row: sql.OpenStore) -> OpenPart:
    subject = to_edge("sto", row.store)
    if row.uploading:
        return OpenPart(SOURCE, subject, "not_matched", row.open, None)
    return OpenPart(SOURCE, subject, "too_many_breaks", row.open, row.open / max(row.lines, 1))
