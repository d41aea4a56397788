"""What takes two people, and who does it once they agree: every slice's kinds in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge
from kabao.cards.approvals import executors
from kabao.cards.approvals_life import life_executors
from kabao.clearing.approvals_accounts import account_executors
from kabao.clearing.approvals_clearing import clearing_executors
from kabao.clearing.approvals_deposits import deposit_executors
from kabao.clearing.approvals_payouts import payout_executors
from kabao.disputes.approvals import dispute_executors
from kabao.edges.iso8583.differences import pos_executors
from kabao.funding.approvals import funding_executors
from kabao.kiosks.approvals import kiosk_executors
from kabao.payments.adjust import adjust_executors
from kabao.payments.approvals import payment_executors
from kabao.payments.suspense import suspense_executors
from kabao.policy.choices import SwitchState
from kabao.policy.model import Setting
from kabao.policy.ops import Policy
from kabao.policy.ports import RELEASE_ACTION, SwitchRelease
from kabao.reconciliation.approvals import reconciliation_executors
from kabao.tenders.approvals import tender_executors
from kabao.topups.approvals import topup_executors

if TYPE_CHECKING:
    from kabao.app.composition import Kabao

Line = tuple[str, Executor, type[msgspec.Struct]]
"""Kind, executor and payload."""


class Released(msgspec.Struct, frozen=True):
    """The change of a switch that an approved release became."""

    version: int


def register_executors(kabao: Kabao) -> None:
    """Tell the approvals who executes each kind of request."""
    lines: list[Line] = [
        *executors(kabao.cards),
        *life_executors(kabao.life),
        *funding_executors(kabao.funding),
        *kiosk_executors(kabao.kiosks),
        *dispute_executors(kabao.disputes),
        *account_executors(kabao.settlement_accounts),
        *clearing_executors(kabao.clearing),
        *payout_executors(kabao.morning.payouts),
        *deposit_executors(kabao.morning.deposits),
        *_policy_executors(kabao.policy),
        *pos_executors(kabao.pos_differences),
        *adjust_executors(kabao.adjustments),
        *payment_executors(kabao.payments),
        *reconciliation_executors(kabao.reconciliation),
        *suspense_executors(kabao.suspense),
        *tender_executors(kabao.tenders),
        *topup_executors(kabao.topups),
    ]
    for kind, executor, payload in lines:
        kabao.access.register_executor(kind, executor, payload=payload)


def _policy_executors(policy: Policy) -> list[Line]:
    """Policy lies beneath access, so its executor is written here."""

    async def release(conn: Conn, asked: SwitchRelease, approval: Approval) -> Released:
        scope_id = None
        if asked.company is not None:
            scope_id = from_edge("com", asked.company)
        elif asked.programme is not None:
            scope_id = from_edge("prg", asked.programme)
        setting = Setting(
            asked.switch,
            asked.scope,
            scope_id,
            SwitchState.RUNNING,
            approval.reason,
            set_by=approval.maker,
            approved_by=approval.checker,
        )
        return Released((await policy.set_switch(conn, setting)).version)

    return [(RELEASE_ACTION, release, SwitchRelease)]
