"""What of reconciliation takes two people: corrections and payouts, and who executes them."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.reconciliation.model.breaks import BREAK, BreakState, Correction
from kabao.reconciliation.model.runs import RUN
from kabao.reconciliation.ops import Reconciliation

CORRECTION_ACTION, SETTLEMENT_ACTION = "reconciliation_correction", "channel_settlement"
"""What these approvals are called in policy `approval.actions`."""


class NewCorrection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction that waits for the second person."""

    break_id: str
    correction: Correction
    amount_fen: int
    """What the source has to our favour beyond our books; negative: what it lacks."""


class Corrected(msgspec.Struct, frozen=True):
    """What an approved correction made of its break."""

    break_id: str
    status: BreakState


class NewSettlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a channel has paid out for a bill, which waits for the second person."""

    reconciliation: str
    received_fen: int
    expected_fen: int


class Settled(msgspec.Struct, frozen=True):
    """A payout that was booked. `difference`: what waits in UNMATCHED, in fen."""

    reconciliation: str
    received: int
    fee: int
    difference: int


def reconciliation_executors(
    reconciliation: Reconciliation,
) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""

    async def correct(conn: Conn, asked: NewCorrection, approval: Approval) -> Corrected:
        ident = from_edge(BREAK, asked.break_id)
        done = await reconciliation.correct(conn, ident, asked.correction, approval.id)
        return Corrected(asked.break_id, done.state)

    async def settle(conn: Conn, asked: NewSettlement, approval: Approval) -> Settled:
        del approval
        run = await reconciliation.settle(
            conn, from_edge(RUN, asked.reconciliation), asked.received_fen
        )
        difference = asked.received_fen - run.expected_fen
        return Settled(asked.reconciliation, asked.received_fen, run.fee_fen, difference)

    return [
        (CORRECTION_ACTION, correct, NewCorrection),
        (SETTLEMENT_ACTION, settle, NewSettlement),
    ]
