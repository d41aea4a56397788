"""Every statement on locations, stock ranges, hand-overs and counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_value, text_array
from kabao.cards.ranges import Handover, Location, Range, StockCount
from kabao.cards.sql import row, rows

# --- locations ------------------------------------------------------------------

_LOCATION: LiteralString = (
    "select id, company, kind, name, store, terminal, created_at from cards.location"
)


async def insert_location(conn: Conn, new: Location) -> bool:
    """A new location; False when its name, store or terminal has one already."""
    cursor = await conn.execute(
        "insert into cards.location (id, company, kind, name, store, terminal, created_at)"
        " values (%(id)s, %(company)s, %(kind)s, %(name)s, %(store)s, %(terminal)s,"
        " %(created_at)s) on conflict do nothing",
        msgspec.structs.asdict(new),
    )
    return cursor.rowcount == 1


async def locations(conn: Conn, ids: Collection[str]) -> dict[str, Location]:
    """Locations by id."""
    found = await rows(
        conn, Location, _LOCATION + " where id = any(%s::uuid[])", [text_array(list(ids))]
    )
    return {location.id: location for location in found}


async def list_locations(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    stores: Collection[str] | None,
    after: str | None,
    limit: int,
) -> list[Location]:
    """Locations in id order, of these companies and stores unless None."""
    return await rows(
        conn,
        Location,
        _LOCATION + " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "companies": None if companies is None else text_array(list(companies)),
            "stores": None if stores is None else text_array(list(stores)),
            "after": after,
            "limit": limit,
        },
    )


# --- ranges -----------------------------------------------------------------------


class StockBatch(msgspec.Struct, frozen=True):
    """What stock needs to know of the batch that made the cards."""

    id: str
    programme: str
    carrier: str
    location: str | None
    requested: int


_BATCH: LiteralString = (
    "select id, programme, carrier, location, requested from cards.batch where id = %s"
)


async def lock_batch(conn: Conn, ident: str) -> StockBatch | None:
    """A batch, for whoever moves its cards: one move after another."""
    return await row(conn, StockBatch, _BATCH + " for update", [ident])


async def hold_batch(conn: Conn, ident: str) -> StockBatch | None:
    """A batch whose cards must stay where they are until this transaction ends."""
    return await row(conn, StockBatch, _BATCH + " for share", [ident])


_RANGE: LiteralString = (
    "select batch, first_serial as first, last_serial as last, location, state, handover"
    " from cards.stock_range"
)


async def ranges(conn: Conn, batch: str, first: int, last: int) -> list[Range]:
    """A batch's ranges that touch these serials, by first serial."""
    return await rows(
        conn,
        Range,
        _RANGE + " where batch = %s and first_serial <= %s and last_serial >= %s"
        " order by first_serial",
        [batch, last, first],
    )


async def has_ranges(conn: Conn, batch: str) -> bool:
    """Whether a batch was ever taken into stock."""
    return bool(
        await fetch_value(
            conn, "select exists (select from cards.stock_range where batch = %s)", [batch]
        )
    )


async def swap_ranges(conn: Conn, old: Sequence[Range], new: Sequence[Range]) -> None:
    """Put these ranges of one batch in the place of those."""
    if old:
        await conn.execute(
            "delete from cards.stock_range where batch = %s and first_serial = any(%s::int[])",
            [old[0].batch, text_array([r.first for r in old])],
        )
    await conn.execute(
        "insert into cards.stock_range (batch, first_serial, last_serial, location, state,"
        " handover) select * from unnest(%s::uuid[], %s::int[], %s::int[], %s::uuid[],"
        " %s::text[], %s::uuid[])",
        [
            text_array([r.batch for r in new]),
            text_array([r.first for r in new]),
            text_array([r.last for r in new]),
            text_array([r.location for r in new]),
            text_array([r.state.value for r in new]),
            text_array([r.handover for r in new]),
        ],
    )


class Stocked(msgspec.Struct, frozen=True):
    """A range with the number of its cards that are still in stock."""

    batch: str
    first: int
    last: int
    location: str
    state: str
    handover: str | None
    in_stock: int


async def list_ranges(
    conn: Conn,
    *,
    locations: Collection[str] | None,
    batch: str | None,
    after: tuple[str, int] | None,
    limit: int,
) -> list[Stocked]:
    """Ranges by batch and serial, counted, of these locations unless None."""
    return await rows(
        conn,
        Stocked,
        "select r.batch, r.first_serial as first, r.last_serial as last, r.location, r.state,"
        " r.handover, (select count(*) from cards.card c where c.batch = r.batch and c.serial"
        " between r.first_serial and r.last_serial and c.state = 'in_stock') as in_stock"
        " from cards.stock_range r"
        " where (%(locations)s::uuid[] is null or r.location = any(%(locations)s::uuid[]))"
        " and (%(batch)s::uuid is null or r.batch = %(batch)s::uuid)"
        " and (%(after_batch)s::uuid is null"
        "   or (r.batch, r.first_serial) > (%(after_batch)s::uuid, %(after_serial)s::int))"
        " order by r.batch, r.first_serial limit %(limit)s",
        {
            "locations": None if locations is None else text_array(list(locations)),
            "batch": batch,
            "after_batch": None if after is None else after[0],
            "after_serial": None if after is None else after[1],
            "limit": limit,
        },
    )


async def state_of(conn: Conn, card: str) -> str | None:
    """A card's state as it is now."""
    found = await fetch_value(conn, "select state from cards.card where id = %s", [card])
    return None if found is None else str(found)


# --- the cards of a range ------------------------------------------------------------


async def count_in_stock(conn: Conn, batch: str, first: int, last: int) -> int:
    """How many cards among these serials nobody has bought."""
    return int(
        await fetch_value(
            conn,
            "select count(*) from cards.card where batch = %s and serial between %s and %s"
            " and state = 'in_stock'",
            [batch, first, last],
        )
    )


async def expected_at(conn: Conn, location: str, batch: str | None) -> int:
    """How many cards should lie at a location, of one batch or of all."""
    return int(
        await fetch_value(
            conn,
            "select coalesce(sum((select count(*) from cards.card c where c.batch = r.batch"
            " and c.serial between r.first_serial and r.last_serial and c.state = 'in_stock')), 0)"
            " from cards.stock_range r where r.location = %s and r.state = 'in_place'"
            " and (%s::uuid is null or r.batch = %s::uuid)",
            [location, batch, batch],
        )
    )


async def shift_cards(
    conn: Conn,
    batch: str,
    spans: Sequence[tuple[int, int]],
    step: tuple[str, str, str, str],
    by: str,
    at: datetime,
) -> int:
    """Take every card of these serials that is in one state to another, on record.

    Args:
        step: verb, reason, from which state, to which.

    Returns the number of cards.
    """
    verb, reason, from_state, to_state = step
    cursor = await conn.execute(
        "with shifted as (update cards.card c set state = %(to)s, reason = %(reason)s,"
        " state_at = %(at)s from unnest(%(firsts)s::int[], %(lasts)s::int[]) as s (first, last)"
        " where c.batch = %(batch)s and c.serial between s.first and s.last"
        " and c.state = %(from)s returning c.id)"
        " insert into cards.card_change (card, verb, reason, from_state, to_state, basis,"
        " done_by, at) select id, %(verb)s, %(reason)s, %(from)s, %(to)s, 'staff', %(by)s, %(at)s"
        " from shifted",
        {
            "to": to_state,
            "reason": reason,
            "at": at,
            "firsts": text_array([first for first, _ in spans]),
            "lasts": text_array([last for _, last in spans]),
            "batch": batch,
            "from": from_state,
            "verb": verb,
            "by": by,
        },
    )
    return cursor.rowcount


# --- hand-overs and counts --------------------------------------------------------------

_HANDOVER: LiteralString = (
    "select id, batch, first_serial as first, last_serial as last, from_location, to_location,"
    " state, sent_count, received_count, sent_by, sent_at, ended_by, ended_at from cards.handover"
)


async def insert_handover(conn: Conn, new: Handover) -> None:
    """Cards are on their way."""
    await conn.execute(
        "insert into cards.handover (id, batch, first_serial, last_serial, from_location,"
        " to_location, state, sent_count, sent_by, sent_at) values (%(id)s, %(batch)s, %(first)s,"
        " %(last)s, %(from_location)s, %(to_location)s, %(state)s, %(sent_count)s, %(sent_by)s,"
        " %(sent_at)s)",
        msgspec.structs.asdict(new),
    )


async def handover(conn: Conn, ident: str) -> Handover | None:
    """A hand-over as it stands."""
    return await row(conn, Handover, _HANDOVER + " where id = %s", [ident])


async def end_handover(conn: Conn, ended: Handover) -> None:
    """A hand-over came to its end."""
    await conn.execute(
        "update cards.handover set state = %(state)s, received_count = %(received_count)s,"
        " ended_by = %(ended_by)s, ended_at = %(ended_at)s where id = %(id)s",
        msgspec.structs.asdict(ended),
    )


async def list_handovers(
    conn: Conn,
    *,
    locations: Collection[str] | None,
    state: str | None,
    after: str | None,
    limit: int,
) -> list[Handover]:
    """Hand-overs in id order, from or to these locations unless None."""
    return await rows(
        conn,
        Handover,
        _HANDOVER + " where (%(locations)s::uuid[] is null"
        "   or from_location = any(%(locations)s::uuid[])"
        "   or to_location = any(%(locations)s::uuid[]))"
        " and (%(state)s::text is null or state = %(state)s::text)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "locations": None if locations is None else text_array(list(locations)),
            "state": state,
            "after": after,
            "limit": limit,
        },
    )


async def insert_count(conn: Conn, new: StockCount) -> None:
    """A stock-take, for the record."""
    await conn.execute(
        "insert into cards.stock_count (id, location, batch, expected, counted, note, counted_by,"
        " counted_at) values (%(id)s, %(location)s, %(batch)s, %(expected)s, %(counted)s,"
        " %(note)s, %(counted_by)s, %(counted_at)s)",
        msgspec.structs.asdict(new),
    )


async def list_counts(
    conn: Conn, location: str, *, after: str | None, limit: int
) -> list[StockCount]:
    """The stock-takes of a location in id order."""
    return await rows(
        conn,
        StockCount,
        "select id, location, batch, expected, counted, note, counted_by, counted_at"
        " from cards.stock_count where location = %s and (%s::uuid is null or id > %s::uuid)"
        " order by id limit %s",
        [location, after, after, limit],
    )
