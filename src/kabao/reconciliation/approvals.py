"""What of reconciliation takes two people: the correction of a break, and who executes it."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.reconciliation.model.breaks import BREAK, BreakState, Correction
from kabao.reconciliation.ops import Reconciliation

CORRECTION_ACTION = "reconciliation_correction"
"""What this approval is called in policy `approval.actions`."""


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


def reconciliation_executors(
    reconciliation: Reconciliation,
) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""

    async def correct(conn: Conn, asked: NewCorrection, approval: Approval) -> Corrected:
        ident = from_edge(BREAK, asked.break_id)
        done = await reconciliation.correct(conn, ident, asked.correction, approval.id)
        return Corrected(asked.break_id, done.state)

    return [(CORRECTION_ACTION, correct, NewCorrection)]
