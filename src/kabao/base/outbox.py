"""The outbox: events written in the transaction of what they tell about.

A reader follows (xid, n). It never passes a transaction that is still open:
it reads only below the oldest running one, so an event that commits late is
never skipped (requirement T-19, invariant I-7). Order per root is `root_seq`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import (
    Conn,
    Statements,
    fetch_all,
    fetch_value,
    in_step,
    number_array,
    quoted_array,
    uuid_array,
)


class Pending(msgspec.Struct, frozen=True):
    """An event about to be written. `payload` is a Struct or dict."""

    type: str
    payload: Any
    version: int = 1
    root: str | None = None
    root_seq: int | None = None


class Written(msgspec.Struct, frozen=True):
    """An event as a reader gets it. (`xid`, `n`) is its position."""

    xid: str
    n: int
    root: str | None
    root_seq: int | None
    type: str
    version: int
    payload: Any
    recorded_at: Any


Position = tuple[str, int]
"""(`xid`, `n`) of an event: a reader's place."""

BEGINNING: Position = ("0", 0)

_WRITE: LiteralString = """
insert into base.outbox (root, root_seq, type, version, payload, recorded_at)
select root, root_seq, type, version, payload, %s
from """ + in_step(
    "e",
    "root uuid, root_seq bigint, type text, version bigint, payload json",
)

_encode = msgspec.json.Encoder().encode


async def write(conn: Statements, events: Sequence[Pending], recorded_us: int) -> None:
    """Write events in the caller's transaction."""
    if not events:
        return
    await conn.execute(
        _WRITE,
        [
            from_us(recorded_us),
            uuid_array([e.root for e in events]),
            number_array([e.root_seq for e in events]),
            quoted_array([e.type for e in events]),
            number_array([e.version for e in events]),
            quoted_array([_encode(e.payload).decode() for e in events]),
        ],
    )


OVERLAP_XIDS = 50_000
"""How far apart two transactions that overlapped can be: far more than happens
within the seconds a transaction may last.
"""

_PENDING: LiteralString = """
select o.xid::text as xid, o.n, o.root, o.root_seq, o.type, o.version, o.payload, o.recorded_at
from base.outbox o
where (o.xid, o.n) > (%(xid)s::text::xid8, %(n)s)
  and (%(end_xid)s::text is null
       or (o.xid, o.n) <= (%(end_xid)s::text::xid8, %(end_n)s::bigint))
  and o.xid < pg_snapshot_xmin(pg_current_snapshot())
order by o.xid, o.n limit %(limit)s
"""


async def read(conn: Conn, reader: str, limit: int = 500) -> list[Written]:
    """The next events for a reader, about `limit`; empty when it has caught up.

    The events of one root come in the order of `root_seq`. A transaction can get
    its number before, and a root's lock after, another one that commits first: a
    page reaches as far as an event needs that comes before one of its own, and
    stops where such an event may not be read yet.
    """
    start = (
        await (
            await conn.execute(
                "select xid::text, n from base.outbox_reader where name = %s", [reader]
            )
        ).fetchone()
        or BEGINNING
    )
    return await read_after(conn, start, limit)


async def read_after(conn: Conn, start: Position, limit: int) -> list[Written]:
    """As `read`, for whoever remembers a place on their own."""
    page = await _between(conn, start, None, limit)
    while page and (late := await _predecessors_behind(conn, page)):
        held = {event.root: event.root_seq for event in late if not event.ready}
        if held:
            page = page[: next(n for n, event in enumerate(page) if _waits(event, held))]
        else:
            page += await _between(conn, (page[-1].xid, page[-1].n), (late[0].xid, late[0].n), None)
    return _in_order(page)


def _waits(event: Written, held: dict[str, int]) -> bool:
    return event.root in held and (event.root_seq or 0) > held[event.root]


async def _between(
    conn: Conn, start: Position, end: Position | None, limit: int | None
) -> list[Written]:
    end_xid, end_n = end or (None, None)
    where = {"xid": start[0], "n": start[1], "end_xid": end_xid, "end_n": end_n, "limit": limit}
    return await fetch_all(conn, Written, _PENDING, where)


class _Late(msgspec.Struct, frozen=True):
    """An event behind a page that belongs before one of the page's."""

    xid: str
    n: int
    root: str
    root_seq: int
    ready: bool
    """Whether it may be read: no older transaction is still open."""


async def _predecessors_behind(conn: Conn, page: list[Written]) -> list[_Late]:
    """The last one first."""
    newest: dict[str, int] = {}
    for event in page:
        if event.root is not None and event.root_seq is not None:
            newest[event.root] = max(newest.get(event.root, 0), event.root_seq)
    return await fetch_all(
        conn,
        _Late,
        """
        select o.xid::text as xid, o.n, o.root, o.root_seq,
          o.xid < pg_snapshot_xmin(pg_current_snapshot()) as ready
        from base.outbox o
        join unnest(%(roots)s::uuid[], %(newest)s::bigint[]) as p (root, newest)
          on o.root = p.root and o.root_seq < p.newest
        where (o.xid, o.n) > (%(xid)s::text::xid8, %(n)s)
          and o.xid <= (%(xid)s::bigint + %(overlap)s)::text::xid8
        order by o.xid desc, o.n desc
        """,
        {
            "roots": list(newest),
            "newest": list(newest.values()),
            "xid": page[-1].xid,
            "n": page[-1].n,
            "overlap": OVERLAP_XIDS,
        },
    )


def _in_order(page: list[Written]) -> list[Written]:
    """The page with every root's events in their order, each in a place of that root.

    The positions go with the places, so that the last event is the reader's place.
    """
    places: dict[str, list[int]] = {}
    for place, event in enumerate(page):
        if event.root is not None:
            places.setdefault(event.root, []).append(place)
    ordered = list(page)
    for root_places in places.values():
        events = sorted((page[place] for place in root_places), key=lambda e: e.root_seq or 0)
        for place, event in zip(root_places, events, strict=True):
            ordered[place] = msgspec.structs.replace(event, xid=page[place].xid, n=page[place].n)
    return ordered


async def advance(conn: Conn, reader: str, last: Written) -> None:
    """Remember how far a reader has come, in the transaction of its own work."""
    await move(conn, reader, (last.xid, last.n))


async def move(conn: Conn, reader: str, place: Position) -> None:
    """The same, to a place."""
    await conn.execute(
        """
        insert into base.outbox_reader (name, xid, n) values (%s, %s::text::xid8, %s)
        on conflict (name) do update set xid = excluded.xid, n = excluded.n
        """,
        [reader, *place],
    )


async def newest(conn: Conn) -> Position | None:
    """The place of the last event a reader may see now."""
    found: Position | None = await (
        await conn.execute(
            """
            select xid::text, n from base.outbox
            where xid < pg_snapshot_xmin(pg_current_snapshot()) order by xid desc, n desc limit 1
            """
        )
    ).fetchone()
    return found


async def is_place(conn: Conn, place: Position) -> bool:
    """Whether an event can stand there: its transaction has begun. A place that was made up,
    or comes from a database that was since restored, would hide everything before it.
    """
    found = await fetch_value(
        conn, "select %s::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())", [place[0]]
    )
    return bool(found)


async def unread_since(conn: Conn) -> dict[str, datetime | None]:
    """For each reader, when the first event was recorded that it has not read; None: it has all."""
    found = await conn.execute(
        """
        select r.name, (select o.recorded_at from base.outbox o
          where (o.xid, o.n) > (r.xid, r.n) order by o.xid, o.n limit 1)
        from base.outbox_reader r
        """
    )
    return dict(await found.fetchall())


async def before(conn: Conn, at: datetime) -> Position:
    """A place before every event recorded at that moment or later, and not long before it.

    There is no index on the moment, which would cost every payment: transaction
    ids rise with it but for transactions that overlap, so it is found by halving.
    """
    bounds = await (await conn.execute(_BOUNDS)).fetchone()
    if bounds is None or bounds[0] is None:
        return BEGINNING
    low, high, wanted = int(bounds[0]), int(bounds[1]) + 1, at - OVERLAP
    while low < high:
        middle = (low + high) // 2
        found = await (await conn.execute(_NEXT, [str(middle)])).fetchone()
        if found is None or found[0] >= wanted:
            high = middle
        else:
            low = middle + 1
    return str(max(low - 1, 0)), 2**63 - 1


OVERLAP = timedelta(minutes=1)
"""More than a transaction may last."""

_BOUNDS: LiteralString = """
select (select xid::text from base.outbox order by xid, n limit 1),
  (select xid::text from base.outbox order by xid desc, n desc limit 1)
"""
_NEXT: LiteralString = """
select recorded_at from base.outbox where xid >= %s::text::xid8 order by xid, n limit 1
"""
