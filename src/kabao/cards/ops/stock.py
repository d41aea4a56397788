"""Stock of plastic: who handed it to whom, what was counted, what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from kabao.base import outbox
from kabao.base.clock import now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.outbox import Pending
from kabao.cards import sql_stock as sql
from kabao.cards.claims import By
from kabao.cards.ops.places import Places
from kabao.cards.ranges import (
    HANDOVER_OVER,
    SAME_PERSON,
    SPANS_MAX,
    STOCK_DIFFERS,
    STOCK_MOVING,
    STOCK_UNKNOWN,
    Handover,
    HandoverState,
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


class Stock(Places):
    """Taking in, hand-overs in two steps, counts, losses. One per process."""

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
        if batch is not None and await sql.hold_batch(conn, batch) is None:
            raise NOT_FOUND.error("There is no such batch.", field="batch")
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
