"""Statements about breaks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.reconciliation.model.breaks import Break, BreakState, Class, OpenBreaks

_BREAK: LiteralString = """
select k.id, k.run, k.no, k.class as cls, k.kind, k.line as source_no, k.our_no, k.our_sub_no,
  k.their_no, coalesce(l.original_no, '') as original_no,
  b.amount_fen as ours_fen, l.amount_fen as theirs_fen, b.fee_mfen as ours_fee_mfen,
  l.fee_mfen as theirs_fee_mfen, b.status as ours_status, l.status as theirs_status,
  b.day as ours_day, coalesce(l.currency, b.currency) as currency, k.state, k.why
from reconciliation.break k
left join reconciliation.line l on l.run = k.run and l.no = k.line
left join reconciliation.book b on b.run = k.run and b.no = k.book
"""


async def of_run(
    conn: Conn,
    run: str,
    *,
    cls: Class | None = None,
    state: BreakState | None = None,
    after: int = 0,
    limit: int,
) -> list[Break]:
    """The breaks of a run in order. None: not filtered."""
    rows = await fetch_all(
        conn,
        dict,
        _BREAK
        + """
        where k.run = %(run)s and k.no > %(after)s
          and (%(cls)s::text is null or k.class = %(cls)s)
          and (%(state)s::text is null or k.state = %(state)s)
        order by k.no limit %(limit)s
        """,
        {"run": run, "after": after, "cls": cls, "state": state, "limit": limit},
    )
    return [_break(row) for row in rows]


async def waiting(
    conn: Conn,
    companies: Sequence[str] | None,
    *,
    cls: Class | None,
    state: BreakState,
    after: tuple[str, int] | None,
    limit: int,
) -> list[Break]:
    """Breaks of all runs that are in a state, the oldest bills first. None: not filtered."""
    run, no = after or (None, None)
    rows = await fetch_all(
        conn,
        dict,
        _BREAK
        + """
        join reconciliation.run r on r.id = k.run
        where k.state = %(state)s
          and (%(companies)s::uuid[] is null or r.company = any(%(companies)s::uuid[]))
          and (%(cls)s::text is null or k.class = %(cls)s)
          and (%(run)s::uuid is null or (k.run, k.no) > (%(run)s::uuid, %(no)s::int))
        order by k.run, k.no limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "state": state,
            "cls": cls,
            "run": run,
            "no": no,
            "limit": limit,
        },
    )
    return [_break(row) for row in rows]


async def get(conn: Conn, ident: str) -> Break | None:
    """One break."""
    row = await fetch_one(conn, dict, _BREAK + "where k.id = %s", [ident])
    return None if row is None else _break(row)


async def lock(conn: Conn, ident: str) -> Break | None:
    """One break, locked."""
    row = await fetch_one(conn, dict, _BREAK + "where k.id = %s for update of k", [ident])
    return None if row is None else _break(row)


async def close(conn: Conn, ident: str, state: BreakState, why: str, at_us: int) -> None:
    """What has become of a break that was open."""
    await conn.execute(
        "update reconciliation.break set state = %s, why = %s, closed_at = %s"
        " where id = %s and state = 'open'",
        [state, why, from_us(at_us), ident],
    )


async def set_state(conn: Conn, ident: str, state: BreakState, why: str, at_us: int) -> None:
    """What two persons made of a break that the caller has locked."""
    await conn.execute(
        "update reconciliation.break set state = %s, why = %s, closed_at = %s where id = %s",
        [state, why, from_us(at_us), ident],
    )


async def close_all(conn: Conn, run: str, why: str, at_us: int) -> None:
    """Breaks of a run that counts no more."""
    await conn.execute(
        "update reconciliation.break set state = 'cleared', why = %s, closed_at = %s"
        " where run = %s and state = 'open'",
        [why, from_us(at_us), run],
    )


async def decided(conn: Conn, run: str) -> bool:
    """Whether two persons have made something of any break of a run."""
    found: bool = await fetch_value(
        conn,
        "select exists (select from reconciliation.break"
        " where run = %s and state in ('suspended', 'corrected'))",
        [run],
    )
    return found


async def reopen(conn: Conn, run: str) -> None:
    """Breaks of other days that only the bill of this run explained: it counts no more."""
    await conn.execute(
        """
        update reconciliation.break k
        set state = 'open', why = null, closed_at = null, cleared_by = null
        from reconciliation.run r
        where k.cleared_by = %(run)s and k.run <> %(run)s and r.id = k.run
          and r.state <> 'replaced'
        """,
        {"run": run},
    )


async def matched_orders(conn: Conn, run: str, after: int, size: int) -> list[str]:
    """Payments of ours that stand in the source and differ in nothing that makes them doubtful,
    by number: of so many of our books after one. An order that was paid twice does not stand in
    a bill that tells its second payment only, on whatever day.
    """
    rows = await conn.execute(
        """
        select distinct b.our_no from reconciliation.book b
        join reconciliation.pair p on p.run = b.run and p.book = b.no
        where b.run = %(run)s and b.no > %(after)s and b.no <= %(until)s
          and p.run = %(run)s and p.book > %(after)s and p.book <= %(until)s
          and b.kind = 'pay' and b.status = 'done'
          and not exists (
            select from reconciliation.break k
            join reconciliation.run r on r.id = k.run
            join reconciliation.run own on own.id = b.run and r.source = own.source
              and r.subject = own.subject
            where k.our_no = b.our_no and k.our_no <> '' and k.kind = 'pay'
              and k.book is not null and k.class not in ('wrong_day', 'fee')
              and r.state <> 'replaced' and k.state <> 'cleared')
        order by b.our_no
        """,
        {"run": run, "after": after, "until": after + size},
    )
    return [row[0] for row in await rows.fetchall()]


async def last_book(conn: Conn, run: str) -> int:
    """The number of the last of our books in a run."""
    found: int = await fetch_value(
        conn, "select coalesce(max(no), 0) from reconciliation.book where run = %s", [run]
    )
    return found


async def open_count(conn: Conn, run: str) -> int:
    """How many breaks of a run are open and of more than the day."""
    rows = await conn.execute(
        "select count(*) from reconciliation.break"
        " where run = %s and state = 'open' and class <> 'wrong_day'",
        [run],
    )
    found = await rows.fetchone()
    return int(found[0]) if found else 0


async def counts(conn: Conn, run: str) -> dict[str, int]:
    """Breaks of a run by class."""
    rows = await conn.execute(
        "select class, count(*) from reconciliation.break where run = %s group by class"
        " order by class",
        [run],
    )
    return {row[0]: row[1] for row in await rows.fetchall()}


def _break(row: dict[str, Any]) -> Break:
    return msgspec.convert(row, Break)


async def open_until(conn: Conn, day: date, company: str | None) -> list[OpenBreaks]:
    """What is open or suspended of a day's bills and those before it, summed. None: of all."""
    return await fetch_all(
        conn,
        OpenBreaks,
        """
        select r.source, r.subject, k.class as cls, k.state, count(*) as count,
          sum(greatest(coalesce(b.amount_fen, 0), coalesce(l.amount_fen, 0)))::bigint
            as amount_fen, min(r.day) as oldest
        from reconciliation.break k
        join reconciliation.run r on r.id = k.run
        left join reconciliation.line l on l.run = k.run and l.no = k.line
        left join reconciliation.book b on b.run = k.run and b.no = k.book
        where (k.state = 'suspended' or k.state = 'open' and r.state <> 'replaced')
          and r.day <= %(day)s
          and (%(company)s::uuid is null or r.company = %(company)s::uuid)
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        """,
        {"day": day, "company": company},
    )
