"""`/v1/card-stock`: where plastic lies, hand-overs, counts, losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, Count, EdgeId, Nothing, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.cards.approvals import BATCH
from kabao.cards.claims import By
from kabao.cards.http_desk import STORE, TERMINAL
from kabao.cards.ops.stock import Stock
from kabao.cards.ranges import (
    SPANS_MAX,
    Handover,
    HandoverState,
    Location,
    NewLocation,
    Place,
    RangeState,
    Span,
    StockCount,
)
from kabao.cards.sql_stock import Stocked
from kabao.cards.states import Reason
from kabao.org.ops import Org

LOCATION, HANDOVER, COUNT = "loc", "hov", "cnt"

AnyRequest = Request[Any, Any, Any]
Serial = Annotated[int, Meta(ge=1, le=2_147_483_647, description="Place within the batch.")]
Remark = Annotated[str, Meta(max_length=200, pattern=LINE)]


# --- requests and answers --------------------------------------------------------------


class AddLocation(RequestBody, frozen=True, kw_only=True):
    """A place that holds cards; a store and a till name what they are."""

    kind: Place
    name: Annotated[str, Meta(min_length=1, max_length=80, pattern=LINE)]
    company: EdgeId | None = None
    """Its company; the caller's own when left out."""
    store: EdgeId | None = None
    terminal: EdgeId | None = None


class TakeIn(RequestBody, frozen=True, kw_only=True):
    """A batch arrives where it is first kept."""

    batch: EdgeId
    location: EdgeId


class Send(RequestBody, frozen=True, kw_only=True):
    """Serials to hand over."""

    batch: EdgeId
    first: Serial
    last: Serial
    to: EdgeId


class Receive(RequestBody, frozen=True, kw_only=True):
    """What was counted on arrival, and which serials were not there."""

    counted: Count
    missing: Annotated[tuple[Span, ...], Meta(max_length=SPANS_MAX)] = ()


class TakeStock(RequestBody, frozen=True, kw_only=True):
    """What was counted at a location, of one batch or of all."""

    location: EdgeId
    counted: Count
    batch: EdgeId | None = None
    note: Remark = ""


class Lose(RequestBody, frozen=True, kw_only=True):
    """Serials that are gone."""

    batch: EdgeId
    first: Serial
    last: Serial
    reason: Literal["lost_in_stock", "stolen", "damaged"] = "lost_in_stock"


class Find(RequestBody, frozen=True, kw_only=True):
    """Missing serials that are back."""

    batch: EdgeId
    first: Serial
    last: Serial


class LocationView(msgspec.Struct, frozen=True, kw_only=True):
    """A place that holds cards."""

    id: str
    company: str
    kind: Place
    name: str
    store: str | None
    terminal: str | None
    created_at: str


class RangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a batch that shares a location and a state."""

    batch: str
    first: int
    last: int
    location: str
    state: RangeState
    hand_over: str | None
    in_stock: int
    """Cards among them that nobody has bought."""


class HandoverView(msgspec.Struct, frozen=True, kw_only=True):
    """Cards on their way, and who gave and who took them."""

    id: str
    batch: str
    first: int
    last: int
    from_location: str
    to_location: str
    state: HandoverState
    sent_count: int
    received_count: int | None
    sent_by: str
    sent_at: str
    ended_by: str | None
    ended_at: str | None


class CountView(msgspec.Struct, frozen=True, kw_only=True):
    """A stock-take."""

    id: str
    location: str
    batch: str | None
    expected: int
    counted: int
    difference: int
    note: str
    counted_by: str
    counted_at: str


class ShiftedView(msgspec.Struct, frozen=True, kw_only=True):
    """How many cards were blocked, or are in stock again."""

    batch: str
    first: int
    last: int
    cards: int


def location_view(at: Location) -> LocationView:
    """A location for the outside."""
    return LocationView(
        id=to_edge(LOCATION, at.id),
        company=to_edge("com", at.company),
        kind=at.kind,
        name=at.name,
        store=_edge(STORE, at.store),
        terminal=_edge(TERMINAL, at.terminal),
        created_at=rfc3339(to_us(at.created_at)),
    )


def range_view(at: Stocked) -> RangeView:
    """A range for the outside."""
    return RangeView(
        batch=to_edge(BATCH, at.batch),
        first=at.first,
        last=at.last,
        location=to_edge(LOCATION, at.location),
        state=RangeState(at.state),
        hand_over=_edge(HANDOVER, at.handover),
        in_stock=at.in_stock,
    )


def handover_view(of: Handover) -> HandoverView:
    """A hand-over for the outside."""
    return HandoverView(
        id=to_edge(HANDOVER, of.id),
        batch=to_edge(BATCH, of.batch),
        first=of.first,
        last=of.last,
        from_location=to_edge(LOCATION, of.from_location),
        to_location=to_edge(LOCATION, of.to_location),
        state=of.state,
        sent_count=of.sent_count,
        received_count=of.received_count,
        sent_by=of.sent_by,
        sent_at=rfc3339(to_us(of.sent_at)),
        ended_by=of.ended_by,
        ended_at=None if of.ended_at is None else rfc3339(to_us(of.ended_at)),
    )


def count_view(of: StockCount) -> CountView:
    """A stock-take for the outside."""
    return CountView(
        id=to_edge(COUNT, of.id),
        location=to_edge(LOCATION, of.location),
        batch=_edge(BATCH, of.batch),
        expected=of.expected,
        counted=of.counted,
        difference=of.difference,
        note=of.note,
        counted_by=of.counted_by,
        counted_at=rfc3339(to_us(of.counted_at)),
    )


def _edge(prefix: str, ident: str | None) -> str | None:
    return None if ident is None else to_edge(prefix, ident)


# --- scope --------------------------------------------------------------------------------


def _sees(principal: Principal, at: Location) -> bool:
    """Whether a location is inside the key's scope."""
    inside = principal.stores is None or (at.store is not None and at.store in principal.stores)
    return inside and principal.may_see_company(at.company)


async def _location(
    conn: Conn, principal: Principal, stock: Stock, text: str, field: str = "location"
) -> Location:
    """A location in scope. Raises `not_found`."""
    found = await stock.location(conn, from_edge(LOCATION, text, field=field), field)
    if not _sees(principal, found):
        raise NOT_FOUND.error("There is no such location.", field=field)
    return found


async def _all_seen(
    conn: Conn, principal: Principal, stock: Stock, idents: Iterable[str], field: str
) -> None:
    """Whether all these locations are in scope. Raises `not_found`."""
    found = await stock.locations(conn, list(idents))
    if not all(_sees(principal, at) for at in found.values()):
        raise NOT_FOUND.error("There are no such cards in stock.", field=field)


async def _own_cards(
    conn: Conn, principal: Principal, stock: Stock, batch: str, first: int, last: int
) -> None:
    """Whether these serials lie within the key's scope. Raises `not_found`."""
    parts = await stock.where(conn, batch, first, last)
    await _all_seen(conn, principal, stock, {part.location for part in parts}, "batch")


def _by(principal: Principal) -> By:
    return By(actor=principal.id, company=principal.company)


# --- routes: locations ---------------------------------------------------------------------


@post("/v1/card-stock/locations", guards=[requires("card-stock:write")])
async def add_location(
    request: AnyRequest, principal: Principal, data: AddLocation, once: Once, stock: Stock
) -> Response[LocationView]:
    """Add a place that holds cards: a factory, headquarters, a store or a till."""

    async def work(conn: Conn) -> LocationView:
        company = principal.company
        if data.company is not None:
            company = from_edge("com", data.company, field="company")
        store = None if data.store is None else from_edge(STORE, data.store, field="store")
        beyond = principal.stores is not None and store not in principal.stores
        if beyond or not principal.may_see_company(company):
            raise NOT_FOUND.error("There is no such place for this key.", field="company")
        terminal = None
        if data.terminal is not None:
            terminal = from_edge(TERMINAL, data.terminal, field="terminal")
        new = NewLocation(
            company=company, kind=data.kind, name=data.name, store=store, terminal=terminal
        )
        return location_view(await stock.add_location(conn, new))

    return await once(request, principal, data, work)


@get("/v1/card-stock/locations", guards=[requires("card-stock:read")])
async def list_locations(
    principal: Principal,
    db: Database,
    stock: Stock,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[LocationView]:
    """List places that hold cards."""
    after = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await stock.list_locations(
            conn,
            companies=principal.companies,
            stores=principal.stores,
            after=None if after is None else after[0],
            limit=limit + 1,
        )
    return page(found, limit, location_view, lambda at: (at.id,))


# --- routes: ranges ------------------------------------------------------------------------


@post("/v1/card-stock", guards=[requires("card-stock:write")])
async def take_in(
    request: AnyRequest, principal: Principal, data: TakeIn, once: Once, stock: Stock
) -> Response[RangeView]:
    """Take a fresh batch of plastic into stock."""

    async def work(conn: Conn) -> RangeView:
        at = await _location(conn, principal, stock, data.location)
        batch = from_edge(BATCH, data.batch, field="batch")
        await stock.take_in(conn, batch, at.id, _by(principal))
        (found,) = await stock.list_ranges(
            conn, locations=[at.id], batch=batch, after=None, limit=1
        )
        return range_view(found)

    return await once(request, principal, data, work)


@get("/v1/card-stock", guards=[requires("card-stock:read")])
async def list_stock(
    principal: Principal,
    db: Database,
    stock: Stock,
    location: EdgeId | None = None,
    batch: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[RangeView]:
    """List stock, by batch and serial."""
    after = position(cursor, tuple[IdPosition, NumberPosition])
    async with db.read() as conn:
        found = await stock.list_ranges(
            conn,
            locations=await _listed(conn, principal, stock, location),
            batch=None if batch is None else from_edge(BATCH, batch, field="batch"),
            after=after,
            limit=limit + 1,
        )
    return page(found, limit, range_view, lambda r: (r.batch, r.first))


async def _listed(
    conn: Conn, principal: Principal, stock: Stock, location: str | None
) -> list[str] | None:
    """The locations a list may show; None: every one."""
    if location is not None:
        return [(await _location(conn, principal, stock, location)).id]
    if principal.companies is None and principal.stores is None:
        return None
    shown: list[str] = []
    after: str | None = None
    while found := await stock.list_locations(
        conn, companies=principal.companies, stores=principal.stores, after=after, limit=1_000
    ):
        shown += [at.id for at in found]
        after = found[-1].id
    return shown


# --- routes: hand-overs ----------------------------------------------------------------------


@post("/v1/card-stock/hand-overs", guards=[requires("card-stock:write")])
async def send(
    request: AnyRequest, principal: Principal, data: Send, once: Once, stock: Stock, org: Org
) -> Response[HandoverView]:
    """Hand serials over, first step: give. They cannot be activated until they are received."""

    async def work(conn: Conn) -> HandoverView:
        batch = from_edge(BATCH, data.batch, field="batch")
        await _own_cards(conn, principal, stock, batch, data.first, data.last)
        to = await stock.location(conn, from_edge(LOCATION, data.to, field="to"), "to")
        if org.group(to.company) != org.group(principal.company):
            raise NOT_FOUND.error("There is no such location.", field="to")
        sent = await stock.send(conn, batch, data.first, data.last, to.id, _by(principal))
        return handover_view(sent)

    return await once(request, principal, data, work)


@get("/v1/card-stock/hand-overs", guards=[requires("card-stock:read")])
async def list_handovers(
    principal: Principal,
    db: Database,
    stock: Stock,
    location: EdgeId | None = None,
    state: HandoverState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[HandoverView]:
    """List hand-overs from or to places."""
    after = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await stock.list_handovers(
            conn,
            locations=await _listed(conn, principal, stock, location),
            state=state,
            after=None if after is None else after[0],
            limit=limit + 1,
        )
    return page(found, limit, handover_view, lambda of: (of.id,))


@get("/v1/card-stock/hand-overs/{hand_over:str}", guards=[requires("card-stock:read")])
async def get_handover(
    principal: Principal, db: Database, stock: Stock, hand_over: str
) -> HandoverView:
    """Get a hand-over."""
    async with db.read() as conn:
        return handover_view(await _handover(conn, principal, stock, hand_over, None))


async def _handover(
    conn: Conn, principal: Principal, stock: Stock, text: str, end: Literal["from", "to"] | None
) -> Handover:
    """A hand-over of which the key may see that end, or either. Raises `not_found`."""
    found = await stock.handover(conn, from_edge(HANDOVER, text))
    ends = {"from": found.from_location, "to": found.to_location}
    places = await stock.locations(conn, list(ends.values()))
    asked = ends.values() if end is None else [ends[end]]
    if not any(_sees(principal, places[ident]) for ident in asked):
        raise NOT_FOUND.error("There is no such hand-over.")
    return found


@post(
    "/v1/card-stock/hand-overs/{hand_over:str}/receive",
    guards=[requires("card-stock:write")],
    status_code=200,
)
async def receive(
    request: AnyRequest,
    principal: Principal,
    data: Receive,
    once: Once,
    stock: Stock,
    hand_over: str,
) -> Response[HandoverView]:
    """Hand serials over, second step: another person takes them and counts.

    Serials named as missing are blocked for ever, unless they are found.
    """

    async def work(conn: Conn) -> HandoverView:
        found = await _handover(conn, principal, stock, hand_over, "to")
        ended = await stock.receive(conn, found.id, data.counted, data.missing, _by(principal))
        return handover_view(ended)

    return await once(request, principal, data, work)


@post(
    "/v1/card-stock/hand-overs/{hand_over:str}/cancel",
    guards=[requires("card-stock:write")],
    status_code=200,
)
async def cancel(
    request: AnyRequest,
    principal: Principal,
    data: Nothing,
    once: Once,
    stock: Stock,
    hand_over: str,
) -> Response[HandoverView]:
    """Take a hand-over back that nobody has received."""

    async def work(conn: Conn) -> HandoverView:
        found = await _handover(conn, principal, stock, hand_over, "from")
        return handover_view(await stock.cancel(conn, found.id, _by(principal)))

    return await once(request, principal, data, work)


# --- routes: counting, losing, finding -----------------------------------------------------


@post("/v1/card-stock/counts", guards=[requires("card-stock:write")])
async def take_stock(
    request: AnyRequest, principal: Principal, data: TakeStock, once: Once, stock: Stock
) -> Response[CountView]:
    """Record a stock-take. A difference is explained by reporting serials lost or found."""

    async def work(conn: Conn) -> CountView:
        at = await _location(conn, principal, stock, data.location)
        batch = None if data.batch is None else from_edge(BATCH, data.batch, field="batch")
        taken = await stock.count(conn, at.id, batch, data.counted, data.note, _by(principal))
        return count_view(taken)

    return await once(request, principal, data, work)


@get("/v1/card-stock/counts", guards=[requires("card-stock:read")])
async def list_counts(
    principal: Principal,
    db: Database,
    stock: Stock,
    location: EdgeId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CountView]:
    """List the stock-takes of a place."""
    after = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        at = await _location(conn, principal, stock, location)
        found = await stock.list_counts(
            conn, at.id, after=None if after is None else after[0], limit=limit + 1
        )
    return page(found, limit, count_view, lambda of: (of.id,))


@post("/v1/card-stock/lost", guards=[requires("card-stock:write")], status_code=200)
async def lose(
    request: AnyRequest, principal: Principal, data: Lose, once: Once, stock: Stock
) -> Response[ShiftedView]:
    """Report serials lost. Whichever of them is unsold can never be activated."""

    async def work(conn: Conn) -> ShiftedView:
        batch = from_edge(BATCH, data.batch, field="batch")
        await _own_cards(conn, principal, stock, batch, data.first, data.last)
        cards = await stock.lose(
            conn, batch, data.first, data.last, Reason(data.reason), _by(principal)
        )
        return ShiftedView(batch=data.batch, first=data.first, last=data.last, cards=cards)

    return await once(request, principal, data, work)


@post("/v1/card-stock/found", guards=[requires("card-stock:write")], status_code=200)
async def find(
    request: AnyRequest, principal: Principal, data: Find, once: Once, stock: Stock
) -> Response[ShiftedView]:
    """Report missing serials found: they are back where they were."""

    async def work(conn: Conn) -> ShiftedView:
        batch = from_edge(BATCH, data.batch, field="batch")
        await _own_cards(conn, principal, stock, batch, data.first, data.last)
        cards = await stock.find(conn, batch, data.first, data.last, _by(principal))
        return ShiftedView(batch=data.batch, first=data.first, last=data.last, cards=cards)

    return await once(request, principal, data, work)


ROUTES = [
    add_location,
    list_locations,
    take_in,
    list_stock,
    send,
    list_handovers,
    get_handover,
    receive,
    cancel,
    take_stock,
    list_counts,
    lose,
    find,
]
