"""Statements on terminals, cashiers and shifts, and the revision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.merchants.model import Cashier, Shift, Terminal

_Row = dict[str, Any]


async def next_revision(conn: Conn) -> int:
    """Raise the revision, and hold its row until the transaction ends: one change at a time."""
    revision: int = await fetch_value(
        conn,
        "insert into merchants.revision as r (id, revision) values (1, 1)"
        " on conflict (id) do update set revision = r.revision + 1 returning r.revision",
    )
    return revision


async def current_revision(conn: Conn) -> int:
    """The revision of the slice; 0 when nothing was ever changed."""
    return await fetch_value(conn, "select revision from merchants.revision") or 0


# --- terminals --------------------------------------------------------------


def _terminal(row: _Row) -> Terminal:
    certification = None
    if row["certification_scheme"] is not None:
        certification = {
            "scheme": row["certification_scheme"],
            "number": row["certification_no"],
            "expires_on": row["certification_expires_on"],
        }
    return convert(row | {"certification": certification}, Terminal)


async def terminals_since(conn: Conn, revision: int) -> list[Terminal]:
    """Terminals changed after a revision."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.terminal where revision > %s", [revision]
    )
    return [_terminal(row) for row in rows]


async def terminal(conn: Conn, ident: str) -> Terminal | None:
    """One terminal."""
    row = await fetch_one(conn, dict, "select * from merchants.terminal where id = %s", [ident])
    return None if row is None else _terminal(row)


async def terminal_no_taken(conn: Conn, store: str, terminal_no: str) -> bool:
    """Whether the store has a terminal of this number."""
    found = await fetch_value(
        conn,
        "select 1 from merchants.terminal where store = %s and terminal_no = %s",
        [store, terminal_no],
    )
    return found is not None


async def insert_terminal(conn: Conn, terminal: Terminal) -> None:
    """A new terminal."""
    await conn.execute(
        "insert into merchants.terminal (id, store, terminal_no, model, certification_scheme,"
        " certification_no, certification_expires_on, state, created_at, revision, kind)"
        " values (%(id)s, %(store)s, %(terminal_no)s, %(model)s, %(scheme)s, %(number)s,"
        " %(expires_on)s, %(state)s, %(created_at)s, %(revision)s, %(kind)s)",
        _named(terminal),
    )


async def update_terminal(conn: Conn, terminal: Terminal) -> None:
    """The terminal's number, state and certification as they now are."""
    await conn.execute(
        "update merchants.terminal set terminal_no = %(terminal_no)s, state = %(state)s,"
        " certification_scheme = %(scheme)s, certification_no = %(number)s,"
        " certification_expires_on = %(expires_on)s, revision = %(revision)s where id = %(id)s",
        _named(terminal),
    )


def _named(terminal: Terminal) -> dict[str, Any]:
    certification = terminal.certification
    return asdict(terminal) | {
        "scheme": certification and certification.scheme,
        "number": certification and certification.number,
        "expires_on": certification and certification.expires_on,
    }


async def list_terminals(
    conn: Conn, *, stores: Collection[str] | None, after: str | None, limit: int
) -> list[Terminal]:
    """Terminals in id order, at most `limit`, of these stores unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.terminal"
        " where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"stores": array_of(stores), "after": after, "limit": limit},
    )
    return [_terminal(row) for row in rows]


# --- cashiers ---------------------------------------------------------------


async def cashiers_since(conn: Conn, revision: int) -> list[Cashier]:
    """Cashiers changed after a revision."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.cashier where revision > %s", [revision]
    )
    return convert(rows, list[Cashier])


async def cashier(conn: Conn, ident: str) -> Cashier | None:
    """One cashier."""
    row = await fetch_one(conn, dict, "select * from merchants.cashier where id = %s", [ident])
    return convert(row, Cashier | None)


async def lock_cashier(conn: Conn, ident: str) -> Cashier | None:
    """One cashier, whom nobody else changes until the transaction ends.

    Cashiers are locked before shifts, and both before the revision: whoever
    counts a shift must not hold up the changes of every other store.
    """
    row = await fetch_one(
        conn, dict, "select * from merchants.cashier where id = %s for no key update", [ident]
    )
    return convert(row, Cashier | None)


async def sealed_names(conn: Conn, idents: Sequence[str]) -> dict[str, bytes]:
    """The sealed names of cashiers, by id."""
    rows = await conn.execute(
        "select id, name from merchants.cashier where id = any(%s::uuid[])", [list(idents)]
    )
    return dict(await rows.fetchall())


async def cashier_code_taken(conn: Conn, store: str, code: str) -> bool:
    """Whether the store has a cashier of this code."""
    found = await fetch_value(
        conn, "select 1 from merchants.cashier where store = %s and code = %s", [store, code]
    )
    return found is not None


async def insert_cashier(conn: Conn, cashier: Cashier, sealed_name: bytes) -> None:
    """A new cashier."""
    await conn.execute(
        "insert into merchants.cashier (id, store, code, name, role, state, created_at, revision)"
        " values (%(id)s, %(store)s, %(code)s, %(name)s, %(role)s, %(state)s, %(created_at)s,"
        " %(revision)s)",
        asdict(cashier) | {"name": sealed_name},
    )


async def update_cashier(conn: Conn, cashier: Cashier) -> None:
    """The cashier's role, customer and state as they now are."""
    await conn.execute(
        "update merchants.cashier set role = %s, customer = %s, state = %s, revision = %s"
        " where id = %s",
        [cashier.role, cashier.customer, cashier.state, cashier.revision, cashier.id],
    )


async def list_cashiers(
    conn: Conn, *, stores: Collection[str] | None, after: str | None, limit: int
) -> list[Cashier]:
    """Cashiers in id order, at most `limit`, of these stores unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.cashier"
        " where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"stores": array_of(stores), "after": after, "limit": limit},
    )
    return convert(rows, list[Cashier])


# --- shifts -----------------------------------------------------------------


async def open_shifts(conn: Conn) -> list[Shift]:
    """Every shift under way."""
    rows = await fetch_all(conn, dict, "select * from merchants.shift where closed_at is null")
    return convert(rows, list[Shift])


async def shifts_since(conn: Conn, revision: int) -> list[Shift]:
    """Shifts opened or closed after a revision, in that order."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.shift where revision > %s order by revision",
        [revision],
    )
    return convert(rows, list[Shift])


async def shift(conn: Conn, ident: str) -> Shift | None:
    """One shift."""
    row = await fetch_one(conn, dict, "select * from merchants.shift where id = %s", [ident])
    return convert(row, Shift | None)


async def lock_shift(conn: Conn, ident: str) -> Shift | None:
    """One shift, which nobody else closes until the transaction ends."""
    row = await fetch_one(
        conn, dict, "select * from merchants.shift where id = %s for no key update", [ident]
    )
    return convert(row, Shift | None)


async def open_shift_of(conn: Conn, cashier: str) -> Shift | None:
    """The shift a cashier has under way."""
    row = await fetch_one(
        conn,
        dict,
        "select * from merchants.shift where cashier = %s and closed_at is null",
        [cashier],
    )
    return convert(row, Shift | None)


async def cashiers_at(conn: Conn, terminal: str, at: datetime) -> list[str]:
    """Who had a shift at a terminal at a moment."""
    rows = await conn.execute(
        "select cashier from merchants.shift where terminal = %(terminal)s"
        " and opened_at <= %(at)s and (closed_at is null or closed_at >= %(at)s)",
        {"terminal": terminal, "at": at},
    )
    return [row[0] for row in await rows.fetchall()]


async def closed_since(conn: Conn, store: str, since: datetime) -> list[Shift]:
    """The shifts of a store that were closed at a moment or later."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.shift where store = %s and closed_at >= %s order by id",
        [store, since],
    )
    return convert(rows, list[Shift])


async def insert_shift(conn: Conn, shift: Shift) -> None:
    """A shift begins."""
    await conn.execute(
        "insert into merchants.shift (id, store, cashier, terminal, opened_at, closed_at, revision)"
        " values (%(id)s, %(store)s, %(cashier)s, %(terminal)s, %(opened_at)s, %(closed_at)s,"
        " %(revision)s)",
        asdict(shift),
    )


async def close_shift(conn: Conn, shift: Shift) -> None:
    """A shift ends."""
    await conn.execute(
        "update merchants.shift set closed_at = %s, revision = %s where id = %s",
        [shift.closed_at, shift.revision, shift.id],
    )


async def list_shifts(
    conn: Conn,
    *,
    stores: Collection[str] | None,
    cashier: str | None,
    only_open: bool,
    after: str | None,
    limit: int,
) -> list[Shift]:
    """Shifts in id order, at most `limit`, of these stores unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.shift"
        " where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(cashier)s::uuid is null or cashier = %(cashier)s::uuid)"
        " and (not %(only_open)s or closed_at is null)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "stores": array_of(stores),
            "cashier": cashier,
            "only_open": only_open,
            "after": after,
            "limit": limit,
        },
    )
    return convert(rows, list[Shift])


def array_of(ids: Collection[str] | None) -> list[str] | None:
    """A parameter that is an array of ids, or null for any."""
    return None if ids is None else list(ids)
