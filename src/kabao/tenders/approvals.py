"""What of payment orders takes two persons: a large refund that was entered by hand."""

from __future__ import annotations

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.payments.model import Place
from kabao.tenders.ops import Tenders

REFUND_ACTION = "order_refund"
"""What an approval of such a refund is called in policy `approval.actions`."""


class OrderRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refund that waits for the second person. `amount` in fen."""

    payment_order: str
    amount: int


class OrderRefunded(msgspec.Struct, frozen=True):
    """What was given back: `due_back` of it is to be paid outside, by cash or channel."""

    refund: str
    payment_order: str
    amount: int
    due_back: int
    currency: str


def tender_executors(tenders: Tenders) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def refund(conn: Conn, asked: OrderRefund, approval: Approval) -> OrderRefunded:
        del approval
        order = await tenders.get(conn, from_edge("pmo", asked.payment_order))
        done = await tenders.refund(conn, order.id, asked.amount, Place(order.store))
        return OrderRefunded(
            to_edge("orf", done.id),
            asked.payment_order,
            done.amount_fen,
            sum(part.due_back_fen for part in done.parts),
            order.currency,
        )

    return [(REFUND_ACTION, refund, OrderRefund)]
