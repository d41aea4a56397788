"""`/v1/payment-orders/{payment_order}/refund-requests`: a refund by hand that takes two persons."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.base.web.fields import AskForRefund, EdgeId
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.tenders.approvals import REFUND_ACTION, OrderRefund
from kabao.tenders.http.desk import SalesDesk
from kabao.tenders.model import EXCEEDS


@post(
    "/v1/payment-orders/{payment_order:str}/refund-requests",
    guards=[requires("payments:refund")],
    tags=["payment-orders"],
)
async def ask_for_refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    data: AskForRefund,
    once: Once,
    sales_desk: SalesDesk,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a refund entered by hand."""
    found = await sales_desk.find(principal, payment_order)

    async def work(conn: Conn) -> ApprovalView:
        left_fen = found.captured_fen - found.refunded_fen
        amount = left_fen if data.amount is None else data.amount
        if not 0 < amount <= left_fen:
            raise EXCEEDS.error(f"{left_fen} fen are left to refund.", field="amount")
        asked = await access.approvals.ask(
            conn,
            principal,
            REFUND_ACTION,
            OrderRefund(to_edge("pmo", found.id), amount),
            data.reason,
            companies=frozenset({sales_desk.company(found)}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)
