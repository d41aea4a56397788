"""Statements about runs, and how lines are copied in."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import islice
from typing import LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_value
from kabao.reconciliation.model.gate import Part
from kabao.reconciliation.model.lines import BILL_UNREADABLE, Line, SpoiltBillError
from kabao.reconciliation.model.runs import OpenPayouts, Run, RunState

NO_CHARS = 128
"""The longest number a source may tell."""

_CURRENCY = re.compile(r"[A-Z]{3}")

_BLOCK = 1_000
"""Lines that are sent at once; between two blocks others get their turn."""

_RUN: LiteralString = """
select id, source, subject, company, day, state, lines_digest, books_digest, result_digest, lines,
  books, pairs, breaks, theirs_fen, ours_fen, fees_mfen, received_fen, brought_by
from reconciliation.run
"""


async def insert(conn: Conn, run: Run, at_us: int) -> None:
    """A new run."""
    await conn.execute(
        """
        insert into reconciliation.run (id, source, subject, company, day, state, lines_digest,
          lines, books, pairs, breaks, theirs_fen, ours_fen, fees_mfen, taken_at, brought_by)
        values (%(id)s, %(source)s, %(subject)s, %(company)s, %(day)s, %(state)s,
          %(lines_digest)s, %(lines)s, 0, 0, 0, 0, 0, 0, %(at)s, %(brought_by)s)
        """,
        msgspec.structs.asdict(run) | {"at": from_us(at_us)},
    )


async def update(conn: Conn, run: Run) -> None:
    """Bring a run up to date."""
    await conn.execute(
        """
        update reconciliation.run set state = %(state)s, books_digest = %(books_digest)s,
          result_digest = %(result_digest)s, books = %(books)s, pairs = %(pairs)s,
          breaks = %(breaks)s, theirs_fen = %(theirs_fen)s, ours_fen = %(ours_fen)s,
          fees_mfen = %(fees_mfen)s
        where id = %(id)s
        """,
        msgspec.structs.asdict(run),
    )


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Run | None:
    """One run."""
    more: LiteralString = "where id = %s for update" if lock else "where id = %s"
    rows = await fetch_all(conn, dict, _RUN + more, [ident])
    return msgspec.convert(rows[0], Run) if rows else None


async def get_many(conn: Conn, idents: Sequence[str]) -> dict[str, Run]:
    """Runs by id."""
    rows = await fetch_all(conn, dict, _RUN + "where id = any(%s::uuid[])", [list(idents)])
    return {row["id"]: msgspec.convert(row, Run) for row in rows}


async def of_day(
    conn: Conn, source: str, subject: str, day: date, *, lock: bool = False
) -> Run | None:
    """The run of a bill that counts."""
    more: LiteralString = " for update" if lock else ""
    rows = await fetch_all(
        conn,
        dict,
        _RUN + "where source = %s and subject = %s and day = %s and state <> 'replaced'" + more,
        [source, subject, day],
    )
    return msgspec.convert(rows[0], Run) if rows else None


async def taken_before(conn: Conn, source: str, subject: str, digest: bytes) -> date | None:
    """The day for which these very lines stand, if they do."""
    day: date | None = await fetch_value(
        conn,
        "select day from reconciliation.run"
        " where source = %s and subject = %s and lines_digest = %s and lines > 0"
        " and state <> 'replaced'"
        " order by day limit 1",
        [source, subject, digest],
    )
    return day


async def unfinished(conn: Conn, after: str | None, limit: int) -> list[str]:
    """Runs that somebody left behind, oldest first, after one of them."""
    rows = await conn.execute(
        "select id from reconciliation.run where state in ('taken', 'matched')"
        " and (%s::uuid is null or id > %s::uuid) order by id limit %s",
        [after, after, limit],
    )
    return [row[0] for row in await rows.fetchall()]


async def search(
    conn: Conn,
    companies: Sequence[str] | None,
    *,
    source: str | None,
    subject: str | None,
    day: date | None,
    before: str | None,
    limit: int,
) -> list[Run]:
    """Runs, newest first. None: not filtered."""
    rows = await fetch_all(
        conn,
        dict,
        _RUN
        + """
        where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))
          and (%(source)s::text is null or source = %(source)s)
          and (%(subject)s::text is null or subject = %(subject)s)
          and (%(day)s::date is null or day = %(day)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "source": source,
            "subject": subject,
            "day": day,
            "before": before,
            "limit": limit,
        },
    )
    return [msgspec.convert(row, Run) for row in rows]


async def parts(conn: Conn, day: date) -> list[Part]:
    """Every bill of a day, and how many of its breaks are open and of more than the day."""
    rows = await fetch_all(
        conn,
        dict,
        """
        select source, subject, company, day, id as run, state = 'finished' as finished, lines,
          (select count(*)::int from reconciliation.break b
            where b.run = r.id and b.state = 'open' and b.class <> 'wrong_day') as open
        from reconciliation.run r where day = %s and state <> 'replaced'
        order by source, subject
        """,
        [day],
    )
    return [msgspec.convert(row, Part) for row in rows]


async def short_until(conn: Conn, day: date, company: str | None) -> list[OpenPayouts]:
    """Payouts of a day's bills and those before it that were not what was expected, by source;
    the differences wait in suspense. None: of every company.
    """
    return await fetch_all(
        conn,
        OpenPayouts,
        """
        select source, subject, count(*) as count, sum(abs(difference))::bigint as amount_fen,
          min(day) as oldest
        from (
          select source, subject, day,
            received_fen - theirs_fen + floor((fees_mfen + 500) / 1000.0)::bigint as difference
          from reconciliation.run
          where received_fen is not null and state <> 'replaced' and day <= %(day)s
            and (%(company)s::uuid is null or company = %(company)s::uuid)) as paid_out
        where difference <> 0
        group by 1, 2 order by 1, 2
        """,
        {"day": day, "company": company},
    )


async def set_received(conn: Conn, run: str, received_fen: int) -> None:
    """What the source has paid out for a run."""
    await conn.execute(
        "update reconciliation.run set received_fen = %s where id = %s", [received_fen, run]
    )


async def set_state(conn: Conn, run: str, state: RunState) -> None:
    """How far a run has come."""
    await conn.execute("update reconciliation.run set state = %s where id = %s", [state, run])


# Lines


async def copy_lines(conn: Conn, run: str, lines: Iterable[Line]) -> int:
    """Copy lines in as they come; gives how many. Memory holds a block of them.

    Raises what the reader raises, and `bill_unreadable` for what no reader may yield: a number
    that is too long, a negative amount, no currency.
    """
    count = 0
    async with (
        conn.cursor() as cursor,
        cursor.copy(
            "copy reconciliation.line (run, no, kind, our_no, our_sub_no, their_no, amount_fen,"
            " fee_mfen, currency, at_us, day, status, original_no) from stdin"
        ) as copy,
    ):
        days: dict[date, str] = {}
        rows = (_row(run, line, days) for line in lines)
        while block := list(islice(rows, _BLOCK)):
            await copy.write("".join(block))
            await asyncio.sleep(0)
            count += len(block)
    return count


def _row(run: str, line: Line, days: dict[date, str]) -> str:
    """A line in the text form of COPY."""
    day = days.get(line.day)
    if day is None:
        day = days[line.day] = line.day.isoformat()
    our_no, sub_no, their_no = line.our_no or "", line.our_sub_no or "", line.their_no
    if max(len(our_no), len(sub_no), len(their_no), len(line.original_no or "")) > NO_CHARS:
        raise SpoiltBillError("a number is too long", line.source_no, BILL_UNREADABLE)
    if line.amount_fen < 0:
        raise SpoiltBillError("an amount is negative", line.source_no, BILL_UNREADABLE)
    if not _CURRENCY.fullmatch(line.currency):
        raise SpoiltBillError("that is no currency", line.source_no, BILL_UNREADABLE)
    return (
        f"{run}\t{line.source_no}\t{line.kind}\t{_text(our_no)}\t{_text(sub_no)}"
        f"\t{_text(their_no)}\t{line.amount_fen}\t{line.fee_mfen}\t{_text(line.currency)}"
        f"\t{line.at_us}\t{day}\t{_text(line.status)}"
        f"\t{_text(line.original_no or '')}\n"
    )


def _text(value: str) -> str:
    return value if value.isalnum() else value.translate(_ESCAPED)


_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": " "})


_DIGESTS: LiteralString = """
select sha256(coalesce(string_agg(part, ''::bytea order by n), ''::bytea))
from (
  select (no - 1) / 1000 as n, sha256(convert_to(string_agg(concat_ws('|', kind, our_no,
    our_sub_no, their_no, amount_fen, coalesce(fee_mfen::text, '-'), currency, at_us, day, status
"""
_TO_EACH: LiteralString = "), E'\\n' order by no), 'UTF8')) as part "


async def lines_digest(conn: Conn, run: str) -> bytes:
    """SHA-256 of a run's lines: of the digests of each thousand of them, in order."""
    found = await fetch_value(
        conn,
        _DIGESTS
        + ", nullif(original_no, '')"
        + _TO_EACH
        + "from reconciliation.line where run = %s group by 1) as parts",
        [run],
    )
    return bytes(found)


async def books_digest(conn: Conn, run: str) -> bytes:
    """SHA-256 of a run's books, as of its lines."""
    found = await fetch_value(
        conn,
        _DIGESTS + _TO_EACH + "from reconciliation.book where run = %s group by 1) as parts",
        [run],
    )
    return bytes(found)
