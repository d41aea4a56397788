"""What of kiosks takes two people, and who executes it."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.kiosks.ops import PAYOUT, KioskCredit, KioskPayout, Kiosks

PAYOUT_ACTION = "kiosk_payout"
"""What an approval of a transfer is called in policy `approval.actions`."""


CREDIT_ACTION = "kiosk_credit"
"""And one of a load of another card."""


class RestLoaded(msgspec.Struct, frozen=True):
    """The top-up that an approved request became."""

    topup: str


class RestTransferred(msgspec.Struct, frozen=True):
    """The payout that an approved request became."""

    payout: str


def kiosk_executors(kiosks: Kiosks) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""

    async def transfer(conn: Conn, asked: KioskPayout, approval: Approval) -> RestTransferred:
        _, payout = await kiosks.payouts.transferred(conn, asked, approval)
        return RestTransferred(to_edge(PAYOUT, payout.id))

    async def load(conn: Conn, asked: KioskCredit, approval: Approval) -> RestLoaded:
        _, topup = await kiosks.loads.agreed(conn, asked, approval)
        return RestLoaded(to_edge("top", topup.id))

    return [(PAYOUT_ACTION, transfer, KioskPayout), (CREDIT_ACTION, load, KioskCredit)]
