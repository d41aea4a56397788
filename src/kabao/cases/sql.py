"""Every statement on the schema `cases`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.cases.model import Case, CaseState, Note


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which cases a list is about. None means any."""

    companies: Collection[str] | None
    stores: Collection[str] | None
    state: CaseState | None = None
    kind: str | None = None
    subject: str | None = None
    overdue_at: datetime | None = None
    before: str | None = None
    limit: int = 50


async def insert(conn: Conn, case: Case) -> str | None:
    """Its id if it is new, else None."""
    found: str | None = await fetch_value(
        conn,
        'insert into cases."case" (id, kind, key, subject, company, store, facts, state,'
        " occurrences, opened_at, last_at, due_at)"
        " values (%(id)s, %(kind)s, %(key)s, %(subject)s, %(company)s, %(store)s, %(facts)s::json,"
        " %(state)s, %(occurrences)s, %(opened_at)s, %(last_at)s, %(due_at)s)"
        " on conflict (kind, key) do nothing returning id",
        asdict(case) | {"facts": msgspec.json.encode(case.facts).decode()},
    )
    return found


async def occur(conn: Conn, kind: str, key: str, at: datetime) -> str:
    """Count an occurrence of a case there is; its id."""
    found: str = await fetch_value(
        conn,
        'update cases."case" set occurrences = occurrences + 1, last_at = %s'
        " where kind = %s and key = %s returning id",
        [at, kind, key],
    )
    return found


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Case | None:
    """One case."""
    row = await fetch_one(
        conn,
        dict,
        'select * from cases."case" where id = %s for update'
        if lock
        else 'select * from cases."case" where id = %s',
        [ident],
    )
    return convert(row, Case | None)


async def lock_named(conn: Conn, kind: str, key: str) -> Case | None:
    """The case of a kind and key, which nobody else changes until the transaction ends."""
    row = await fetch_one(
        conn,
        dict,
        'select * from cases."case" where kind = %s and key = %s for update',
        [kind, key],
    )
    return convert(row, Case | None)


async def update(conn: Conn, case: Case) -> None:
    """Who took it, and what came of it."""
    await conn.execute(
        'update cases."case" set state = %(state)s, taken_by = %(taken_by)s,'
        " taken_name = %(taken_name)s, taken_at = %(taken_at)s, resolved_by = %(resolved_by)s,"
        " resolved_name = %(resolved_name)s, resolved_at = %(resolved_at)s,"
        " outcome = %(outcome)s where id = %(id)s",
        asdict(case) | {"facts": None},
    )


async def search(conn: Conn, wanted: Wanted) -> list[Case]:
    """Cases, newest first. A key for certain stores sees none that has no store."""
    rows = await fetch_all(
        conn,
        dict,
        'select * from cases."case"'
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(kind)s::text is null or kind = %(kind)s)"
        " and (%(subject)s::text is null or subject = %(subject)s)"
        " and (%(overdue_at)s::timestamptz is null"
        "   or (state = 'open' and due_at < %(overdue_at)s::timestamptz))"
        " and (%(before)s::uuid is null or id < %(before)s::uuid)"
        " order by id desc limit %(limit)s",
        asdict(wanted)
        | {
            "companies": None if wanted.companies is None else list(wanted.companies),
            "stores": None if wanted.stores is None else list(wanted.stores),
        },
    )
    return convert(rows, list[Case])


async def add_note(conn: Conn, note: Note) -> None:
    """Another note; whoever adds one holds the case's row."""
    await conn.execute(
        'insert into cases.note ("case", n, by, name, text, at)'
        " values (%(case)s, %(n)s, %(by)s, %(name)s, %(text)s, %(at)s)",
        asdict(note),
    )


async def notes(conn: Conn, case: str) -> list[Note]:
    """A case's notes, oldest first; a case has a bounded number of them."""
    return await fetch_all(
        conn, Note, 'select * from cases.note where "case" = %s order by n', [case]
    )
