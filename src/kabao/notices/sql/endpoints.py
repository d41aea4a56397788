"""Statements on endpoints."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.notices.model.endpoints import Endpoint


async def insert(conn: Conn, endpoint: Endpoint) -> None:
    """A new endpoint."""
    await conn.execute(
        "insert into notices.endpoint (id, company, companies, stores, verbs, url, description,"
        " types, state, secret, failures, overfull, created_at)"
        " values (%(id)s, %(company)s, %(companies)s::uuid[], %(stores)s::uuid[],"
        " %(verbs)s::text[], %(url)s, %(description)s, %(types)s::text[],"
        " %(state)s, %(secret)s, %(failures)s, %(overfull)s, %(created_at)s)",
        asdict(endpoint),
    )


async def count(conn: Conn, company: str) -> int:
    """How many a company has. Endpoints of one company are made one after the other."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 10))", [company])
    found: int = await fetch_value(
        conn, "select count(*) from notices.endpoint where company = %s", [company]
    )
    return found


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Endpoint | None:
    """One endpoint."""
    row = await fetch_one(
        conn,
        dict,
        "select * from notices.endpoint where id = %s for update"
        if lock
        else "select * from notices.endpoint where id = %s",
        [ident],
    )
    return convert(row, Endpoint | None)


async def update(conn: Conn, endpoint: Endpoint) -> None:
    """Everything that changes, whoever changes it; the row is locked."""
    await conn.execute(
        "update notices.endpoint set url = %(url)s, description = %(description)s,"
        " types = %(types)s::text[], state = %(state)s, paused_for = %(paused_for)s,"
        " secret = %(secret)s, old_secret = %(old_secret)s, old_until = %(old_until)s,"
        " failures = %(failures)s, failing_since = %(failing_since)s,"
        " resting_until = %(resting_until)s, missed_from = %(missed_from)s where id = %(id)s",
        asdict(endpoint),
    )


async def delete(conn: Conn, ident: str) -> None:
    """An endpoint and everything that waits for it.

    Lanes first and in order, as those who add to them and send from them lock them.
    """
    await conn.execute(
        "delete from notices.lane where (endpoint, lane) in (select endpoint, lane"
        " from notices.lane where endpoint = %s order by lane for update)",
        [ident],
    )
    await conn.execute("delete from notices.delivery where endpoint = %s", [ident])
    await conn.execute("delete from notices.endpoint where id = %s", [ident])


async def search(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    stores: Collection[str] | None,
    verbs: Collection[str],
    before: str | None,
    limit: int,
) -> list[Endpoint]:
    """Endpoints that are told nothing outside this scope and these verbs, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from notices.endpoint"
        " where (%(companies)s::uuid[] is null or (company = any(%(companies)s::uuid[])"
        "   and companies <@ %(companies)s::uuid[]))"
        " and (%(stores)s::uuid[] is null or stores <@ %(stores)s::uuid[])"
        " and verbs <@ %(verbs)s::text[]"
        " and (%(before)s::uuid is null or id < %(before)s::uuid)"
        " order by id desc limit %(limit)s",
        {
            "companies": None if companies is None else list(companies),
            "stores": None if stores is None else list(stores),
            "verbs": list(verbs),
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Endpoint])


async def all_of(conn: Conn) -> list[Endpoint]:
    """Every endpoint: policy bounds how many a company has."""
    return convert(await fetch_all(conn, dict, "select * from notices.endpoint"), list[Endpoint])


async def recovered(conn: Conn, ident: str) -> None:
    """It has answered: failures before that count no more."""
    await conn.execute(
        "update notices.endpoint set failures = 0, failing_since = null, resting_until = null"
        " where id = %s and failures > 0",
        [ident],
    )


async def ready(conn: Conn, at: datetime) -> list[Endpoint]:
    """Endpoints for which something is due that nobody is sending."""
    rows = await fetch_all(
        conn,
        dict,
        "select e.* from notices.endpoint e"
        " where e.state = 'active' and (e.resting_until is null or e.resting_until <= %(at)s)"
        " and exists (select 1 from notices.lane l where l.endpoint = e.id"
        "   and l.next_at <= %(at)s and (l.leased_until is null or l.leased_until <= %(at)s))",
        {"at": at},
    )
    return convert(rows, list[Endpoint])


async def weigh(conn: Conn, most: int) -> None:
    """Note for which endpoints more waits than that, until half of it does."""
    await conn.execute(
        "with waiting as (select endpoint, sum(pending) as n from notices.lane group by 1)"
        " update notices.endpoint e set overfull = not e.overfull"
        " where case when e.overfull"
        "   then coalesce((select n from waiting w where w.endpoint = e.id), 0) <= %(most)s / 2"
        "   else (select n from waiting w where w.endpoint = e.id) > %(most)s end",
        {"most": most},
    )


async def missed(conn: Conn, ident: str, at: datetime) -> bool:
    """An event recorded then is not kept for an endpoint; whether it is the first of them."""
    row = await fetch_one(
        conn,
        dict,
        "with before as (select id, missed_from from notices.endpoint where id = %(id)s for update)"
        " update notices.endpoint e set missed_from = least(e.missed_from, %(at)s)"
        " from before b where e.id = b.id returning b.missed_from is null as first",
        {"id": ident, "at": at},
    )
    return row is not None and bool(row["first"])


async def end_old_secrets(conn: Conn, at: datetime) -> None:
    """Forget secrets whose overlap is over."""
    await conn.execute(
        "update notices.endpoint set old_secret = null, old_until = null where old_until <= %s",
        [at],
    )
