"""Statements of `kiosks`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import LiteralString

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.kiosks.model import Box, Credit, Event, Kiosk, Payout, Session

_SESSION: LiteralString = """
select id, terminal, store, company, card, last4, state, most_fen, stacked_fen, credited_fen,
  paid_fen, opened_at, last_at from kiosks.session
"""

_BOX: LiteralString = """
select id, terminal, store, opened_at, removed_at, counted_at, expected_fen, counted_fen
from kiosks.box
"""


async def lock_kiosk(conn: Conn, terminal: str) -> Kiosk:
    """A machine, whose events, visits and boxes nobody else changes until the transaction ends."""
    await conn.execute(
        "insert into kiosks.kiosk (terminal, next_sequence) values (%s, 1) on conflict do nothing",
        [terminal],
    )
    found = await fetch_one(
        conn, Kiosk, "select * from kiosks.kiosk where terminal = %s for update", [terminal]
    )
    assert found is not None, "it was just put there"
    return found


async def kiosk(conn: Conn, terminal: str) -> Kiosk:
    """How far a machine's events are known; none of a new one's."""
    found = await fetch_one(
        conn, Kiosk, "select * from kiosks.kiosk where terminal = %s", [terminal]
    )
    return found or Kiosk(terminal, 1, None)


async def update_kiosk(conn: Conn, kiosk: Kiosk) -> None:
    """Its events are known so far."""
    await conn.execute(
        "update kiosks.kiosk set next_sequence = %s, box = %s where terminal = %s",
        [kiosk.next_sequence, kiosk.box, kiosk.terminal],
    )


# --- events -----------------------------------------------------------------------------------


async def events(conn: Conn, terminal: str, sequences: Sequence[int]) -> dict[int, Event]:
    """Those of a machine's events that are known, by number."""
    rows = await fetch_all(
        conn,
        dict,
        """
        select terminal, sequence, type, value_fen, session, box,
          (extract(epoch from occurred_at) * 1000000)::bigint as occurred_us
        from kiosks.event where terminal = %s and sequence = any(%s::bigint[])
        """,
        [terminal, list(sequences)],
    )
    return {event.sequence: event for event in convert(rows, list[Event])}


async def insert_event(conn: Conn, event: Event, at: datetime) -> None:
    """Something happened to a machine."""
    await conn.execute(
        "insert into kiosks.event (terminal, sequence, type, value_fen, session, box, occurred_at,"
        " recorded_at) values (%(terminal)s, %(sequence)s, %(type)s, %(value_fen)s, %(session)s,"
        " %(box)s, %(occurred_at)s, %(at)s)",
        asdict(event) | {"occurred_at": from_us(event.occurred_us), "at": at},
    )


# --- sessions ---------------------------------------------------------------------------------


async def insert_session(conn: Conn, session: Session) -> None:
    """A visit begins."""
    await conn.execute(
        "insert into kiosks.session (id, terminal, store, company, card, last4, state, most_fen,"
        " stacked_fen, credited_fen, paid_fen, opened_at, last_at) values (%(id)s, %(terminal)s,"
        " %(store)s, %(company)s, %(card)s, %(last4)s, %(state)s, %(most_fen)s, %(stacked_fen)s,"
        " %(credited_fen)s, %(paid_fen)s, %(opened_at)s, %(last_at)s)",
        asdict(session),
    )


async def update_session(conn: Conn, session: Session) -> None:
    """What was stacked and credited, and where the visit stands."""
    await conn.execute(
        "update kiosks.session set state = %(state)s, stacked_fen = %(stacked_fen)s,"
        " credited_fen = %(credited_fen)s, paid_fen = %(paid_fen)s, last_at = %(last_at)s"
        " where id = %(id)s",
        asdict(session),
    )


async def session(conn: Conn, ident: str) -> Session | None:
    """A visit; its machine is locked by whoever changes it."""
    row = await fetch_one(conn, dict, _SESSION + "where id = %s", [ident])
    return convert(row, Session | None)


async def lock_session(conn: Conn, ident: str) -> Session | None:
    """A visit whose machine is locked."""
    found = await session(conn, ident)
    if found is None:
        return None
    await lock_kiosk(conn, found.terminal)
    return await session(conn, ident)


async def sessions(
    conn: Conn,
    stores: Collection[str] | None,
    terminal: str | None,
    state: str | None,
    before: str | None,
    limit: int,
) -> list[Session]:
    """Visits, newest first; `stores` None: of every store."""
    rows = await fetch_all(
        conn,
        dict,
        _SESSION
        + """
        where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(terminal)s::uuid is null or terminal = %(terminal)s)
          and (%(state)s::text is null or state = %(state)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "stores": None if stores is None else list(stores),
            "terminal": terminal,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Session])


async def open_sessions(conn: Conn, terminal: str) -> list[Session]:
    """Visits of a machine that nobody has finished."""
    rows = await fetch_all(
        conn, dict, _SESSION + "where terminal = %s and state = 'open' order by id", [terminal]
    )
    return convert(rows, list[Session])


async def idle(conn: Conn, before: datetime, limit: int) -> list[Session]:
    """Visits in which nothing has happened since, the longest idle first."""
    rows = await fetch_all(
        conn,
        dict,
        _SESSION + "where state = 'open' and last_at < %s order by last_at limit %s",
        [before, limit],
    )
    return convert(rows, list[Session])


async def insert_credit(conn: Conn, credit: Credit) -> None:
    """A visit's rest went onto a card."""
    await conn.execute(
        "insert into kiosks.credit (topup, session, amount_fen, by, reason, created_at)"
        " values (%(topup)s, %(session)s, %(amount_fen)s, %(by)s, %(reason)s, %(created_at)s)",
        asdict(credit),
    )


async def credits_of(conn: Conn, session: str) -> list[Credit]:
    """A visit's credits, oldest first."""
    return await fetch_all(
        conn, Credit, "select * from kiosks.credit where session = %s order by topup", [session]
    )


async def insert_payout(conn: Conn, payout: Payout) -> None:
    """A visit's rest was paid out."""
    await conn.execute(
        "insert into kiosks.payout (id, session, amount_fen, way, drawer_entry, payee, approval,"
        " by, reason, created_at) values (%(id)s, %(session)s, %(amount_fen)s, %(way)s,"
        " %(drawer_entry)s, %(payee)s, %(approval)s, %(by)s, %(reason)s, %(created_at)s)",
        asdict(payout),
    )


async def payouts_of(conn: Conn, session: str) -> list[Payout]:
    """What of a visit was paid out, oldest first."""
    rows = await fetch_all(
        conn, dict, "select * from kiosks.payout where session = %s order by id", [session]
    )
    return convert(rows, list[Payout])


# --- boxes ------------------------------------------------------------------------------------


async def insert_box(conn: Conn, box: Box) -> None:
    """The first note falls into a cassette."""
    await conn.execute(
        "insert into kiosks.box (id, terminal, store, opened_at) values (%s, %s, %s, %s)",
        [box.id, box.terminal, box.store, box.opened_at],
    )


async def remove_box(conn: Conn, ident: str, at: datetime) -> None:
    """A cassette was taken out."""
    await conn.execute("update kiosks.box set removed_at = %s where id = %s", [at, ident])


async def lock_box(conn: Conn, ident: str) -> Box | None:
    """A box, which nobody else counts until the transaction ends."""
    return await fetch_one(conn, Box, _BOX + "where id = %s for update", [ident])


async def box(conn: Conn, ident: str) -> Box | None:
    """A box."""
    return await fetch_one(conn, Box, _BOX + "where id = %s", [ident])


async def boxes(
    conn: Conn,
    stores: Collection[str] | None,
    terminal: str | None,
    before: str | None,
    limit: int,
) -> list[Box]:
    """Boxes, newest first; `stores` None: of every store."""
    return await fetch_all(
        conn,
        Box,
        _BOX
        + """
        where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(terminal)s::uuid is null or terminal = %(terminal)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "stores": None if stores is None else list(stores),
            "terminal": terminal,
            "before": before,
            "limit": limit,
        },
    )


async def notes_in(conn: Conn, box: str) -> dict[int, int]:
    """How many notes of each value were reported to have fallen into a box."""
    cursor = await conn.execute(
        "select value_fen, count(*) from kiosks.event where box = %s group by value_fen", [box]
    )
    return dict(await cursor.fetchall())


async def count_box(conn: Conn, box: Box, pieces: dict[int, int]) -> None:
    """A box was counted."""
    await conn.execute(
        "update kiosks.box set counted_at = %s, expected_fen = %s, counted_fen = %s,"
        " pieces = %s::json where id = %s",
        [
            box.counted_at,
            box.expected_fen,
            box.counted_fen,
            msgspec.json.encode(pieces).decode(),
            box.id,
        ],
    )
