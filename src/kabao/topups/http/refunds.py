"""`/v1/topups/{topup}/refunds` and `/recalls`: money that goes back, or was taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response, get, post

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, EdgeId, idempotency_key
from kabao.base.web.principal import Principal, requires
from kabao.topups.approvals import RECALL_ACTION, REFUND_ACTION, LargeRefund, RecallSettlement
from kabao.topups.http.bodies import RefundBody, SettleBody
from kabao.topups.http.desk import TopUpDesk
from kabao.topups.model import TopUp
from kabao.topups.model.recalls import RECALL, RECALL_SETTLED, Part, Recall, RecallState
from kabao.topups.model.refunding import (
    NOT_REFUNDABLE,
    REFUND,
    REFUND_TOO_LARGE,
    Fault,
    RefundState,
    TopUpRefund,
)
from kabao.topups.ops.refunds import AskRefund


class TopUpRefundView(msgspec.Struct, frozen=True, kw_only=True):
    """A refund to the payer, by the way the money came. Whole fen."""

    id: str
    topup: str
    status: RefundState
    amount: int
    """What the payer gets."""
    kept: int
    """Paid value kept for bonus that was spent (CR-24)."""
    bonus_taken: int
    """Bonus that leaves the card."""
    from_bonus: int
    """Of that, what the payer gets: it pays for paid value that was spent first (CR-24)."""
    currency: str
    fault: Fault
    reason: str
    refusal: str | None
    """The channel's own code; the value is free on the card again."""
    created_at: str
    done_at: str | None


class TopUpRefunds(msgspec.Struct, frozen=True):
    """All refunds of a top-up, oldest first, and how much more may go back."""

    data: list[TopUpRefundView]
    refundable: int
    refundable_at_our_fault: int


class FrozenView(msgspec.Struct, frozen=True):
    """What is frozen on one card. Whole fen."""

    card: str
    amount: int
    bonus: int


class RecallView(msgspec.Struct, frozen=True, kw_only=True):
    """Money of a top-up that its channel took back from us. Whole fen."""

    id: str
    topup: str
    status: RecallState
    amount: int
    frozen: int
    """Of what was left, on its card and on those it was moved to."""
    frozen_bonus: int
    frozen_on: list[FrozenView]
    """The same by card."""
    owed: int
    """What had been spent: the payer owes it."""
    created_at: str
    settled_at: str | None


class Recalls(msgspec.Struct, frozen=True):
    """All recalls of a top-up's money, oldest first."""

    data: list[RecallView]


def refund_view(refund: TopUpRefund, topup: TopUp) -> TopUpRefundView:
    """A refund for the outside."""
    return TopUpRefundView(
        id=to_edge(REFUND, refund.id),
        topup=to_edge("top", topup.id),
        status=refund.state,
        amount=refund.amount_fen,
        kept=refund.kept_fen,
        bonus_taken=refund.back.bonus_fen,
        from_bonus=refund.from_bonus_fen,
        currency=topup.currency,
        fault=refund.fault,
        reason=refund.reason,
        refusal=refund.refusal,
        created_at=rfc3339(refund.created_us),
        done_at=rfc3339(refund.done_us) if refund.done_us else None,
    )


def _recall_view(recall: Recall, parts: Sequence[Part], carriers: Mapping[str, str]) -> RecallView:
    return RecallView(
        id=to_edge(RECALL, recall.id),
        topup=to_edge("top", recall.topup),
        status=recall.state,
        amount=recall.amount_fen,
        frozen=recall.frozen_fen,
        frozen_bonus=recall.frozen_bonus_fen,
        frozen_on=[
            FrozenView(to_edge("card", carriers[part.root]), part.frozen_fen, part.frozen_bonus_fen)
            for part in parts
        ],
        owed=recall.owed_fen,
        created_at=rfc3339(recall.created_us),
        settled_at=rfc3339(recall.settled_us) if recall.settled_us else None,
    )


@post("/v1/topups/{topup:str}/refunds", guards=[requires("topups:refund")], tags=["topups"])
async def refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    topup: EdgeId,
    data: RefundBody,
    topup_desk: TopUpDesk,
) -> Response[TopUpRefundView]:
    """Give money of a top-up back to its payer, by the way it came.

    Never more than is left of its lot. Its share of the bonus is taken back; where bonus was
    spent already, what it was worth is kept (CR-24). The value leaves the card at once and
    comes back if the channel refuses. From a sum on it takes two persons
    (`POST /v1/topups/{topup}/refund-requests`).
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await topup_desk.find(principal, topup)

    async def work(conn: Conn) -> TopUpRefundView:
        ask = AskRefund(data.amount, data.fault, data.reason)
        made = await topup_desk.topups.refunds.ask_in(conn, found.id, ask)
        return refund_view(made, found)

    return await topup_desk.once(request, principal, data, work)


@post("/v1/topups/{topup:str}/refund-requests", guards=[requires("topups:refund")], tags=["topups"])
async def ask_for_refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    topup: EdgeId,
    data: RefundBody,
    topup_desk: TopUpDesk,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree that money of a top-up goes back to its payer.

    How much it is, and what of it may go, is judged now and again when it is agreed to.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await topup_desk.find(principal, topup)

    async def work(conn: Conn) -> ApprovalView:
        refunds, amount = topup_desk.topups.refunds, data.amount
        most = await refunds.most(conn, found, data.fault)
        if not most:
            raise NOT_REFUNDABLE.error(rule="CR-24")
        if amount is not None and amount > most:
            raise REFUND_TOO_LARGE.error(
                f"At most {most} fen may go back.", rule="CR-24", field="amount"
            )
        asked = await access.approvals.ask(
            conn,
            principal,
            REFUND_ACTION,
            LargeRefund(to_edge("top", found.id), amount or most, data.fault, data.reason),
            data.reason,
            companies=frozenset({await refunds.collector(conn, found)}),
        )
        return view(asked, now(clock))

    return await topup_desk.once(request, principal, data, work)


@get("/v1/topups/{topup:str}/refunds", guards=[requires("topups:read")], tags=["topups"])
async def refunds(principal: Principal, topup: EdgeId, topup_desk: TopUpDesk) -> TopUpRefunds:
    """What went back of a top-up, and what may."""
    found = await topup_desk.find(principal, topup)
    verbs = topup_desk.topups.refunds
    async with topup_desk.db.read() as conn:
        made = await verbs.of(conn, found.id)
        most = await verbs.most(conn, found, Fault.PAYER)
        ours = await verbs.most(conn, found, Fault.ISSUER)
    return TopUpRefunds([refund_view(one, found) for one in made], most, ours)


@get("/v1/topups/{topup:str}/recalls", guards=[requires("topups:read")], tags=["topups"])
async def recalls(principal: Principal, topup: EdgeId, topup_desk: TopUpDesk) -> Recalls:
    """What a channel took back of a top-up's money."""
    found = await topup_desk.find(principal, topup)
    async with topup_desk.db.read() as conn:
        made = await topup_desk.topups.recalls.of(conn, found.id)
        parts, carriers = await topup_desk.topups.recalls.frozen(conn, made)
    return Recalls([_recall_view(one, parts.get(one.id, []), carriers) for one in made])


@post("/v1/recalls/{recall:str}/settlements", guards=[requires("topups:settle")], tags=["topups"])
async def settle(
    request: Request[Any, Any, Any],
    principal: Principal,
    recall: EdgeId,
    data: SettleBody,
    topup_desk: TopUpDesk,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to how a recall's case ended.

    Lost: what was frozen on the card goes with the money. Won: it is free again, and
    nothing is owed.
    """

    async def work(conn: Conn) -> ApprovalView:
        found = await topup_desk.topups.recalls.get(conn, from_edge(RECALL, recall))
        topup = await topup_desk.topups.get(conn, found.topup)
        if topup.issuer is None or not principal.covers(topup.issuer):
            raise NOT_FOUND.error("There is no such recall.")
        if found.state != RecallState.OPEN:
            raise RECALL_SETTLED.error()
        asked = await access.approvals.ask(
            conn,
            principal,
            RECALL_ACTION,
            RecallSettlement(recall, data.won),
            data.reason,
            companies=frozenset({topup.issuer}),
        )
        return view(asked, now(clock))

    return await topup_desk.once(request, principal, data, work)


ROUTES = [refund, ask_for_refund, refunds, recalls, settle]
