"""`/v1/events`: everything again, from any point."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.db import Database
from kabao.base.errors import INVALID
from kabao.base.ids import from_edge
from kabao.base.web.fields import EdgeId, Moment
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, cursor_at, position
from kabao.base.web.principal import Principal, requires
from kabao.notices.model.events import Envelope
from kabao.notices.ops import Reading

EventType = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=60,
        pattern=r"^[a-z_]+\.(\*|[a-z_]+)$",
        description="Such as `payment.captured` or `card.*`.",
    ),
]
_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class EventsPage(msgspec.Struct, frozen=True):
    """Events, oldest first.

    A page may hold fewer than `limit`, or none, and there may still be more:
    `next_cursor` is null when there is not. `cursor` is where to go on from, also
    later, once more has happened.
    """

    data: list[Envelope]
    next_cursor: str | None
    cursor: str


@get("/v1/events", guards=[requires("events:read")], tags=["webhooks"])
async def list_events(
    principal: Principal,
    db: Database,
    reading: Reading,
    type: EventType | None = None,  # noqa: A002 -- the name of the query parameter
    card: EdgeId | None = None,
    since: Moment | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> EventsPage:
    """Events inside the key's scope, each card's in order, from a cursor or a moment on."""
    if since is not None and cursor is not None:
        raise INVALID.error("A cursor or a moment, not both.", field="since")
    place = position(cursor, tuple[_Number, _Number])
    async with db.read() as conn:
        events = await reading.events(
            conn,
            principal,
            place=None if place is None else (str(place[0]), place[1]),
            since=since,
            types=None if type is None else (type,),
            card=None if card is None else from_edge("card", card, field="card"),
            limit=limit,
        )
    here = cursor_at((int(events.place[0]), events.place[1]))
    return EventsPage(events.found, here if events.more else None, here)


ROUTES: list[HTTPRouteHandler] = [list_events]
