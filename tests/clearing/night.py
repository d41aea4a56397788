"""A world that trades for a day and passes the night."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kabao.base.clock import now
from kabao.base.db import fetch_value
from tests.app.world import World, made

MONDAY = date(2026, 11, 23)


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo("Asia/Shanghai"))


def turn(w: World, moment: datetime) -> None:
    """Let the clock go on to a moment."""
    w.clock.advance(moment - now(w.clock))


async def pass_night(w: World) -> None:
    """Whatever the hour asks for."""
    await w.kabao.merchants.refresh()
    await w.kabao.clearing.tick()


async def fee_plan(w: World, store: str, **terms: Any) -> str:
    """A plan that holds for a store from today on; it was agreed yesterday."""
    day = w.kabao.days.of(w.clock.now_us()).isoformat()
    w.clock.advance(timedelta(days=-1))
    plan = await made(
        w.operator.post("/v1/fee-plans", {"company": w.company, "name": "plan"} | terms)
    )
    term = {"store": store, "fee_plan": plan["id"], "effective_from": day}
    await made(w.operator.post("/v1/fee-terms", term))
    w.clock.advance(timedelta(days=1))
    return str(plan["id"])


async def settlements(w: World, **query: Any) -> list[dict[str, Any]]:
    """Every settlement there is, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await made(w.auditor.get("/v1/settlements", limit=2, **query, **cursor))
        found += page["data"]
        if page["next_cursor"] is None:
            return sorted(found, key=lambda s: (s["day"], s["store"]))
        cursor = {"cursor": page["next_cursor"]}


async def house(w: World, account: int) -> dict[str, int]:
    """Credit less debit of every owner's account of a kind, from both journals."""
    async with w.kabao.db.read() as conn:
        found = await fetch_value(
            conn,
            """
            select coalesce(json_object_agg(replace(owner::text, '-', ''), fen), '{}') from (
              select owner, sum(fen)::bigint as fen from (
                select house as owner, case when credit >= 10 then amount_fen else -amount_fen end
                  as fen
                from ledger.transfer where greatest(debit, credit) = %(account)s
                union all
                select credit_owner, amount_fen from ledger.house_transfer
                where credit = %(account)s
                union all
                select debit_owner, -amount_fen from ledger.house_transfer
                where debit = %(account)s) each group by owner) sums where fen <> 0
            """,
            {"account": account},
        )
    return dict(found)
