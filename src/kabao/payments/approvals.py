"""What of payments takes two persons: a large refund that was entered by hand."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.payments.model import Ask
from kabao.payments.ops import Payments

REFUND_ACTION = "goods_refund"
"""What an approval of a refund is called in policy `approval.actions`."""


class GoodsRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refund that waits for the second person. `amount` in fen."""

    payment: str
    amount: int


class GoodsRefunded(msgspec.Struct, frozen=True):
    """What was given back, and where it went: `card` or `suspense`."""

    refund: str
    payment: str
    amount: int
    currency: str
    destination: str


def payment_executors(payments: Payments) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def refund(conn: Conn, asked: GoodsRefund, approval: Approval) -> GoodsRefunded:
        payment = await payments.get(conn, from_edge("pay", asked.payment))
        ask = Ask(approval.company, f"refund/{to_edge('apr', approval.id)}", approval.digest)
        done = await payments.refund_in(conn, ask, payment, asked.amount)
        return GoodsRefunded(
            to_edge("ref", done.refund.id),
            asked.payment,
            done.refund.amount_fen,
            payment.currency,
            done.refund.destination,
        )

    return [(REFUND_ACTION, refund, GoodsRefund)]
