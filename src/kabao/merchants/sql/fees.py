"""Statements on fee plans and terms."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.merchants.model import FeePlan, FeeTerm
from kabao.merchants.sql.tills import array_of


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
        {"companies": array_of(companies), "after": after, "limit": limit},
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
