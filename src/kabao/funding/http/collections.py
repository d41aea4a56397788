"""`/v1/collections`: money that is awaited, came, or went back. Nobody opens one here."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, Amount, EdgeId, Nothing, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.funding.http.health import ChoiceView, choice_view
from kabao.funding.model.answers import Scene
from kabao.funding.model.channels import CHANNEL
from kabao.funding.model.collections import (
    COLLECTION,
    ORDER,
    REFUND,
    Back,
    ChannelOrder,
    Collection,
    FundingRefund,
)
from kabao.funding.model.life import RefundState, State
from kabao.funding.ops import Funding

READ, WRITE = "collections:read", "collections:write"


class RecallBody(RequestBody, frozen=True):
    """A channel took money back: all that is left, or `amount`. `reference` is its own number."""

    reference: ShortText
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE)]
    amount: Amount | None = None


class CollectionView(msgspec.Struct, frozen=True):
    """One sum that is collected. `code` says why it was given up."""

    id: str
    purpose: str
    subject: str
    company: str
    store: str | None
    programme: str
    scene: Scene
    amount: int
    currency: str
    status: State
    code: str | None
    rule: str | None
    created_at: str
    expires_at: str


class OrderView(msgspec.Struct, frozen=True):
    """An attempt at one channel. `channel_number` is the channel's, of the payment."""

    id: str
    channel: str
    status: State
    channel_number: str | None
    refusal: str | None
    asked: int
    created_at: str
    paid_at: str | None


class RefundView(msgspec.Struct, frozen=True):
    """Money that went back, or goes. `returned`: it had arrived, and came back to us."""

    id: str
    order: str
    why: Back
    amount: int
    currency: str
    status: RefundState
    refusal: str | None
    created_at: str
    done_at: str | None


class WholeCollection(CollectionView, frozen=True):
    """A collection with every attempt, why each channel was chosen, and what went back."""

    orders: list[OrderView]
    choices: list[ChoiceView]
    refunds: list[RefundView]


def _shown(collection: Collection) -> dict[str, Any]:
    store = collection.store
    return {
        "id": to_edge(COLLECTION, collection.id),
        "purpose": collection.purpose,
        "subject": collection.subject,
        "company": to_edge("com", collection.company),
        "store": None if store is None else to_edge("sto", store),
        "programme": to_edge("prg", collection.programme),
        "scene": collection.scene,
        "amount": collection.amount_fen,
        "currency": collection.currency,
        "status": collection.state,
        "code": collection.code,
        "rule": collection.rule,
        "created_at": rfc3339(collection.created_us),
        "expires_at": rfc3339(collection.expires_us),
    }


def _view(collection: Collection) -> CollectionView:
    return CollectionView(**_shown(collection))


def _order_view(order: ChannelOrder) -> OrderView:
    return OrderView(
        id=to_edge(ORDER, order.id),
        channel=to_edge(CHANNEL, order.channel),
        status=order.state,
        channel_number=order.channel_no,
        refusal=order.refusal,
        asked=order.asked,
        created_at=rfc3339(order.created_us),
        paid_at=None if order.paid_us is None else rfc3339(order.paid_us),
    )


def _refund_view(refund: FundingRefund) -> RefundView:
    return RefundView(
        id=to_edge(REFUND, refund.id),
        order=to_edge(ORDER, refund.order),
        why=refund.back,
        amount=refund.amount_fen,
        currency="CNY",
        status=refund.state,
        refusal=refund.refusal,
        created_at=rfc3339(refund.created_us),
        done_at=None if refund.done_us is None else rfc3339(refund.done_us),
    )


@get("/v1/collections", guards=[requires(READ)])
async def list_collections(
    principal: Principal,
    db: Database,
    funding: Funding,
    subject: str | None = None,
    status: State | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CollectionView]:
    """List collections, newest first."""
    found = position(cursor, tuple[IdPosition])
    companies, stores = principal.companies, principal.stores
    async with db.read() as conn:
        rows = await funding.search(
            conn,
            companies=None if companies is None else list(companies),
            stores=None if stores is None else list(stores),
            subject=subject,
            state=status,
            before=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda collection: (collection.id,))


@get("/v1/collections/{collection:str}", guards=[requires(READ)])
async def get_collection(
    principal: Principal, db: Database, funding: Funding, collection: str
) -> WholeCollection:
    """Get a collection with its orders and what went back."""
    async with db.read() as conn:
        return await _whole(conn, funding, await _visible(conn, principal, funding, collection))


@post("/v1/collections/{collection:str}/recalls", guards=[requires(WRITE)])
async def recall(
    request: Request[Any, Any, Any],
    principal: Principal,
    collection: EdgeId,
    data: RecallBody,
    once: Once,
    funding: Funding,
) -> Response[WholeCollection]:
    """Book that a channel took back what was paid: a charge-back, or its own reversal.

    What is left of what it paid for is frozen, the rest is owed to us, and a case is
    opened. The same `reference` again changes nothing.
    """

    async def work(conn: Conn) -> WholeCollection:
        found = await _visible(conn, principal, funding, collection)
        recalled = await funding.recall_in(
            conn, found.id, data.amount, key=data.reference, reason=data.reason
        )
        return await _whole(conn, funding, recalled)

    return await once(request, principal, data, work)


@post(
    "/v1/collections/{collection:str}/refunds/{funding_refund:str}/retry",
    guards=[requires(WRITE)],
    status_code=200,
)
async def retry_refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    collection: EdgeId,
    funding_refund: EdgeId,
    once: Once,
    funding: Funding,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[WholeCollection]:
    """Send money back once more that did not arrive.

    For the case of it, once the reason is out of the way: the channel refused what came
    late or twice, a refund came back to us, or the channel does not tell that late money
    is here. A refund that somebody asked for and that was refused is asked for again there.
    """

    async def work(conn: Conn) -> WholeCollection:
        found = await _visible(conn, principal, funding, collection)
        ident = from_edge(REFUND, funding_refund)
        if ident not in {one.id for one in await funding.refunds(conn, found.id)}:
            raise NOT_FOUND.error("There is no such refund.")
        await funding.refund_again_in(conn, ident)
        return await _whole(conn, funding, await funding.get(conn, found.id))

    return await once(request, principal, data, work)


async def _visible(conn: Conn, principal: Principal, funding: Funding, text: str) -> Collection:
    """A collection inside the key's scope. Raises `not_found`."""
    found = await funding.get(conn, from_edge(COLLECTION, text))
    sees_store = principal.stores is None or found.store in principal.stores
    if not (sees_store and principal.may_see_company(found.company)):
        raise NOT_FOUND.error("There is no such collection.")
    return found


async def _whole(conn: Conn, funding: Funding, collection: Collection) -> WholeCollection:
    return WholeCollection(
        **_shown(collection),
        orders=[_order_view(order) for order in await funding.orders(conn, collection.id)],
        choices=[choice_view(one) for one in await funding.router.records(conn, collection.id)],
        refunds=[_refund_view(refund) for refund in await funding.refunds(conn, collection.id)],
    )


ROUTES = [list_collections, get_collection, recall, retry_refund]
