"""Statements about sessions and entries; `sql_batches` has those about settlements."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from kabao.base.db import Conn, fetch_one, uuid_array


class SessionRow(msgspec.Struct, frozen=True):
    """A terminal's session as stored; `proven` and `fresh` are sealed key pairs."""

    terminal: str
    algorithm: str
    tmk_version: int
    proven: bytes | None
    fresh: bytes | None
    cashier: str | None
    batch: int
    settled: bool
    signed_in: bool
    revision: int


async def _rows(conn: Conn, query: LiteralString, params: list[Any]) -> list[Any]:
    return list(await (await conn.execute(query, params)).fetchall())


_SESSION = (
    "terminal, algorithm, tmk_version, proven, fresh, cashier, batch, settled, signed_in, revision"
)


async def session(conn: Conn, terminal: str) -> SessionRow | None:
    """A terminal's session."""
    return await fetch_one(
        conn,
        SessionRow,
        f"select {_SESSION} from pos.session where terminal = %s",  # noqa: S608 - constant
        [terminal],
    )


async def lock_session(conn: Conn, terminal: str) -> SessionRow | None:
    """A terminal's session, locked: settlements of one terminal come one after the other."""
    return await fetch_one(
        conn,
        SessionRow,
        f"select {_SESSION} from pos.session where terminal = %s for update",  # noqa: S608 - as above
        [terminal],
    )


async def sign_in(
    conn: Conn,
    terminal: str,
    algorithm: str,
    tmk_version: int,
    fresh: bytes,
    cashier: str | None,
    at: datetime,
) -> SessionRow:
    """Fresh keys beside the proven ones, which go only with the master key they came under;
    the next batch if the last one is settled.
    """
    found = await fetch_one(
        conn,
        SessionRow,
        f"""
        insert into pos.session as s (terminal, algorithm, tmk_version, fresh, cashier, batch,
          settled, signed_in, revision, changed_at)
        values (%s, %s, %s, %s, %s, 1, false, true, 1, %s)
        on conflict (terminal) do update set
          proven = case when s.tmk_version = excluded.tmk_version then s.proven end,
          algorithm = excluded.algorithm, tmk_version = excluded.tmk_version,
          fresh = excluded.fresh, cashier = excluded.cashier,
          batch = case when s.settled then s.batch %% 999999 + 1 else s.batch end,
          settled = false, signed_in = true, revision = s.revision + 1,
          changed_at = excluded.changed_at
        returning {_SESSION}
        """,  # noqa: S608 - constant
        [terminal, algorithm, tmk_version, fresh, cashier, at],
    )
    assert found is not None, "an upsert returns its row"
    return found


async def prove(conn: Conn, terminal: str, fresh: bytes, at: datetime) -> None:
    """The fresh keys were used rightly: from now on only a new proof displaces them."""
    await conn.execute(
        "update pos.session set proven = fresh, fresh = null, revision = revision + 1,"
        " changed_at = %s where terminal = %s and fresh = %s",
        [at, terminal, fresh],
    )


async def end_session(conn: Conn, terminal: str, at: datetime, *, settled: bool) -> None:
    """The terminal must sign in again; with `settled`, into the next batch."""
    await conn.execute(
        "update pos.session set signed_in = false, settled = settled or %s,"
        " revision = revision + 1, changed_at = %s where terminal = %s",
        [settled, at, terminal],
    )


async def touch_session(conn: Conn, terminal: str, at: datetime) -> None:
    """Let every process read a terminal's session again."""
    await conn.execute(
        "update pos.session set revision = revision + 1, changed_at = %s where terminal = %s",
        [at, terminal],
    )


async def unsettled(conn: Conn) -> list[tuple[str, int]]:
    """Terminals and their batches that are open."""
    return await _rows(conn, "select terminal, batch from pos.session where not settled", [])


async def revisions_since(
    conn: Conn, since: datetime, terminals: Collection[str]
) -> list[tuple[str, int]]:
    """Which of these sessions changed since, and their revisions now."""
    return await _rows(
        conn,
        "select terminal, revision from pos.session"
        " where changed_at >= %s and terminal = any(%s::uuid[])",
        [since, uuid_array(list(terminals))],
    )


# --- entries ----------------------------------------------------------------------------------


class EntryRow(msgspec.Struct, frozen=True):
    """What a till asked for, as stored."""

    verb: str
    mac: bytes
    state: str
    amount_fen: int
    subject: str | None
    reply: str | None


Place = tuple[str, int, int]
"""Terminal, batch and trace."""


async def claim(
    conn: Conn,
    place: Place,
    verb: str,
    mac: bytes,
    at: datetime,
    *,
    amount_fen: int = 0,
    state: str = "open",
) -> EntryRow | None:
    """Claim a place; what was there before, if anything was, locked."""
    made = await conn.execute(
        "insert into pos.entry (terminal, batch, trace, verb, mac, state, amount_fen, created_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [*place, verb, mac, state, amount_fen, at],
    )
    if made.rowcount:
        return None
    return await fetch_one(
        conn,
        EntryRow,
        "select verb, mac, state, amount_fen, subject, reply from pos.entry"
        " where terminal = %s and batch = %s and trace = %s for update",
        list(place),
    )


async def entry(conn: Conn, place: Place) -> EntryRow | None:
    """What stands at a place."""
    return await fetch_one(
        conn,
        EntryRow,
        "select verb, mac, state, amount_fen, subject, reply from pos.entry"
        " where terminal = %s and batch = %s and trace = %s",
        list(place),
    )


async def close_entry(
    conn: Conn, place: Place, state: str, amount_fen: int, subject: str | None, reply: str | None
) -> bool:
    """What came of it; False if that was told before. Done at one process outweighs
    refused at another.
    """
    closed = await conn.execute(
        "update pos.entry set state = %(state)s, amount_fen = %(amount)s, subject = %(subject)s,"
        " reply = %(reply)s"
        " where terminal = %(terminal)s and batch = %(batch)s and trace = %(trace)s"
        " and (state = 'open' or (state = 'refused' and %(state)s = 'done'))",
        {
            "terminal": place[0],
            "batch": place[1],
            "trace": place[2],
            "state": state,
            "amount": amount_fen,
            "subject": subject,
            "reply": reply,
        },
    )
    return closed.rowcount == 1


async def bar_entry(conn: Conn, place: Place) -> None:
    """It was reversed before it was done."""
    await conn.execute(
        "update pos.entry set state = 'barred'"
        " where terminal = %s and batch = %s and trace = %s and state = 'open'",
        list(place),
    )


async def undo_entry(conn: Conn, place: Place) -> None:
    """It was reversed, and counts no more."""
    await conn.execute(
        "update pos.entry set state = 'undone' where terminal = %s and batch = %s and trace = %s",
        list(place),
    )


async def completed(conn: Conn, terminal: str, batch: int, payment: str) -> int | None:
    """What a completion in this batch took of a hold; None if there is none."""
    cursor = await conn.execute(
        "select amount_fen from pos.entry where terminal = %s and batch = %s"
        " and verb = 'completion' and state = 'done' and subject = %s",
        [terminal, batch, payment],
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def entries(conn: Conn, terminal: str, batch: int) -> list[tuple[int, str, str, int]]:
    """Trace, verb, state and amount of a batch's entries."""
    return await _rows(
        conn,
        "select trace, verb, state, amount_fen from pos.entry where terminal = %s and batch = %s",
        [terminal, batch],
    )
