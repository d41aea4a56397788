"""What of top-ups takes two people: payloads of the requests, and who executes them."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.topups.model.bonus import BONUS_RULE, Terms
from kabao.topups.model.recalls import RECALL, RecallState
from kabao.topups.ops import TopUps

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

    return [(BONUS_ACTION, make, NewBonusRule), (RECALL_ACTION, settle, RecallSettlement)]
