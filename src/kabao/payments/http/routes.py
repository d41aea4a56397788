"""What follows a payment, and looking at payments."""

from __future__ import annotations

from datetime import date
from typing import Any

from litestar import Request, get, post

from kabao.base.errors import INVALID
from kabao.base.ids import from_edge
from kabao.base.web.binding import KEYED
from kabao.base.web.fields import EdgeId, ShortText
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.merchants.model import OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.payments.http.bodies import CaptureBody, RefundBody, ReversalBody, VoidBody
from kabao.payments.http.desk import Desk
from kabao.payments.http.views import (
    PaymentView,
    RefundLine,
    RefundView,
    ReversalView,
    payment_view,
    refund_line,
    refund_view,
    reversal_view,
)
from kabao.payments.ports import AllSales


@post(
    "/v1/payments/{payment:str}/capture",
    guards=[requires("payments:write")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def capture(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    data: CaptureBody,
    desk: Desk,
) -> PaymentView:
    """Take part or all of a hold."""
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "capture", found.id, data)
    place = await desk.place(found, data, ask)
    return payment_view(
        await desk.payments.capture(ask, found, data.amount, final=data.final, place=place)
    )


@post(
    "/v1/payments/{payment:str}/void",
    guards=[requires("payments:write")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def void(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    desk: Desk,
    merchants: Merchants,
    data: VoidBody = VoidBody(),  # noqa: B008 - a frozen value
) -> PaymentView:
    """Undo a payment or hold whole, the same day."""
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "void", found.id, data)
    shift = merchants.open_shift(found.cashier) if found.cashier else None
    place = await desk.place(found, data, ask)
    amount_fen = found.captured_fen + found.held_fen
    await desk.allow(found, (OverrideVerb.VOID, amount_fen), data.override, place, ask)
    return payment_view(await desk.payments.void(ask, found, shift.id if shift else None, place))


@post(
    "/v1/payments/{payment:str}/refunds",
    guards=[requires("payments:refund")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    data: RefundBody,
    desk: Desk,
) -> RefundView:
    """Give back part or all of what was captured.

    A key that cannot pay is the back office: from a sum on that policy names it
    needs a second person (`/v1/payments/{payment}/refund-requests`).
    """
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "refund", found.id, data)
    place = await desk.place(found, data, ask)
    amount_fen = found.refundable_fen if data.amount is None else data.amount
    wanted = (OverrideVerb.REFUND, amount_fen)
    alone = await desk.allow(found, wanted, data.override, place, ask)
    by_hand = "payments:write" not in principal.verbs
    # The amount that was judged: what is left may be more by then.
    return refund_view(
        await desk.payments.refund(ask, found, amount_fen, place, by_hand=by_hand, alone=alone)
    )


@post(
    "/v1/reversals",
    guards=[requires("reversals:write")],
    status_code=201,
    opt=KEYED,
    tags=["payments"],
)
async def reverse(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ReversalBody,
    desk: Desk,
    order_keys: AllSales,
) -> ReversalView:
    """Undo a payment whose outcome is not known, also before it has come.

    By the key of a payment order the order is undone whole. A payment of the
    same key goes before it.
    """
    original = data.original
    if (original.payment is None) == (original.idempotency_key is None):
        raise INVALID.error("Name the original by its key or by its id.", field="original")
    ask = desk.ask(request, principal, "reverse", data)
    if original.payment is not None:
        found = await desk.find(principal, original.payment)
        return reversal_view(await desk.payments.reverse(ask, found, desk.place_of(found)))
    assert original.idempotency_key is not None
    reversed_ = await desk.payments.reverse_key(
        ask,
        original.idempotency_key,
        lambda found: desk.check(principal, found),
        desk.place_of,
        order_keys.seen_by(principal),
    )
    return reversal_view(reversed_)


@get("/v1/payments/{payment:str}", guards=[requires("payments:read")], tags=["payments"])
async def show(principal: Principal, payment: EdgeId, desk: Desk) -> PaymentView:
    """A payment as it is now."""
    return payment_view(await desk.find(principal, payment))


@get("/v1/payments/{payment:str}/refunds", guards=[requires("payments:read")], tags=["payments"])
async def list_refunds(
    principal: Principal,
    payment: EdgeId,
    desk: Desk,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[RefundLine]:
    """The refunds of a payment, oldest first."""
    found, after = await desk.find(principal, payment), position(cursor, tuple[IdPosition])
    async with desk.db.read() as conn:
        refunds = await desk.payments.refunds(
            conn, found.id, after=after[0] if after else None, limit=limit + 1
        )
    return page(refunds, limit, refund_line, lambda refund: (refund.id,))


@get("/v1/payments", guards=[requires("payments:read")], tags=["payments"])
async def search(
    principal: Principal,
    desk: Desk,
    reference: ShortText | None = None,
    terminal: EdgeId | None = None,
    day: date | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[PaymentView]:
    """Payments by the caller's reference or by terminal, newest first.

    Without a reference, those of one business day: `day`, or today.
    """
    before = position(cursor, tuple[IdPosition])
    async with desk.db.read() as conn:
        found = await desk.payments.search(
            conn,
            stores=desk.stores(principal),
            reference=reference,
            terminal=from_edge("ter", terminal, field="terminal") if terminal else None,
            day=day,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, payment_view, lambda p: (p.id,))


ROUTES = [capture, void, refund, reverse, show, list_refunds, search]
