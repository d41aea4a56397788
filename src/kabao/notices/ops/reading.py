"""Events for whoever asks: from any point, inside a key's scope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kabao.access.model import Scope, scope_of
from kabao.base import outbox
from kabao.base.clock import Clock, from_us, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import ID_AGE_US, given_us
from kabao.base.outbox import Position, Written
from kabao.base.web.pages import no_cursor
from kabao.base.web.principal import Principal
from kabao.cards.ops import Cards
from kabao.notices.model.events import Envelope, envelope, is_told, may_see, wanted
from kabao.notices.ops.endpoints import Endpoints
from kabao.notices.ops.relay import Whose

LOOKED_AT = 5_000
"""Events looked at for one page. A page may hold less than it could, or nothing, and
still say where to go on: an index for every wish would cost every payment.
"""
CHUNK = 1_000


class Events(msgspec.Struct, frozen=True):
    """Events in order, the place to go on from, and whether there was more."""

    found: list[Envelope]
    place: Position
    more: bool


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which events somebody wants: of these types, of a card's value, from a moment on."""

    types: tuple[str, ...] | None
    root: str | None
    start: datetime
    scope: Scope
    verbs: frozenset[str]

    @property
    def earliest(self) -> datetime:
        """A moment before which there is nothing of it: a card has no events before it is made."""
        if self.root is None:
            return self.start
        return max(self.start, from_us(given_us(self.root) - ID_AGE_US))

    def fits(self, event: Written) -> bool:
        """Whether it is one, as far as the event itself says."""
        return (
            event.recorded_at >= self.start
            and is_told(event.type)
            and wanted(event.type, self.types)
            and self.root in {None, event.root}
        )


class Reading:
    """`GET /v1/events`."""

    def __init__(self, whose: Whose, cards: Cards, endpoints: Endpoints, clock: Clock) -> None:
        self._whose, self._cards, self._endpoints, self._clock = whose, cards, endpoints, clock

    async def events(
        self,
        conn: Conn,
        principal: Principal,
        *,
        place: Position | None,
        since: datetime | None,
        types: tuple[str, ...] | None,
        card: str | None,
        limit: int,
    ) -> Events:
        """Events after a place, or since a moment, oldest first, about `limit` of them.

        Of each card they come in order. Those older than policy keeps at hand are
        not shown. A card's story by its id is for keys that cover the card.

        Raises `not_found` (card), `malformed` (a place that is none).
        """
        earliest = now(self._clock) - self._endpoints.limits().replay
        wish = Wish(
            types=types,
            root=None if card is None else await self._root(conn, principal, card),
            start=max(since or earliest, earliest),
            scope=scope_of(principal),
            verbs=principal.verbs,
        )
        if place is None:
            place = await outbox.before(conn, wish.earliest)
        elif not await outbox.is_place(conn, place):
            raise no_cursor()
        found, looked, more = list[Envelope](), 0, True
        while more and looked < LOOKED_AT and len(found) < limit:
            page, fitting = await self._page(conn, wish, place, limit - len(found))
            found += [envelope(event) for event in fitting]
            looked, more = looked + len(page), bool(page)
            place = (page[-1].xid, page[-1].n) if page else place
        return Events(found, place, more)

    async def _root(self, conn: Conn, principal: Principal, card: str) -> str:
        found = await self._cards.find_card(conn, card)
        programme = await self._cards.find_programme(conn, found.programme)
        if not principal.covers(programme.issuer):
            raise NOT_FOUND.error("There is no such card.", field="card")
        return found.root

    async def _page(
        self, conn: Conn, wish: Wish, place: Position, most: int
    ) -> tuple[list[Written], list[Written]]:
        """A page of what there is, and what fits of it: not many more than `most`.

        A page can only be left at its end, because it may hold events in another
        order than they stand in the outbox: a shorter one is read instead.
        """
        page = await outbox.read_after(conn, place, CHUNK)
        fitting = await self._fitting(conn, wish, page)
        if len(fitting) > most:
            page = await outbox.read_after(conn, place, page.index(fitting[most - 1]) + 1)
            fitting = await self._fitting(conn, wish, page)
        return page, fitting

    async def _fitting(self, conn: Conn, wish: Wish, page: Sequence[Written]) -> list[Written]:
        fitting = [event for event in page if wish.fits(event)]
        whose = await self._whose.of(conn, fitting)
        return [
            event
            for event, about in zip(fitting, whose, strict=True)
            if may_see(event.type, about, wish.scope, wish.verbs)
        ]
