"""`/v1/webhook-endpoints`: who is told of events, and where."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.notices.http.deliveries import DeliveryView, delivery_view
from kabao.notices.model.endpoints import (
    MAX_TYPES,
    MAX_URL,
    Endpoint,
    EndpointState,
    NewEndpoint,
    Pause,
)
from kabao.notices.ops import ENDPOINT, Endpoints, Made

READ, WRITE = "webhook-endpoints:read", "webhook-endpoints:write"
PATH = "/v1/webhook-endpoints"

Types = Annotated[
    tuple[Annotated[str, Meta(min_length=3, max_length=60, pattern=LINE)], ...],
    Meta(
        min_length=1,
        max_length=MAX_TYPES,
        description="Such as `payment.captured` or `card.*`; null for all.",
    ),
]


class EndpointBody(RequestBody, frozen=True, kw_only=True):
    """An https address that answers 2xx once it has an event."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL, pattern=LINE)]
    description: Annotated[str, Meta(max_length=120, pattern=LINE)] = ""
    event_types: Types | None = None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told, and how that goes.

    It is told what the key that made it may see. `failing_since` is the first
    failure since the last success; `resting_until` when it is asked again;
    `missed_from` when events last ceased to be kept for it, because too many waited.
    """

    id: str
    company: str
    stores: list[str] | None
    url: str
    description: str
    event_types: list[str] | None
    status: EndpointState
    paused_for: Pause | None
    old_secret_until: str | None
    failures: int
    failing_since: str | None
    resting_until: str | None
    missed_from: str | None
    created_at: str


class MadeView(EndpointView, frozen=True, kw_only=True):
    """An endpoint with its new secret, which is shown once."""

    secret: str


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    stores = endpoint.stores
    return {
        "id": to_edge(ENDPOINT, endpoint.id),
        "company": to_edge("com", endpoint.company),
        "stores": None if stores is None else [to_edge("sto", store) for store in stores],
        "url": endpoint.url,
        "description": endpoint.description,
        "event_types": endpoint.types,
        "status": endpoint.state,
        "paused_for": endpoint.paused_for,
        "old_secret_until": _time(endpoint.old_until),
        "failures": endpoint.failures,
        "failing_since": _time(endpoint.failing_since),
        "resting_until": _time(endpoint.resting_until),
        "missed_from": _time(endpoint.missed_from),
        "created_at": _time(endpoint.created_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(to_us(at))


def _view(endpoint: Endpoint) -> EndpointView:
    return EndpointView(**_shown(endpoint))


def _made(made: Made) -> MadeView:
    return MadeView(**_shown(made.endpoint), secret=made.secret)


def _new(body: EndpointBody) -> NewEndpoint:
    return NewEndpoint(url=body.url, description=body.description, types=body.event_types)


@post(PATH, guards=[requires(WRITE)], tags=["webhooks"])
async def create_endpoint(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: EndpointBody,
    once: Once,
    endpoints: Endpoints,
) -> Response[MadeView]:
    """Be told of events from now on. The secret is shown once."""

    async def work(conn: Conn) -> MadeView:
        return _made(await endpoints.add(conn, principal, _new(data)))

    return await once(request, principal, data, work, secret=True)


@get(PATH, guards=[requires(READ)], tags=["webhooks"])
async def list_endpoints(
    principal: Principal,
    db: Database,
    endpoints: Endpoints,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[EndpointView]:
    """Endpoints, newest first; never their secrets."""
    place = position(cursor, tuple[IdPosition])
    before = None if place is None else place[0]
    async with db.read() as conn:
        rows = await endpoints.search(conn, principal, before=before, limit=limit + 1)
    return page(rows, limit, _view, lambda endpoint: (endpoint.id,))


@get(PATH + "/{endpoint:str}", guards=[requires(READ)], tags=["webhooks"])
async def get_endpoint(
    principal: Principal, db: Database, endpoints: Endpoints, endpoint: EdgeId
) -> EndpointView:
    """An endpoint, and how it fares."""
    async with db.read() as conn:
        return _view(await endpoints.get(conn, principal, from_edge(ENDPOINT, endpoint)))


@post(PATH + "/{endpoint:str}/change", guards=[requires(WRITE)], status_code=200, tags=["webhooks"])
async def change_endpoint(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: EndpointBody,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[EndpointView]:
    """Another address, description or choice of events. What waits goes to the new address."""

    async def work(conn: Conn) -> EndpointView:
        ident = from_edge(ENDPOINT, endpoint)
        return _view(await endpoints.change(conn, principal, ident, _new(data)))

    return await once(request, principal, data, work)


@post(
    PATH + "/{endpoint:str}/rotate-secret",
    guards=[requires(WRITE)],
    status_code=200,
    tags=["webhooks"],
)
async def rotate_secret(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[MadeView]:
    """A new secret, shown once. Until `old_secret_until` deliveries carry both signatures."""

    async def work(conn: Conn) -> MadeView:
        return _made(await endpoints.rotate(conn, principal, from_edge(ENDPOINT, endpoint)))

    return await once(request, principal, None, work, secret=True)


@post(PATH + "/{endpoint:str}/pause", guards=[requires(WRITE)], status_code=200, tags=["webhooks"])
async def pause_endpoint(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[EndpointView]:
    """Send nothing for now. Events are kept until too many wait."""

    async def work(conn: Conn) -> EndpointView:
        return _view(await endpoints.pause(conn, principal, from_edge(ENDPOINT, endpoint)))

    return await once(request, principal, None, work)


@post(PATH + "/{endpoint:str}/resume", guards=[requires(WRITE)], status_code=200, tags=["webhooks"])
async def resume_endpoint(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[EndpointView]:
    """Send again, beginning with what waits."""

    async def work(conn: Conn) -> EndpointView:
        return _view(await endpoints.resume(conn, principal, from_edge(ENDPOINT, endpoint)))

    return await once(request, principal, None, work)


@post(
    PATH + "/{endpoint:str}/caught-up",
    guards=[requires(WRITE)],
    status_code=200,
    tags=["webhooks"],
)
async def endpoint_caught_up(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[EndpointView]:
    """What it missed was fetched from `/v1/events` since `missed_from`, which is null again."""

    async def work(conn: Conn) -> EndpointView:
        return _view(await endpoints.caught_up(conn, principal, from_edge(ENDPOINT, endpoint)))

    return await once(request, principal, None, work)


@post(PATH + "/{endpoint:str}/test", guards=[requires(WRITE)], tags=["webhooks"])
async def test_endpoint(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    endpoints: Endpoints,
    endpoint: EdgeId,
) -> Response[DeliveryView]:
    """Send `webhook.tested`, which tells nothing. The answer says which delivery to look at."""

    async def work(conn: Conn) -> DeliveryView:
        return delivery_view(await endpoints.test(conn, principal, from_edge(ENDPOINT, endpoint)))

    return await once(request, principal, None, work)


@delete(PATH + "/{endpoint:str}", guards=[requires(WRITE)], tags=["webhooks"])
async def delete_endpoint(
    principal: Principal, db: Database, endpoints: Endpoints, endpoint: EdgeId
) -> None:
    """Forget an endpoint, its secret and everything that waits for it."""
    async with db.transaction() as conn:
        await endpoints.remove(conn, principal, from_edge(ENDPOINT, endpoint))


ROUTES: list[HTTPRouteHandler] = [
    create_endpoint,
    list_endpoints,
    get_endpoint,
    change_endpoint,
    rotate_secret,
    pause_endpoint,
    resume_endpoint,
    endpoint_caught_up,
    test_endpoint,
    delete_endpoint,
]
