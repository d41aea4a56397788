"""What of disputes takes two people: a large provisional credit, and every outcome."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.disputes.model import DISPUTE, Bearer, Dispute, DisputeState, Outcome
from kabao.disputes.ops import Disputes

CREDIT_ACTION = "dispute_credit"
OUTCOME_ACTION = "dispute_outcome"
"""What approvals of these are called in policy `approval.actions`."""


class DisputeCredit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provisional credit that waits for the second person. `amount` in fen."""

    dispute: str
    amount: int


class DisputeOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome that waits for the second person."""

    dispute: str
    outcome: Outcome
    bearer: Bearer | None


class Credited(msgspec.Struct, frozen=True):
    """What was lent."""

    dispute: str
    amount: int
    currency: str


class Decided(msgspec.Struct, frozen=True):
    """What the outcome did: kept by the holder, taken back, and still owed."""

    dispute: str
    status: DisputeState
    outcome: Outcome
    given: int
    taken_back: int
    owed: int
    currency: str


def dispute_executors(disputes: Disputes) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def credit(conn: Conn, asked: DisputeCredit, approval: Approval) -> Credited:
        ident = from_edge(DISPUTE, asked.dispute)
        done = await disputes.credit(conn, _checker(approval), ident, agreed=True)
        return Credited(asked.dispute, done.lent_fen, done.currency)

    async def decide(conn: Conn, asked: DisputeOutcome, approval: Approval) -> Decided:
        ident = from_edge(DISPUTE, asked.dispute)
        done = await disputes.decide(
            conn, _checker(approval), ident, asked.outcome, asked.bearer, approval.reason
        )
        return _decided(done, asked)

    return [(CREDIT_ACTION, credit, DisputeCredit), (OUTCOME_ACTION, decide, DisputeOutcome)]


def _decided(done: Dispute, asked: DisputeOutcome) -> Decided:
    return Decided(
        asked.dispute,
        done.state,
        asked.outcome,
        done.given_fen,
        done.taken_back_fen,
        done.owed_fen,
        done.currency,
    )


def _checker(approval: Approval) -> str:
    assert approval.checker is not None, "it was agreed to"
    return approval.checker
