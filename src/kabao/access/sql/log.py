"""The audit log. There is no statement that changes a row, and none that removes one."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import convert
from msgspec.structs import asdict

from kabao.access.model.log import GENESIS, Entry, LogFilter
from kabao.base.db import Conn, fetch_all


async def hold_head(conn: Conn) -> tuple[int, bytes]:
    """The last row's number and digest; nobody else adds until the transaction ends."""
    row = await (
        await conn.execute(
            "insert into access.audit_head (id, seq, digest) values (1, 0, %s)"
            " on conflict (id) do update set id = excluded.id returning seq, digest",
            [GENESIS],
        )
    ).fetchone()
    assert row is not None
    return row[0], row[1]


async def head(conn: Conn) -> tuple[int, bytes]:
    """The last row's number and digest."""
    row = await (await conn.execute("select seq, digest from access.audit_head")).fetchone()
    return (row[0], row[1]) if row else (0, GENESIS)


async def append(conn: Conn, entry: Entry) -> None:
    """Add a row and move the head, which the caller holds."""
    await conn.execute(
        "with moved as (update access.audit_head set seq = %(seq)s, digest = %(digest)s)"
        " insert into access.audit_log (seq, at, company, actor, via, verb, subject, reason,"
        " approval, outcome, code, address, request_id, digest, seal)"
        " values (%(seq)s, %(at)s, %(company)s, %(actor)s, %(via)s, %(verb)s, %(subject)s,"
        " %(reason)s, %(approval)s, %(outcome)s, %(code)s, %(address)s, %(request_id)s,"
        " %(digest)s, %(seal)s)",
        asdict(entry),
    )


async def entries_after(conn: Conn, seq: int, limit: int) -> list[Entry]:
    """Rows in order."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from access.audit_log where seq > %s order by seq limit %s",
        [seq, limit],
    )
    return convert(rows, list[Entry])


async def list_entries(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    wanted: LogFilter,
    before: int | None,
    limit: int,
) -> list[Entry]:
    """Rows, newest first, before `before`, that concern these companies."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from access.audit_log"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(actor)s::uuid is null or actor = %(actor)s::uuid)"
        " and (%(subject)s::text is null or subject = %(subject)s)"
        " and (%(verb)s::text is null or verb = %(verb)s)"
        " and (%(approval)s::uuid is null or approval = %(approval)s::uuid)"
        " and (%(since)s::timestamptz is null or at >= %(since)s)"
        " and (%(until)s::timestamptz is null or at < %(until)s)"
        " and (%(before)s::bigint is null or seq < %(before)s)"
        " order by seq desc limit %(limit)s",
        asdict(wanted)
        | {
            "companies": None if companies is None else list(companies),
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Entry])
