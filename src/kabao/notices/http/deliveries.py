"""`/v1/webhook-deliveries`: what was sent, what waits, what was given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.notices.model.deliveries import Delivery, DeliveryState
from kabao.notices.ops import DELIVERY, ENDPOINT, Endpoints

READ, WRITE = "webhook-endpoints:read", "webhook-endpoints:write"


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint.

    `last_error` is a word of ours; what the receiver answered beside its status is
    not kept.
    """

    id: str
    endpoint: str
    event: str
    event_type: str
    status: DeliveryState
    attempts: int
    last_http_status: int | None
    last_error: str | None
    last_at: str | None
    created_at: str
    delivered_at: str | None


class WholeDelivery(DeliveryView, frozen=True, kw_only=True):
    """A delivery with the body that is sent."""

    body: str


def _shown(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": to_edge(DELIVERY, delivery.id),
        "endpoint": to_edge(ENDPOINT, delivery.endpoint),
        "event": delivery.event,
        "event_type": delivery.type,
        "status": delivery.state,
        "attempts": delivery.attempts,
        "last_http_status": delivery.last_status,
        "last_error": delivery.last_error,
        "last_at": _time(delivery.last_at),
        "created_at": _time(delivery.created_at),
        "delivered_at": _time(delivery.delivered_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(to_us(at))


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A delivery for the outside."""
    return DeliveryView(**_shown(delivery))


@get("/v1/webhook-deliveries", guards=[requires(READ)], tags=["webhooks"])
async def list_deliveries(
    principal: Principal,
    db: Database,
    endpoints: Endpoints,
    endpoint: EdgeId | None = None,
    status: DeliveryState | None = None,
    event: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[DeliveryView]:
    """Deliveries, newest first; `status=dead` are those that were given up."""
    place = position(cursor, tuple[IdPosition])
    ident = None if endpoint is None else from_edge(ENDPOINT, endpoint, field="endpoint")
    async with db.read() as conn:
        rows = await endpoints.deliveries(
            conn,
            principal,
            endpoint=ident,
            state=status,
            event=event,
            before=None if place is None else place[0],
            limit=limit + 1,
        )
    return page(rows, limit, delivery_view, lambda delivery: (delivery.id,))


@get("/v1/webhook-deliveries/{delivery:str}", guards=[requires(READ)], tags=["webhooks"])
async def get_delivery(
    principal: Principal, db: Database, endpoints: Endpoints, delivery: EdgeId
) -> WholeDelivery:
    """A delivery with its body."""
    async with db.read() as conn:
        found = await endpoints.delivery(conn, principal, from_edge(DELIVERY, delivery))
    return WholeDelivery(**_shown(found), body=found.body)


@post(
    "/v1/webhook-deliveries/{delivery:str}/replay",
    guards=[requires(WRITE)],
    status_code=200,
    tags=["webhooks"],
)
async def replay_delivery(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    delivery: EdgeId,
) -> Response[DeliveryView]:
    """Send it once more, dead or delivered, with the same event id."""

    async def work(conn: Conn) -> DeliveryView:
        return delivery_view(await endpoints.replay(conn, principal, from_edge(DELIVERY, delivery)))

    return await once(request, principal, None, work)


ROUTES: list[HTTPRouteHandler] = [list_deliveries, get_delivery, replay_delivery]
