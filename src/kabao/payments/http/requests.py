"""`/v1/payments/{payment}/refund-requests`: a refund by hand that takes two persons."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.base.web.fields import AskForRefund, EdgeId
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.payments.approvals import REFUND_ACTION, GoodsRefund
from kabao.payments.http.desk import Desk
from kabao.payments.model import AMOUNT_EXCEEDS


@post(
    "/v1/payments/{payment:str}/refund-requests",
    guards=[requires("payments:refund")],
    tags=["payments"],
)
async def ask_for_refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    data: AskForRefund,
    once: Once,
    desk: Desk,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a refund entered by hand."""
    found = await desk.find(principal, payment)

    async def work(conn: Conn) -> ApprovalView:
        amount = found.refundable_fen if data.amount is None else data.amount
        if not 0 < amount <= found.refundable_fen:
            raise AMOUNT_EXCEEDS.error(f"{found.refundable_fen} fen are left to refund.")
        asked = await access.approvals.ask(
            conn,
            principal,
            REFUND_ACTION,
            GoodsRefund(to_edge("pay", found.id), amount),
            data.reason,
            companies=frozenset({desk.company(found)}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [ask_for_refund]
