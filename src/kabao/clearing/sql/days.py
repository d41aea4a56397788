"""Statements about days, their parts, rules and workdays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.clearing.model.calendar import Workdays
from kabao.clearing.model.days import Day, Part
from kabao.clearing.model.terms import Rule

_DAY: LiteralString = """
select business_date, state, soft_closed_at, hard_closed_at from clearing.day
"""

_RULE: LiteralString = """
select id, company, version, effective_from, terms, digest, reason, created_at from clearing.rule
"""


async def day(conn: Conn, business_date: date) -> Day | None:
    """A day, if it is closed."""
    row = await fetch_one(conn, dict, _DAY + "where business_date = %s", [business_date])
    return None if row is None else msgspec.convert(row, Day)


async def days(conn: Conn, before: date | None, limit: int) -> list[Day]:
    """Closed days, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _DAY + "where %(before)s::date is null or business_date < %(before)s"
        " order by business_date desc limit %(limit)s",
        {"before": before, "limit": limit},
    )
    return msgspec.convert(rows, list[Day])


async def soft_closed(conn: Conn) -> list[Day]:
    """Days that wait for their hard close, oldest first."""
    rows = await fetch_all(conn, dict, _DAY + "where state = 'soft_closed' order by business_date")
    return msgspec.convert(rows, list[Day])


async def last_day(conn: Conn) -> date | None:
    """The last closed day."""
    found: date | None = await fetch_value(conn, "select max(business_date) from clearing.day")
    return found


async def close_softly(conn: Conn, days: Mapping[date, datetime]) -> None:
    """The ledger takes nothing more into these days since then."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "insert into clearing.day (business_date, state, soft_closed_at)"
            " values (%s, 'soft_closed', %s) on conflict do nothing",
            list(days.items()),
        )


async def close_hard(conn: Conn, business_date: date, at: datetime) -> None:
    """Every source agrees: the day's figures are final."""
    await conn.execute(
        "update clearing.day set state = 'hard_closed', hard_closed_at = %s"
        " where business_date = %s",
        [at, business_date],
    )


async def parts(conn: Conn, business_date: date) -> list[Part]:
    """Every part that was kept out of a day, those that came in since too."""
    return await fetch_all(
        conn,
        Part,
        "select source, subject, reason, breaks, kept_out_at, closed_at from clearing.part"
        " where business_date = %s order by source, subject",
        [business_date],
    )


async def keep_out(conn: Conn, business_date: date, parts: Sequence[Part], at: datetime) -> None:
    """These parts are open now; those that were and are not any more came in at this moment."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            insert into clearing.part as p (business_date, source, subject, reason, breaks,
              kept_out_at) values (%s, %s, %s, %s, %s, %s)
            on conflict (business_date, source, subject) do update
              set reason = excluded.reason, breaks = excluded.breaks, closed_at = null
              where (p.reason, p.breaks, p.closed_at)
                is distinct from (excluded.reason, excluded.breaks, null)
            """,
            [
                (business_date, p.source, p.subject, p.reason, p.breaks, p.kept_out_at)
                for p in parts
            ],
        )
    await conn.execute(
        """
        update clearing.part set closed_at = %s
        where business_date = %s and closed_at is null and (source, subject) not in (
          select * from unnest(%s::text[], %s::text[]))
        """,
        [at, business_date, [p.source for p in parts], [p.subject for p in parts]],
    )


async def rules(conn: Conn) -> list[Rule]:
    """Every version of every rule, oldest first."""
    rows = await fetch_all(conn, dict, _RULE + "order by created_at, id")
    return msgspec.convert(rows, list[Rule])


async def next_version(conn: Conn, company: str | None) -> int:
    """The number of the next version of somebody's terms."""
    last = "select max(version) from clearing.rule where company is not distinct from %s"
    return int(await fetch_value(conn, last, [company]) or 0) + 1


async def insert_rule(conn: Conn, rule: Rule) -> None:
    """A version that two persons agreed to."""
    await conn.execute(
        "insert into clearing.rule (id, company, version, effective_from, terms, digest, reason,"
        " created_at) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(rule.id, rule.company, rule.version, rule.effective_from),
            msgspec.json.encode(rule.terms).decode(),
            *(rule.digest, rule.reason, rule.created_at),
        ],
    )


async def workdays(conn: Conn) -> Workdays:
    """What two persons have said of the calendar, over what is published."""
    said = await (
        await conn.execute("select day, workday from clearing.workday_override")
    ).fetchall()
    years = await (await conn.execute("select year from clearing.workday_year")).fetchall()
    return Workdays(dict(said), frozenset(year for (year,) in years))


async def say_workdays(
    conn: Conn, days: Mapping[date, bool], years: Sequence[int], reason: str, at: datetime
) -> None:
    """These days are worked or free, and these years are complete by what was said."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            insert into clearing.workday_override (day, workday, reason, said_at)
            values (%s, %s, %s, %s) on conflict (day) do update
              set workday = excluded.workday, reason = excluded.reason, said_at = excluded.said_at
            """,
            [(day, workday, reason, at) for day, workday in days.items()],
        )
        await cursor.executemany(
            "insert into clearing.workday_year (year, said_at) values (%s, %s)"
            " on conflict do nothing",
            [(year, at) for year in years],
        )
