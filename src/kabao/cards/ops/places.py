"""Where plastic may lie, where it does, and where it may be activated."""

from __future__ import annotations

from collections.abc import Collection

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import Ids
from kabao.cards import sql_stock as sql
from kabao.cards.claims import By
from kabao.cards.model import Card
from kabao.cards.ranges import (
    LOCATION_TAKEN,
    NOT_IN_STOCK_HERE,
    Location,
    NewLocation,
    Place,
    Range,
    RangeState,
    check_span,
    within,
)
from kabao.ledger.model import STALE_ROOT
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

RULE = "ATK-12"
"""The row behind all of this: plastic is worth nothing until it is activated
at the till it was assigned to."""


class Places:
    """Locations, and the ranges of serials that lie there.

    Every change of a batch's ranges is made under the lock on the batch's row;
    an activation shares that lock, so cards cannot leave a store on paper
    while they are sold there.
    """

    def __init__(self, org: Org, merchants: Merchants, ids: Ids, clock: Clock) -> None:
        self._org, self._merchants, self._ids, self._clock = org, merchants, ids, clock

    # --- locations ----------------------------------------------------------------

    async def add_location(self, conn: Conn, new: NewLocation) -> Location:
        """A place that may hold cards.

        Raises:
            KabaoError: `invalid`, `not_found` (company, store, terminal),
                `location_taken` (its name, store or till has one).
        """
        store, terminal = self._check_place(new)
        if self._org.company(new.company) is None:
            raise NOT_FOUND.error("There is no such company.", field="company")
        location = Location(
            id=self._ids.new(),
            company=new.company,
            kind=new.kind,
            name=new.name,
            store=store,
            terminal=terminal,
            created_at=now(self._clock),
        )
        if not await sql.insert_location(conn, location):
            raise LOCATION_TAKEN.error(field="name")
        return location

    def _check_place(self, new: NewLocation) -> tuple[str | None, str | None]:
        """The store and terminal a location stands for, checked against its kind."""
        if new.kind in {Place.FACTORY, Place.HEADQUARTERS}:
            if new.store is not None or new.terminal is not None:
                raise INVALID.error(f"A {new.kind} is no store.", field="store")
            return None, None
        if new.store is None or (new.kind is Place.TILL) != (new.terminal is not None):
            field = "store" if new.store is None else "terminal"
            raise INVALID.error(f"A {new.kind} names its store, a till its terminal.", field=field)
        store = self._org.store(new.store)
        if store is None or store.company != new.company:
            raise NOT_FOUND.error("There is no such store of this company.", field="store")
        self._merchants.till(new.store, new.terminal, None)
        return new.store, new.terminal

    async def location(self, conn: Conn, ident: str, field: str | None = None) -> Location:
        """A location. Raises `not_found`."""
        found = (await sql.locations(conn, [ident])).get(ident)
        if found is None:
            raise NOT_FOUND.error("There is no such location.", field=field)
        return found

    async def locations(self, conn: Conn, ids: Collection[str]) -> dict[str, Location]:
        """Locations by id."""
        return await sql.locations(conn, ids)

    async def list_locations(
        self,
        conn: Conn,
        *,
        companies: Collection[str] | None,
        stores: Collection[str] | None,
        after: str | None,
        limit: int,
    ) -> list[Location]:
        """Locations in id order, of these companies and stores unless None."""
        return await sql.list_locations(
            conn, companies=companies, stores=stores, after=after, limit=limit
        )

    # --- ranges -----------------------------------------------------------------------

    async def list_ranges(
        self,
        conn: Conn,
        *,
        locations: Collection[str] | None,
        batch: str | None,
        after: tuple[str, int] | None,
        limit: int,
    ) -> list[sql.Stocked]:
        """Ranges by batch and serial with the cards still in stock."""
        return await sql.list_ranges(
            conn, locations=locations, batch=batch, after=after, limit=limit
        )

    async def where(self, conn: Conn, batch: str, first: int, last: int) -> list[Range]:
        """Where these serials are, for whoever is about to move them and must be
        allowed to: nobody else moves the batch until the transaction ends.

        Raises `not_found`, `invalid`, `stock_range_unknown`.
        """
        check_span(first, last)
        return within(await self._opened(conn, batch, first, last), first, last)

    async def require_here(self, conn: Conn, card: Card, by: By) -> None:
        """A plastic card may be activated only out of the stock of this place.

        In a store: from the store's or this till's own stock. Without a store
        (a company's own key): from its headquarters, for corporate orders.
        Keeps the card's batch in place until the transaction ends.

        Raises:
            KabaoError: `card_not_in_stock_here`, `card_changed`.
        """
        place = await self._place_of(conn, card)
        await self._check_still(conn, card)
        here = place is not None and (
            (place.kind is Place.STORE and place.store == by.store and by.terminal is not None)
            or (place.kind is Place.TILL and place.terminal == by.terminal)
            or (
                place.kind is Place.HEADQUARTERS
                and by.store is None
                and place.company == by.company
            )
        )
        if not here:
            raise NOT_IN_STOCK_HERE.error(rule=RULE)

    async def keep_still(self, conn: Conn, card: Card) -> None:
        """Keep stock from changing a card that was made in a batch, until the
        transaction ends. Raises `card_changed` when it has already.
        """
        if card.batch is not None:
            await sql.hold_batch(conn, card.batch)
            await self._check_still(conn, card)

    async def _check_still(self, conn: Conn, card: Card) -> None:
        """Whether a card is as it was read before its batch was held."""
        if await sql.state_of(conn, card.id) != card.state:
            raise STALE_ROOT.error()

    async def _place_of(self, conn: Conn, card: Card) -> Location | None:
        """Where the card lies in stock; None when it travels, is missing or unknown."""
        ident = card.location
        if card.batch is not None and card.serial is not None:
            made = await sql.hold_batch(conn, card.batch)
            assert made is not None, "a serial has a batch"
            found = await self._ranges(conn, made, card.serial, card.serial)
            lies = found and found[0].state is RangeState.IN_PLACE
            ident = found[0].location if lies else None
        if ident is None:
            return None
        return (await sql.locations(conn, [ident])).get(ident)

    # --- inside ---------------------------------------------------------------------------

    async def _locked(self, conn: Conn, batch: str) -> sql.StockBatch:
        made = await sql.lock_batch(conn, batch)
        if made is None or made.carrier != "physical":
            raise NOT_FOUND.error("There is no such batch of plastic.", field="batch")
        return made

    async def _opened(self, conn: Conn, batch: str, first: int, last: int) -> list[Range]:
        """The ranges around these serials, under the batch's lock. A batch that
        was issued straight to a location enters stock there when first touched.
        """
        return await self._ranges(conn, await self._locked(conn, batch), first - 1, last + 1)

    async def _ranges(self, conn: Conn, made: sql.StockBatch, first: int, last: int) -> list[Range]:
        found = await sql.ranges(conn, made.id, first, last)
        if not found and made.location is not None and not await sql.has_ranges(conn, made.id):
            found = [Range(made.id, 1, made.requested, made.location, RangeState.IN_PLACE)]
        return found
