"""`/v1/adjustments`: ask for a manual correction of a card."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.money import MAX_FEN
from kabao.base.web.fields import LINE, Currency, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.payments.adjust import ADJUST_ACTION, Adjustment, Adjustments


class AskForAdjustment(RequestBody, frozen=True):
    """A correction that a second person is to agree to."""

    card: EdgeId
    amount: Annotated[
        int, Meta(ge=-MAX_FEN, le=MAX_FEN, description="Whole fen, not 0; below 0 it takes.")
    ]
    currency: Currency
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


@post("/v1/adjustments", guards=[requires("adjustments:write")], tags=["payments"])
async def ask_for_adjustment(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForAdjustment,
    once: Once,
    adjustments: Adjustments,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a correction of a card's paid value.

    It is made the moment somebody else agrees (`/v1/approvals/{id}/approve`),
    if the card still allows it then.
    """

    async def work(conn: Conn) -> ApprovalView:
        payload = Adjustment(data.card, data.amount, data.currency)
        issuer = await adjustments.issuer(conn, data.card)
        if not principal.covers(issuer):
            raise NOT_FOUND.error("There is no such card.", field="card")
        await adjustments.check(conn, payload)
        asked = await access.approvals.ask(
            conn, principal, ADJUST_ACTION, payload, data.reason, companies=frozenset({issuer})
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [ask_for_adjustment]
