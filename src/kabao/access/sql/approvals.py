"""Requests that take two people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.access.model.approvals import Approval, ApprovalState
from kabao.base.db import Conn, fetch_all, fetch_one


async def insert_approval(conn: Conn, approval: Approval) -> None:
    """A new request."""
    row = asdict(approval) | {"companies": _array(approval.companies)}
    await conn.execute(
        "insert into access.approval (id, kind, company, companies, payload, digest, seal, maker,"
        " maker_via, reason, state, created_at, expires_at)"
        " values (%(id)s, %(kind)s, %(company)s, %(companies)s::uuid[], %(payload)s, %(digest)s,"
        " %(seal)s, %(maker)s, %(maker_via)s, %(reason)s, %(state)s, %(created_at)s,"
        " %(expires_at)s)",
        row,
    )


async def approval(conn: Conn, ident: str, *, lock: bool = False) -> Approval | None:
    """One request."""
    row = await fetch_one(
        conn,
        dict,
        "select * from access.approval where id = %s for update"
        if lock
        else "select * from access.approval where id = %s",
        [ident],
    )
    return convert(row, Approval | None)


async def update_approval(conn: Conn, approval: Approval) -> None:
    """What was decided, and what came of it."""
    await conn.execute(
        "update access.approval set state = %(state)s, checker = %(checker)s,"
        " checker_via = %(checker_via)s, decision_reason = %(decision_reason)s,"
        " decided_at = %(decided_at)s, result = %(result)s where id = %(id)s",
        asdict(approval) | {"companies": None},
    )


async def list_approvals(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    kind: str | None,
    state: ApprovalState | None,
    maker: str | None,
    at: datetime,
    before: str | None,
    limit: int,
) -> list[Approval]:
    """Requests, newest first, before `before`, that touch these companies only."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from access.approval"
        " where (%(companies)s::uuid[] is null or companies <@ %(companies)s::uuid[])"
        " and (%(kind)s::text is null or kind = %(kind)s)"
        " and (%(maker)s::uuid is null or maker = %(maker)s::uuid)"
        " and (%(state)s::text is null or %(state)s = case"
        "   when state = 'pending' and expires_at <= %(at)s then 'expired' else state end)"
        " and (%(before)s::uuid is null or id < %(before)s::uuid)"
        " order by id desc limit %(limit)s",
        {
            "companies": _array(companies),
            "kind": kind,
            "maker": maker,
            "state": state,
            "at": at,
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Approval])


async def expire_approvals(conn: Conn, at: datetime, limit: int) -> int:
    """What nobody decided in time."""
    done = await conn.execute(
        "update access.approval set state = 'expired' where id in (select id from access.approval"
        " where state = 'pending' and expires_at <= %s order by expires_at limit %s"
        " for update skip locked)",
        [at, limit],
    )
    return done.rowcount


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else list(values)
