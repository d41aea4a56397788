"""What of top-ups takes two people: payloads of the requests, and who executes them."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.topups.model.bonus import BONUS_RULE, Terms
from kabao.topups.model.recalls import RECALL, RecallState
from kabao.topups.model.refunding import REFUND, Fault
from kabao.topups.ops import TopUps
from kabao.topups.ops.refunds import AskRefund

BONUS_ACTION = "bonus_rule"
"""What an approval of a bonus rule is called in policy `approval.actions`."""


class NewBonusRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that waits for the second person."""

    programme: str
    terms: Terms


class BonusRuleMade(msgspec.Struct, frozen=True):
    """The rule that an approved request became."""

    bonus_rule: str


RECALL_ACTION = "recall_settlement"


class RecallSettlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a recall ended, which waits for the second person."""

    recall: str
    won: bool


class RecallSettled(msgspec.Struct, frozen=True):
    """What became of it."""

    recall: str
    status: RecallState


REFUND_ACTION = "topup_refund"


class LargeRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money of a top-up that is to go back, and waits for the second person. Whole fen."""

    topup: str
    amount: int
    fault: Fault
    reason: str


class LargeRefunded(msgspec.Struct, frozen=True):
    """The refund that an approved request became."""

    refund: str


def topup_executors(topups: TopUps) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""

    async def make(conn: Conn, asked: NewBonusRule, approval: Approval) -> BonusRuleMade:
        programme = from_edge("prg", asked.programme)
        rule = await topups.bonuses.add(conn, programme, asked.terms, approval.id)
        return BonusRuleMade(to_edge(BONUS_RULE, rule.id))

    async def settle(conn: Conn, asked: RecallSettlement, approval: Approval) -> RecallSettled:
        ident = from_edge(RECALL, asked.recall)
        assert approval.checker is not None, "it was agreed to"
        settled = await topups.recalls.settle_in(conn, ident, approval.id, won=asked.won)
        return RecallSettled(asked.recall, settled.state)

    async def refund(conn: Conn, asked: LargeRefund, approval: Approval) -> LargeRefunded:
        del approval
        ask = AskRefund(asked.amount, asked.fault, asked.reason, approved=True)
        made = await topups.refunds.ask_in(conn, from_edge("top", asked.topup), ask)
        return LargeRefunded(to_edge(REFUND, made.id))

    return [
        (BONUS_ACTION, make, NewBonusRule),
        (RECALL_ACTION, settle, RecallSettlement),
        (REFUND_ACTION, refund, LargeRefund),
    ]
