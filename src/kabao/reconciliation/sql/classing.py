"""What differs in a pair, and what is left without one, classed in sets."""

from __future__ import annotations

from typing import Any, LiteralString

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all
from kabao.reconciliation.model.runs import Run

_CARRIED: LiteralString = """
with told as (
  delete from open_book o using reconciliation.break k, reconciliation.run r,
    reconciliation.line l
  where r.id = k.run and l.run = k.run and l.no = k.line and r.source = %(source)s
    and r.subject = %(subject)s
    and r.state <> 'replaced' and r.id <> %(run)s and k.kind = o.kind and k.line is not null
    and ((o.our_no <> '' and k.our_no = o.our_no and k.our_sub_no = o.our_sub_no)
      or ((o.our_no = '' or k.our_no = '') and o.their_no <> '' and k.their_no = o.their_no
        and k.our_sub_no = o.our_sub_no))
    and (k.class = 'wrong_day' or (k.class = 'missing_here' and k.state = 'open'
      and l.amount_fen = o.amount_fen and l.currency = o.currency))
  returning k.run, k.no)
update reconciliation.break b
set state = 'cleared', why = %(why)s, closed_at = %(at)s, cleared_by = %(run)s
from told where b.run = told.run and b.no = told.no and b.class = 'missing_here'
  and b.state = 'open'
"""


async def begin(conn: Conn) -> None:
    """Where breaks are gathered before they are numbered."""
    await conn.execute(
        "create temp table found (class text, line bigint, book bigint) on commit drop"
    )
    await conn.execute("analyze open_line")
    await conn.execute("analyze open_book")


async def pairs(conn: Conn, run: Run, single: list[str], fee_tolerance_mfen: int) -> None:
    """Pairs that differ. Of several differences the gravest counts; of rounds that pair
    one with many (`single` names the others) no two amounts are compared. Where a source tells
    no fees at all, it takes them elsewhere. What is of another day is told again only where
    another bill has told it: of its day, or of a third one, which has a break for it.
    """
    await conn.execute(
        """
        with late as materialized (
          select b.* from reconciliation.book b
          where b.run = %(run)s and b.day <> %(day)s),
        told as (
          select late.no as book from late
          join reconciliation.run r on r.source = %(source)s and r.subject = %(subject)s
            and r.day = late.day and r.id <> %(run)s and r.state in ('matched', 'finished')
          join reconciliation.book k on k.run = r.id and k.kind = late.kind
            and k.our_no = late.our_no and k.our_sub_no = late.our_sub_no
            and k.their_no = late.their_no
          join reconciliation.pair p on p.run = r.id and p.book = k.no
          join reconciliation.line l on l.run = r.id and l.no = p.line and l.status = 'done'
          union
          select late.no from late
          join reconciliation.break k on k.kind = late.kind and k.our_sub_no = late.our_sub_no
            and (k.our_no = late.our_no and late.our_no <> ''
                and (late.kind <> 'pay' or late.their_no = '' or k.their_no = late.their_no)
              or late.our_no = '' and late.their_no <> '' and k.their_no = late.their_no)
          join reconciliation.run r on r.id = k.run and r.source = %(source)s
            and r.subject = %(subject)s and r.id <> %(run)s and r.state <> 'replaced'
          join reconciliation.line l on l.run = k.run and l.no = k.line and l.status = 'done'
          where k.book is not null)
        insert into found
        select class, line, book from (
          select p.line, p.book, case
            when l.currency <> b.currency then 'currency'
            when l.amount_fen <> b.amount_fen then 'amount'
            when (l.status = 'done') <> (b.status = 'done') then 'status'
            when l.status <> 'done' then null
            when p.book in (select book from told) then 'duplicate'
            when b.day <> %(day)s or l.day <> %(day)s then 'wrong_day'
            when abs(l.fee_mfen - b.fee_mfen) > %(tolerance)s and charges.told then 'fee'
            end as class
          from reconciliation.pair p
          join reconciliation.line l on l.run = p.run and l.no = p.line
          join reconciliation.book b on b.run = p.run and b.no = p.book
          cross join (select exists (select from reconciliation.line x
            where x.run = %(run)s and x.fee_mfen <> 0)) as charges (told)
          where p.run = %(run)s and p.round = any(%(single)s)) as judged
        where class is not null
        """,
        _params(run) | {"single": single, "tolerance": fee_tolerance_mfen},
    )


async def carried(conn: Conn, run: Run, at_us: int) -> None:
    """What another day's bill has told already is not missing today; where it was unknown to
    our books then, that break is cleared.
    """
    params = _params(run) | {"at": from_us(at_us), "why": f"bill of {run.day}"}
    await conn.execute(_CARRIED, params)


async def rest(conn: Conn, run: Run) -> None:
    """Lines and books without a partner: told again, missing here, missing there."""
    await conn.execute(
        """
        with again as (
          select o.no from open_line o join reconciliation.line k on k.run = %(run)s
            and k.no <> o.no and k.kind = o.kind and k.our_no = o.our_no
            and k.our_sub_no = o.our_sub_no
          where o.our_no <> '' and not exists (select from open_line x where x.no = k.no)
          union
          select o.no from open_line o join reconciliation.line k on k.run = %(run)s
            and k.no <> o.no and k.kind = o.kind and k.our_sub_no = o.our_sub_no
          where o.our_sub_no <> '' and not exists (select from open_line x where x.no = k.no)
          union
          select o.no from open_line o join open_line k on k.no < o.no and k.kind = o.kind
            and k.our_no = o.our_no and k.our_sub_no = o.our_sub_no and k.their_no = o.their_no
          where o.their_no <> ''
          union
          select o.no from open_line o join reconciliation.break k on k.kind = o.kind
            and k.our_sub_no = o.our_sub_no and k.their_no = o.their_no and k.line is not null
          join reconciliation.run r on r.id = k.run and r.source = %(source)s
            and r.subject = %(subject)s and r.id <> %(run)s and r.state <> 'replaced'
          where o.kind = 'recall' and o.their_no <> ''
          union
          select o.no from open_line o join reconciliation.line k on k.run = %(run)s
            and k.no <> o.no and k.kind = o.kind and k.their_no = o.their_no
            and k.our_sub_no = o.our_sub_no
          where o.their_no <> '' and not exists (select from open_line x where x.no = k.no))
        insert into found
        select case when again.no is null then 'missing_here' else 'duplicate' end, o.no, null
        from open_line o left join again on again.no = o.no
        """,
        _params(run),
    )
    await conn.execute(
        "insert into found select 'missing_there', null, no from open_book where not named"
    )
    await conn.execute(
        "delete from reconciliation.book b using open_book o"
        " where b.run = %s and o.named and b.no = o.no",
        [run.id],
    )


async def write(conn: Conn, run: Run) -> int:
    """Number the breaks and write them down; gives how many. Their ids follow from that."""
    done = await conn.execute(
        """
        insert into reconciliation.break (run, no, id, class, line, book, kind, our_no, our_sub_no,
          their_no, state)
        select %(run)s, n, md5(%(run)s::text || ':' || n)::uuid, class, line, book, kind, our_no,
          our_sub_no, their_no, 'open'
        from (
          select row_number() over (order by f.line nulls last, f.book) as n, f.class, f.line,
            f.book, coalesce(l.kind, b.kind) as kind,
            coalesce(nullif(b.our_no, ''), l.our_no, '') as our_no,
            coalesce(nullif(b.our_sub_no, ''), l.our_sub_no, '') as our_sub_no,
            coalesce(nullif(l.their_no, ''), b.their_no, '') as their_no
          from found f
          left join reconciliation.line l on l.run = %(run)s and l.no = f.line
          left join reconciliation.book b on b.run = %(run)s and b.no = f.book) as numbered
        """,
        _params(run),
    )
    return done.rowcount


async def clear_carried(conn: Conn, run: Run, at_us: int) -> None:
    """Open breaks of other days that this bill explains, and the breaks that only say so. What
    differs otherwise, too, stays a break of this bill, and of this one only.
    """
    await conn.execute(
        """
        with late as (
          select o.run, o.no, o.class, k.run as earlier, k.no as earlier_no
          from reconciliation.break o
          join reconciliation.book b on b.run = o.run and b.no = o.book and b.day <> %(day)s
          join reconciliation.break k on k.kind = o.kind and k.our_sub_no = o.our_sub_no
            and (k.our_no = o.our_no and o.our_no <> ''
              or o.our_no = '' and o.their_no <> '' and k.their_no = o.their_no)
          join reconciliation.run r on r.id = k.run and r.source = %(source)s
            and r.subject = %(subject)s and r.state <> 'replaced' and r.id <> %(run)s
          where o.run = %(run)s and o.line is not null and o.class <> 'duplicate'
            and (o.kind <> 'pay' or k.their_no in ('', o.their_no) or o.their_no = '')
            and k.class = 'missing_there' and k.state = 'open')
        update reconciliation.break b
        set state = 'cleared', why = %(why)s, closed_at = %(at)s, cleared_by = %(run)s
        from (select run, no from late where class = 'wrong_day'
          union select earlier, earlier_no from late) as gone
        where b.run = gone.run and b.no = gone.no and b.state = 'open'
        """,
        _params(run) | {"at": from_us(at_us), "why": f"bill of {run.day}"},
    )


async def sums(conn: Conn, run: str) -> dict[str, int]:
    """What came less what went, by each side, and the fees. Only what is done counts."""
    rows = await fetch_all(
        conn,
        dict,
        """
        select l.*, b.*, (select count(*) from reconciliation.pair where run = %(run)s) as pairs
        from (select coalesce(sum(case when status <> 'done' then 0
              when kind in ('pay', 'return', 'deposit') then amount_fen
              when kind in ('refund', 'recall', 'fee') then -amount_fen else 0 end), 0)::bigint
              as theirs_fen,
            coalesce(sum(fee_mfen), 0)::bigint as fees_mfen
          from reconciliation.line where run = %(run)s) as l,
        (select coalesce(sum(case when status <> 'done' then 0
              when kind in ('pay', 'return', 'deposit') then amount_fen
              when kind in ('refund', 'recall', 'fee') then -amount_fen else 0 end), 0)::bigint
              as ours_fen,
            count(*) as books
          from reconciliation.book where run = %(run)s) as b
        """,
        {"run": run},
    )
    return rows[0]


def _params(run: Run) -> dict[str, Any]:
    return {"run": run.id, "source": run.source, "subject": run.subject, "day": run.day}
