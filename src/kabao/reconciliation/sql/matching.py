"""Pairing and classing, in sets. What is left of both sides is in two temporary tables.

`open_line` and `open_book` hold what no round has paired yet. They live as long as the
transaction: a run that is killed has matched nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from kabao.base.db import Conn
from kabao.reconciliation.model.rounds import Key, Round, Shape

_MEMORY = "64MB"
"""For each sort and hash: a bill of half a million lines is sorted in memory."""

_SIDE: LiteralString = """
create temp table {side} (
  no bigint, kind text, our_no text collate "C", our_sub_no text collate "C",
  their_no text collate "C", amount_fen bigint, currency char(3), minute bigint, day date,
  status text, named boolean) on commit drop
"""

_COLUMNS: LiteralString = """
no, kind, our_no, our_sub_no, their_no, amount_fen, currency, at_us / 60000000, day, status
"""

_KEY: dict[Key, LiteralString] = {
    Key.KIND: "kind",
    Key.OUR_NO: "our_no",
    Key.OUR_SUB_NO: "our_sub_no",
    Key.THEIR_NO: "their_no",
    Key.AMOUNT: "amount_fen",
    Key.CURRENCY: "currency",
    Key.MINUTE: "minute",
}


_LINES: LiteralString = """
insert into open_line select {columns}, false from reconciliation.line where run = %s
"""

_BOOKS: LiteralString = """
with added as (
  insert into reconciliation.book (run, no, kind, our_no, our_sub_no, their_no, amount_fen,
    fee_mfen, currency, at_us, day, status)
  select %(run)s, row_number() over (order by kind, our_no collate "C", our_sub_no collate "C",
      their_no collate "C", at_us)
      + (select count(*) from reconciliation.book where run = %(run)s),
    kind, our_no, our_sub_no, their_no, amount_fen, fee_mfen, currency, at_us, day, status
  from ({select}) as ours {new}
  returning *)
insert into open_book select {columns}, %(named)s from added
"""

_NEW: LiteralString = """
where not exists (
  select from reconciliation.book b where b.run = %(run)s and b.kind = ours.kind
    and b.our_no = ours.our_no and b.our_sub_no = ours.our_sub_no
    and b.their_no = ours.their_no)
"""


async def begin(conn: Conn, run: str) -> None:
    """Lay out the lines of a run."""
    await conn.execute("select set_config('work_mem', %s, true)", [_MEMORY])
    await conn.execute(_SIDE.format(side="open_line"))
    await conn.execute(_SIDE.format(side="open_book"))
    await conn.execute(_LINES.format(columns=_COLUMNS), [run])
    await conn.execute("analyze open_line")


async def add_books(
    conn: Conn, run: str, select: LiteralString, params: Mapping[str, Any], *, named: bool
) -> None:
    """Write down our side as its owner selects it; what is there already is left out.

    `named`: these were looked for by their numbers, whatever their day.
    """
    statement = _BOOKS.format(select=select, new=_NEW if named else "", columns=_COLUMNS)
    await conn.execute(statement, {**params, "run": run, "named": named})
    await conn.execute("analyze open_book")


async def left_numbers(conn: Conn, after: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Number, and the three numbers, of lines that no round has paired."""
    rows = await conn.execute(
        "select no, our_no, our_sub_no, their_no from open_line where no > %s order by no limit %s",
        [after, limit],
    )
    return [tuple(row) for row in await rows.fetchall()]


_REST: LiteralString = """
create temp table rest on commit drop as
select o.* from {side} o where not exists (
  select from reconciliation.pair p
  where p.run = %(run)s and p.round = %(round)s and p.{column} = o.no)
"""

_THEN: tuple[LiteralString, ...] = (
    "truncate {side}",
    "insert into {side} select * from rest",
    "drop table rest",
    "analyze {side}",
)


async def play(conn: Conn, run: str, round_: Round) -> None:
    """One round: pair what it pairs, and take it out of the game."""
    params = {"run": run, "round": round_.name}
    done = await conn.execute(_statement(round_), params)
    if done.rowcount:
        await _leave(conn, "open_line", "line", params)
        await _leave(conn, "open_book", "book", params)


async def _leave(
    conn: Conn, side: LiteralString, column: LiteralString, params: Mapping[str, Any]
) -> None:
    """Leave what the round has not paired. What is deleted would be read again by each later
    statement until the transaction ends, half a million rows each time.
    """
    await conn.execute(_REST.format(side=side, column=column), params)
    for then in _THEN:
        await conn.execute(then.format(side=side))


_ONE_TO_ONE: LiteralString = """
insert into reconciliation.pair (run, line, book, round)
select %(run)s, l.no, b.no, %(round)s
from (select no, {keys}, row_number() over (partition by {keys} order by no) as nth
  from open_line where {of_line}) as l
join (select no, {keys}, row_number() over (partition by {keys} order by no) as nth
  from open_book where {of_book}) as b using ({keys}, nth)
"""

_GROUPED: LiteralString = """
insert into reconciliation.pair (run, line, book, round)
select %(run)s, {pair}, %(round)s
from (select min(no) as no, {keys}, min(amount_fen) as amount_fen
  from {single} where {of_single} group by {keys} having count(*) = 1) as one
join (select array_agg(no) as nos, {keys}, sum(amount_fen)::bigint as amount_fen
  from {many} where {of_many} group by {keys} having count(*) > 1) as more
  using ({keys}, amount_fen)
cross join unnest(more.nos) as part
"""

_NOTHING: LiteralString = """
insert into reconciliation.pair (run, line, book, round)
select %(run)s, part, b.no, %(round)s
from open_book b
join (select array_agg(no) as nos, {keys} from open_line
  where status = 'done' and {of_line} group by {keys}
  having count(*) > 1
    and sum(case when kind in ('pay', 'return') then amount_fen else -amount_fen end) = 0) as l
  using ({keys})
cross join unnest(l.nos) as part
where b.status <> 'done' and {of_book}
"""
"""Lines that came and went again, of what is unpaid by our books. What did not go stays there."""


def _statement(round_: Round) -> LiteralString:
    keys: LiteralString = ", ".join([_KEY[key] for key in round_.keys])
    of_line = _filter(round_.filled, round_.line_lacks)
    of_book = _filter(round_.filled, round_.book_lacks)
    match round_.shape:
        case Shape.ONE_TO_ONE:
            return _ONE_TO_ONE.format(keys=keys, of_line=of_line, of_book=of_book)
        case Shape.NOTHING:
            return _NOTHING.format(keys=keys, of_line=of_line, of_book=of_book)
        case Shape.ONE_TO_MANY:
            return _GROUPED.format(
                keys=keys,
                pair="one.no, part",
                single="open_line",
                of_single=of_line,
                many="open_book",
                of_many=of_book,
            )
        case Shape.MANY_TO_ONE:
            return _GROUPED.format(
                keys=keys,
                pair="part, one.no",
                single="open_book",
                of_single=of_book,
                many="open_line",
                of_many=of_line,
            )


def _filter(filled: Sequence[Key], lacks: Sequence[Key]) -> LiteralString:
    wanted: list[LiteralString] = [_KEY[key] + " <> ''" for key in filled]
    wanted += [_KEY[key] + " = ''" for key in lacks]
    return " and ".join(wanted) or "true"
