"""The routes of payment orders."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from msgspec.structs import replace

from kabao.base.db import Conn
from kabao.base.web.fields import EdgeId, Nothing, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.merchants.model import OverrideVerb
from kabao.tenders.http.bodies import (
    CancelBody,
    CaptureBody,
    CardTender,
    CashTender,
    ChannelTender,
    FreezeBody,
    OrderBody,
    RefundBody,
    new_tender,
    said,
)
from kabao.tenders.http.desk import SalesDesk
from kabao.tenders.http.requests import ask_for_refund
from kabao.tenders.http.views import OrderRefundView, PaymentOrderView, refund_view
from kabao.tenders.model import PaymentOrder, Status
from kabao.tenders.ops import NewOrder

_metadata = msgspec.json.Encoder(order="deterministic").encode


@post("/v1/payment-orders", guards=[requires("payments:write")], tags=["payment-orders"])
async def create(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: OrderBody,
    sales_desk: SalesDesk,
) -> Response[PaymentOrderView]:
    """Open a payment order, with tenders or without.

    Each card's value is set aside. When the tenders make up the amount, all are
    captured together, unless `capture` is false. A declined tender is an answer:
    its reason stands in the tender, and the next one may be added.
    """

    async def opened(conn: Conn) -> PaymentOrder:
        new = NewOrder(
            company=principal.company,
            place=sales_desk.opened_at(principal, data),
            amount_fen=data.amount,
            currency=data.currency,
            at_once=data.capture,
            reference=data.reference,
            metadata=_metadata(data.metadata).decode(),
        )
        tenders = [new_tender(tender) for tender in data.tenders]
        return await sales_desk.tenders.open(conn, new, tenders, principal.covers)

    told = replace(data, tenders=[said(tender) for tender in data.tenders])
    return await sales_desk.change(request, principal, told, opened)


@post(
    "/v1/payment-orders/{payment_order:str}/tenders",
    guards=[requires("payments:write")],
    tags=["payment-orders"],
)
async def add_tender(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    data: CardTender | CashTender | ChannelTender,
    sales_desk: SalesDesk,
) -> Response[PaymentOrderView]:
    """Add a tender, such as cash for what a card did not have."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    new, place = new_tender(data), sales_desk.place_of(found)
    return await sales_desk.change(
        request,
        principal,
        said(data),
        lambda conn: tenders.add(conn, found.id, new, principal.covers, place),
    )


@post(
    "/v1/payment-orders/{payment_order:str}/capture",
    guards=[requires("payments:write")],
    status_code=200,
    tags=["payment-orders"],
)
async def capture(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    data: CaptureBody,
    sales_desk: SalesDesk,
) -> Response[PaymentOrderView]:
    """Take what is held, or part of it: goods that are handed over or sent."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    place = await sales_desk.at(request, principal, found, data)
    return await sales_desk.change(
        request,
        principal,
        data,
        lambda conn: tenders.capture(conn, found.id, data.amount, place, final=data.final),
    )


@post(
    "/v1/payment-orders/{payment_order:str}/release",
    guards=[requires("payments:write")],
    status_code=200,
    tags=["payment-orders"],
)
async def release(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    sales_desk: SalesDesk,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[PaymentOrderView]:
    """Set free what is held still; what was captured stays."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    place = sales_desk.place_of(found)
    return await sales_desk.change(
        request, principal, data, lambda conn: tenders.release(conn, found.id, place)
    )


@post(
    "/v1/payment-orders/{payment_order:str}/cancel",
    guards=[requires("payments:write")],
    status_code=200,
    tags=["payment-orders"],
)
async def cancel(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    sales_desk: SalesDesk,
    data: CancelBody = CancelBody(),  # noqa: B008 - a frozen value
) -> Response[PaymentOrderView]:
    """Undo a payment order whole: holds, and the same day also what was captured."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    place, shift = await sales_desk.at(request, principal, found, data), sales_desk.shift(found)
    wanted = (OverrideVerb.VOID, found.captured_fen + found.held_fen)
    await sales_desk.allow(request, principal, found, wanted, data, place)
    return await sales_desk.change(
        request, principal, data, lambda conn: tenders.cancel(conn, found.id, place, shift)
    )


@post(
    "/v1/payment-orders/{payment_order:str}/freeze",
    guards=[requires("payments:write")],
    status_code=200,
    tags=["payment-orders"],
)
async def freeze(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    data: FreezeBody,
    sales_desk: SalesDesk,
) -> Response[PaymentOrderView]:
    """Let nothing move for half an hour; with an unknown outcome, until it is known."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    return await sales_desk.change(
        request,
        principal,
        data,
        lambda conn: tenders.freeze(
            conn, found.id, data.reason, outcome_unknown=data.outcome_unknown
        ),
    )


@post(
    "/v1/payment-orders/{payment_order:str}/unfreeze",
    guards=[requires("payments:write")],
    status_code=200,
    tags=["payment-orders"],
)
async def unfreeze(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    sales_desk: SalesDesk,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[PaymentOrderView]:
    """The outcome is known: the order goes on with the time it had left."""
    found, tenders = await sales_desk.find(principal, payment_order), sales_desk.tenders
    return await sales_desk.change(
        request, principal, data, lambda conn: tenders.unfreeze(conn, found.id)
    )


@post(
    "/v1/payment-orders/{payment_order:str}/refunds",
    guards=[requires("payments:refund")],
    status_code=200,
    tags=["payment-orders"],
)
async def refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment_order: EdgeId,
    data: RefundBody,
    sales_desk: SalesDesk,
    once: Once,
) -> Response[OrderRefundView]:
    """Give back part or all of what was captured, tender by tender as policy says.

    A card's part goes back to that card. `cash` and `channel` parts are due from
    the cashier and the channel: they are recorded here and paid there. A key that
    cannot pay is the back office: from a sum on that policy names it needs a second
    person (`/v1/payment-orders/{payment_order}/refund-requests`).
    """
    found = await sales_desk.find(principal, payment_order)
    left_fen = found.captured_fen - found.refunded_fen
    amount_fen = left_fen if data.amount is None else data.amount
    place = await sales_desk.at(request, principal, found, data)
    wanted = (OverrideVerb.REFUND, amount_fen)
    alone = await sales_desk.allow(request, principal, found, wanted, data, place)
    by_hand = "payments:write" not in principal.verbs

    async def work(conn: Conn) -> OrderRefundView:
        # The amount that was judged: what is left may be more by now.
        return refund_view(
            await sales_desk.tenders.refund(
                conn, found.id, amount_fen, place, by_hand=by_hand, alone=alone
            )
        )

    return await once(request, principal, data, work)


@get(
    "/v1/payment-orders/{payment_order:str}",
    guards=[requires("payments:read")],
    tags=["payment-orders"],
)
async def show(
    principal: Principal, payment_order: EdgeId, sales_desk: SalesDesk
) -> PaymentOrderView:
    """A payment order as it is now."""
    return sales_desk.view(await sales_desk.find(principal, payment_order))


@get(
    "/v1/payment-orders/{payment_order:str}/refunds",
    guards=[requires("payments:read")],
    tags=["payment-orders"],
)
async def list_refunds(
    principal: Principal,
    payment_order: EdgeId,
    sales_desk: SalesDesk,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[OrderRefundView]:
    """The refunds of a payment order, oldest first."""
    found = await sales_desk.find(principal, payment_order)
    after = position(cursor, tuple[IdPosition])
    async with sales_desk.db.read() as conn:
        refunds = await sales_desk.tenders.refunds(
            conn, found.id, after=after[0] if after else None, limit=limit + 1
        )
    return page(refunds, limit, refund_view, lambda refund: (refund.id,))


@get("/v1/payment-orders", guards=[requires("payments:read")], tags=["payment-orders"])
async def search(
    principal: Principal,
    sales_desk: SalesDesk,
    reference: ShortText | None = None,
    status: Status | None = None,
    day: date | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[PaymentOrderView]:
    """Payment orders by the caller's reference or by status, newest first.

    Without a reference, those opened on one business day: `day`, or today.
    """
    before = position(cursor, tuple[IdPosition])
    async with sales_desk.db.read() as conn:
        found = await sales_desk.tenders.search(
            conn,
            stores=sales_desk.stores(principal),
            reference=reference,
            status=status,
            day=day,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, sales_desk.view, lambda order: (order.id,))


ROUTES = [
    create,
    add_tender,
    capture,
    release,
    cancel,
    freeze,
    unfreeze,
    refund,
    ask_for_refund,
    show,
    list_refunds,
    search,
]
