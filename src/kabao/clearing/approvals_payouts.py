"""Releases of payouts: what two persons agree to, and who executes it."""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.clearing.model.payouts import BATCH
from kabao.clearing.ops.payouts import Payouts

RELEASE_ACTION = "payout_release"
"""What these approvals are called in policy `approval.actions`."""


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Payouts that wait for the second person."""

    company: str
    currency: str
    until: date
    payouts: int
    amount: int
    blocked: int
    """How many are due besides and have no account to go to."""
    digest: str
    """Of what is to be paid, hex: other sums are not agreed to."""


class Released(msgspec.Struct, frozen=True):
    """The file that an approved release became."""

    batch: str


def payout_executors(payouts: Payouts) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of a release."""

    async def release(conn: Conn, asked: Release, approval: Approval) -> Released:
        company = from_edge("com", asked.company)
        batch = await payouts.release(
            conn,
            company,
            asked.currency,
            asked.until,
            digest=asked.digest,
            approval=approval.id,
        )
        return Released(to_edge(BATCH, batch.id))

    return [(RELEASE_ACTION, release, Release)]
