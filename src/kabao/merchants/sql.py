"""Every statement on the schema `merchants`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.merchants.model import Cashier, FeePlan, FeeTerm, Shift, Terminal

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
    certification = terminal.certification
    await conn.execute(
        "insert into merchants.terminal (id, store, terminal_no, model, certification_scheme,"
        " certification_no, certification_expires_on, state, created_at, revision)"
        " values (%(id)s, %(store)s, %(terminal_no)s, %(model)s, %(scheme)s, %(number)s,"
        " %(expires_on)s, %(state)s, %(created_at)s, %(revision)s)",
        asdict(terminal)
        | {
            "scheme": certification and certification.scheme,
            "number": certification and certification.number,
            "expires_on": certification and certification.expires_on,
        },
    )


async def update_terminal(conn: Conn, terminal: Terminal) -> None:
    """The terminal's state as it now is."""
    await conn.execute(
        "update merchants.terminal set state = %s, revision = %s where id = %s",
        [terminal.state, terminal.revision, terminal.id],
    )


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
        {"stores": _array(stores), "after": after, "limit": limit},
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
    """The cashier's role and state as they now are."""
    await conn.execute(
        "update merchants.cashier set role = %s, state = %s, revision = %s where id = %s",
        [cashier.role, cashier.state, cashier.revision, cashier.id],
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
        {"stores": _array(stores), "after": after, "limit": limit},
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


async def open_shift_of(conn: Conn, cashier: str) -> Shift | None:
    """The shift a cashier has under way."""
    row = await fetch_one(
        conn,
        dict,
        "select * from merchants.shift where cashier = %s and closed_at is null",
        [cashier],
    )
    return convert(row, Shift | None)


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
            "stores": _array(stores),
            "cashier": cashier,
            "only_open": only_open,
            "after": after,
            "limit": limit,
        },
    )
    return convert(rows, list[Shift])


# --- fees -------------------------------------------------------------------


async def plans_since(conn: Conn, revision: int) -> list[FeePlan]:
    """Fee plans made after a revision."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.fee_plan where revision > %s", [revision]
    )
    return convert(rows, list[FeePlan])


async def terms_since(conn: Conn, revision: int) -> list[FeeTerm]:
    """Fee terms set after a revision."""
    rows = await fetch_all(
        conn, dict, "select * from merchants.fee_term where revision > %s", [revision]
    )
    return convert(rows, list[FeeTerm])


async def plan(conn: Conn, ident: str) -> FeePlan | None:
    """One fee plan."""
    row = await fetch_one(conn, dict, "select * from merchants.fee_plan where id = %s", [ident])
    return convert(row, FeePlan | None)


async def insert_plan(conn: Conn, plan: FeePlan) -> None:
    """A new fee plan."""
    await conn.execute(
        "insert into merchants.fee_plan (id, company, name, rate_bp, per_item_fen, min_fen,"
        " max_fen, rounding, created_at, revision) values (%(id)s, %(company)s, %(name)s,"
        " %(rate_bp)s, %(per_item_fen)s, %(min_fen)s, %(max_fen)s, %(rounding)s, %(created_at)s,"
        " %(revision)s)",
        asdict(plan),
    )


async def list_plans(
    conn: Conn, *, companies: Collection[str] | None, after: str | None, limit: int
) -> list[FeePlan]:
    """Fee plans in id order, at most `limit`, of these companies unless None."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.fee_plan"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {"companies": _array(companies), "after": after, "limit": limit},
    )
    return convert(rows, list[FeePlan])


async def put_term(conn: Conn, term: FeeTerm) -> None:
    """Put a store under a plan from a day on; a term set before for that day gives way."""
    await conn.execute(
        "insert into merchants.fee_term (store, effective_from, plan, created_at, revision)"
        " values (%(store)s, %(effective_from)s, %(plan)s, %(created_at)s, %(revision)s)"
        " on conflict (store, effective_from) do update set plan = excluded.plan,"
        " created_at = excluded.created_at, revision = excluded.revision",
        asdict(term),
    )


async def has_term(conn: Conn, store: str, day: date) -> bool:
    """Whether a term of the store begins on this day."""
    found = await fetch_value(
        conn,
        "select 1 from merchants.fee_term where store = %s and effective_from = %s",
        [store, day],
    )
    return found is not None


async def terms_of(conn: Conn, store: str, *, after: date | None, limit: int) -> list[FeeTerm]:
    """A store's fee terms by their first day, at most `limit`."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from merchants.fee_term where store = %(store)s"
        " and (%(after)s::date is null or effective_from > %(after)s::date)"
        " order by effective_from limit %(limit)s",
        {"store": store, "after": after, "limit": limit},
    )
    return convert(rows, list[FeeTerm])


def _array(ids: Collection[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)
