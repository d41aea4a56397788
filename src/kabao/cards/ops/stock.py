"""Stock of plastic: where it lies, who handed it to whom, what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import Ids
from kabao.base.outbox import Pending
from kabao.cards import sql_stock as sql
from kabao.cards.claims import By
from kabao.cards.model import Card
from kabao.cards.ranges import (
    HANDOVER_OVER,
    LOCATION_TAKEN,
    NOT_IN_STOCK_HERE,
    SAME_PERSON,
    SPANS_MAX,
    STOCK_DIFFERS,
    STOCK_MOVING,
    STOCK_UNKNOWN,
    Handover,
    HandoverState,
    Location,
    NewLocation,
    Place,
    Range,
    RangeState,
    Span,
    StockCount,
    check_missing,
    check_span,
    overlay,
    within,
)
from kabao.cards.states import CardState, Reason, Verb, step
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

RULE = "ATK-12"
"""The row behind all of this: plastic is worth nothing until it is activated
at the till it was assigned to."""


class Stock:
    """Locations, ranges of serials, hand-overs in two steps, counts, losses.

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

    async def take_in(self, conn: Conn, batch: str, location: str, by: By) -> Range:
        """A batch of fresh plastic arrives where it is first kept.

        Not needed for batches issued straight to a location. Raises
        `not_found`, `stock_moving` when it is in stock already.
        """
        made = await self._locked(conn, batch)
        if await sql.has_ranges(conn, batch):
            raise STOCK_MOVING.error("This batch is in stock already.", field="batch")
        place = await self.location(conn, location, "location")
        whole = Range(batch, 1, made.requested, place.id, RangeState.IN_PLACE)
        await sql.swap_ranges(conn, [], [whole])
        await self._tell(conn, "stock.taken_in", whole, by)
        return whole

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
            KabaoError: `card_not_in_stock_here`.
        """
        place = await self._place_of(conn, card)
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

    # --- hand-over ----------------------------------------------------------------------

    async def send(
        self, conn: Conn, batch: str, first: int, last: int, to_location: str, by: By
    ) -> Handover:
        """First step: somebody gives these serials away.

        Raises:
            KabaoError: `not_found`, `invalid`, `stock_range_unknown` (not all of
                them at one place), `stock_moving` (some travel or are missing).
        """
        check_span(first, last)
        old = await self._opened(conn, batch, first, last)
        source = _one_place(within(old, first, last))
        if source == to_location:
            raise INVALID.error("The cards are there already.", field="to")
        await self.location(conn, to_location, "to")
        count = await sql.count_in_stock(conn, batch, first, last)
        if count == 0:
            raise STOCK_UNKNOWN.error("All these cards are sold or missing.", field="first")
        handover = Handover(
            id=self._ids.new(),
            batch=batch,
            first=first,
            last=last,
            from_location=source,
            to_location=to_location,
            state=HandoverState.SENT,
            sent_count=count,
            received_count=None,
            sent_by=by.actor,
            sent_at=now(self._clock),
            ended_by=None,
            ended_at=None,
        )
        moving = Range(batch, first, last, source, RangeState.MOVING, handover.id)
        await sql.insert_handover(conn, handover)
        await sql.swap_ranges(conn, old, overlay(old, [moving]))
        await self._tell(conn, "stock.sent", moving, by)
        return handover

    async def receive(
        self, conn: Conn, ident: str, counted: int, missing: Sequence[Span], by: By
    ) -> Handover:
        """Second step: another person takes what has come, and counts it.

        Cards of the missing spans are blocked and stay with the sender's
        account. Raises `not_found`, `hand_over_ended`, `same_person`,
        `invalid`, `stock_count_differs`.
        """
        handover, old = await self._under_way(conn, ident)
        giver = await self.location(conn, handover.from_location)
        if by.actor == handover.sent_by and giver.kind is not Place.FACTORY:
            raise SAME_PERSON.error(rule="ATK-11")
        if len(missing) > SPANS_MAX:
            raise INVALID.error(f"At most {SPANS_MAX} spans.", field="missing")
        check_missing(missing, handover.first, handover.last)
        batch, at = handover.batch, now(self._clock)
        await self._block(conn, batch, missing, Reason.LOST_IN_STOCK, by)
        there = await sql.count_in_stock(conn, batch, handover.first, handover.last)
        if there != counted:
            raise STOCK_DIFFERS.error(
                f"{handover.sent_count} cards were sent; less the missing ones there are"
                f" {there}, not {counted}.",
                field="counted",
            )
        arrived = Range(
            batch, handover.first, handover.last, handover.to_location, RangeState.IN_PLACE
        )
        lost = [_missing(batch, span, handover.from_location) for span in missing]
        await sql.swap_ranges(conn, old, overlay(old, [arrived, *lost]))
        ended = replace(
            handover,
            state=HandoverState.RECEIVED,
            received_count=counted,
            ended_by=by.actor,
            ended_at=at,
        )
        await sql.end_handover(conn, ended)
        await self._tell(conn, "stock.received", arrived, by)
        return ended

    async def cancel(self, conn: Conn, ident: str, by: By) -> Handover:
        """The cards stay where they were after all. Raises `not_found`, `hand_over_ended`."""
        handover, old = await self._under_way(conn, ident)
        back = Range(
            handover.batch,
            handover.first,
            handover.last,
            handover.from_location,
            RangeState.IN_PLACE,
        )
        await sql.swap_ranges(conn, old, overlay(old, [back]))
        ended = replace(
            handover,
            state=HandoverState.CANCELLED,
            ended_by=by.actor,
            ended_at=now(self._clock),
        )
        await sql.end_handover(conn, ended)
        await self._tell(conn, "stock.send_cancelled", back, by)
        return ended

    async def handover(self, conn: Conn, ident: str) -> Handover:
        """A hand-over. Raises `not_found`."""
        found = await sql.handover(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such hand-over.")
        return found

    async def list_handovers(
        self,
        conn: Conn,
        *,
        locations: Collection[str] | None,
        state: HandoverState | None,
        after: str | None,
        limit: int,
    ) -> list[Handover]:
        """Hand-overs in id order, from or to these locations unless None."""
        return await sql.list_handovers(
            conn, locations=locations, state=state, after=after, limit=limit
        )

    # --- counting and losing ------------------------------------------------------------

    async def count(
        self, conn: Conn, location: str, batch: str | None, counted: int, note: str, by: By
    ) -> StockCount:
        """A stock-take: what should lie there and what does. It corrects nothing;
        a difference is explained by reporting serials as lost or found.

        Raises `not_found`.
        """
        await self.location(conn, location, "location")
        taken = StockCount(
            id=self._ids.new(),
            location=location,
            batch=batch,
            expected=await sql.expected_at(conn, location, batch),
            counted=counted,
            note=note,
            counted_by=by.actor,
            counted_at=now(self._clock),
        )
        await sql.insert_count(conn, taken)
        payload = {
            "count": taken.id,
            "location": location,
            "difference": taken.difference,
            "by": by.actor,
        }
        await outbox.write(conn, [Pending("stock.counted", payload)], self._clock.now_us())
        return taken

    async def list_counts(
        self, conn: Conn, location: str, *, after: str | None, limit: int
    ) -> list[StockCount]:
        """The stock-takes of a location in id order."""
        return await sql.list_counts(conn, location, after=after, limit=limit)

    async def lose(
        self, conn: Conn, batch: str, first: int, last: int, reason: Reason, by: By
    ) -> int:
        """These serials are gone: whichever is unsold can never be activated.

        Sold ones among them are not touched. Returns how many were blocked.
        Raises `not_found`, `invalid`, `stock_range_unknown`, `stock_moving`.
        """
        check_span(first, last)
        _, why = step(CardState.IN_STOCK, Verb.BLOCK, reason)
        old = await self._opened(conn, batch, first, last)
        source = _one_place(within(old, first, last))
        blocked = await self._block(conn, batch, [Span(first, last)], why, by)
        gone = _missing(batch, Span(first, last), source)
        await sql.swap_ranges(conn, old, overlay(old, [gone]))
        await self._tell(conn, "stock.lost", gone, by)
        return blocked

    async def find(self, conn: Conn, batch: str, first: int, last: int, by: By) -> int:
        """Missing serials are back where they were. Returns how many cards.

        Raises `not_found`, `invalid`, `stock_range_unknown` (not all missing).
        """
        check_span(first, last)
        found, why = step(CardState.BLOCKED, Verb.UNBLOCK)
        old = await self._opened(conn, batch, first, last)
        parts = within(old, first, last)
        if any(part.state is not RangeState.MISSING for part in parts):
            raise STOCK_UNKNOWN.error("Not all these cards are missing.", field="first")
        back = [replace(part, state=RangeState.IN_PLACE) for part in parts]
        await sql.swap_ranges(conn, old, overlay(old, back))
        count = await sql.shift_cards(
            conn,
            batch,
            [(first, last)],
            (Verb.UNBLOCK, why, CardState.BLOCKED, found.to),
            by.actor,
            now(self._clock),
        )
        for part in back:
            await self._tell(conn, "stock.found", part, by)
        return count

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

    async def _under_way(self, conn: Conn, ident: str) -> tuple[Handover, list[Range]]:
        """A hand-over that has not ended, and its ranges, under the batch's lock."""
        handover = await self.handover(conn, ident)
        old = await self._opened(conn, handover.batch, handover.first, handover.last)
        handover = await self.handover(conn, ident)
        if handover.state is not HandoverState.SENT:
            raise HANDOVER_OVER.error()
        return handover, old

    async def _block(
        self, conn: Conn, batch: str, spans: Sequence[Span], reason: Reason, by: By
    ) -> int:
        found, why = step(CardState.IN_STOCK, Verb.BLOCK, reason)
        return await sql.shift_cards(
            conn,
            batch,
            [(span.first, span.last) for span in spans],
            (Verb.BLOCK, why, CardState.IN_STOCK, found.to),
            by.actor,
            now(self._clock),
        )

    async def _tell(self, conn: Conn, event: str, place: Range, by: By) -> None:
        payload = {
            "batch": place.batch,
            "first": place.first,
            "last": place.last,
            "location": place.location,
            "hand_over": place.handover,
            "by": by.actor,
        }
        await outbox.write(conn, [Pending(event, payload)], self._clock.now_us())


def _missing(batch: str, span: Span, location: str) -> Range:
    return Range(batch, span.first, span.last, location, RangeState.MISSING)


def _one_place(parts: Sequence[Range]) -> str:
    """The one location where all these parts lie.

    Raises `stock_moving`, `stock_range_unknown`.
    """
    if any(part.state is not RangeState.IN_PLACE for part in parts):
        raise STOCK_MOVING.error()
    places = {part.location for part in parts}
    if len(places) > 1:
        raise STOCK_UNKNOWN.error("These serials lie at several places.", field="first")
    return places.pop()
