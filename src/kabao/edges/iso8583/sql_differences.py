"""Statements about differences between tills and books, and who resolved them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one
from kabao.edges.iso8583.sql_reading import Where


class Place(msgspec.Struct, frozen=True):
    """Which difference."""

    terminal: str
    batch: int
    trace: int
    direction: int
    kind: str


class DifferenceShown(msgspec.Struct, frozen=True):
    """A message about which till and host differ, the batch's store, and what became of it."""

    terminal: str
    batch: int
    store: str
    trace: int
    direction: int
    kind: str
    till_fen: int | None
    host_fen: int | None
    found_at: datetime
    approval: str | None
    correction: str | None
    resolved_at: datetime | None

    @property
    def place(self) -> Place:
        """Which one it is."""
        return Place(self.terminal, self.batch, self.trace, self.direction, self.kind)


class OpenStore(msgspec.Struct, frozen=True):
    """What is open of a store's batches."""

    store: str
    lines: int
    """Messages of its batches."""
    uploading: int
    """Batches that are not settled."""
    open: int
    """Differences that nobody has resolved."""


_SHOWN = (
    "select d.terminal, d.batch, b.store, d.trace, d.direction, d.kind, d.till_fen, d.host_fen,"
    " d.found_at, d.approval, d.correction, d.resolved_at"
    " from pos.difference d join pos.batch b using (terminal, batch)"
)


async def differences(
    conn: Conn,
    where: Where,
    before: tuple[int, str, int, int, int, str] | None,
    limit: int,
    *,
    resolved: bool | None,
) -> list[DifferenceShown]:
    """Differences, the last found first; `before`: time (microseconds) and the key."""
    at_us, terminal, number, trace, direction, kind = before or (None,) * 6
    named: dict[str, Any] = {
        "resolved": resolved,
        "last_at": None if at_us is None else from_us(at_us),
        "last_terminal": terminal,
        "last_batch": number,
        "last_trace": trace,
        "last_direction": direction,
        "last_kind": kind,
        "limit": limit,
    }
    return await fetch_all(
        conn,
        DifferenceShown,
        _SHOWN + " where (%(stores)s::uuid[] is null or b.store = any(%(stores)s::uuid[]))"
        " and (%(terminal)s::uuid is null or d.terminal = %(terminal)s)"
        " and (%(begin)s::timestamptz is null or d.found_at >= %(begin)s)"
        " and (%(end)s::timestamptz is null or d.found_at < %(end)s)"
        " and (%(resolved)s::boolean is null or (d.resolved_at is not null) = %(resolved)s)"
        " and (%(last_at)s::timestamptz is null"
        " or (d.found_at, d.terminal, d.batch, d.trace, d.direction, d.kind)"
        " < (%(last_at)s, %(last_terminal)s::uuid, %(last_batch)s, %(last_trace)s,"
        " %(last_direction)s, %(last_kind)s))"
        " order by d.found_at desc, d.terminal desc, d.batch desc, d.trace desc,"
        " d.direction desc, d.kind desc limit %(limit)s",
        where.named() | named,
    )


async def get(conn: Conn, place: Place, *, lock: bool = False) -> DifferenceShown | None:
    """A difference, if there is one."""
    return await fetch_one(
        conn,
        DifferenceShown,
        _SHOWN + " where d.terminal = %s and d.batch = %s and d.trace = %s"
        " and d.direction = %s and d.kind = %s" + (" for update of d" if lock else ""),
        list(msgspec.structs.astuple(place)),
    )


async def resolve(
    conn: Conn, place: Place, approval: str, correction: str | None, at: datetime
) -> None:
    """Two persons have looked into a difference."""
    await conn.execute(
        "update pos.difference set approval = %s, correction = %s, resolved_at = %s"
        " where terminal = %s and batch = %s and trace = %s and direction = %s and kind = %s",
        [approval, correction, at, *msgspec.structs.astuple(place)],
    )


async def open_stores(conn: Conn, begin: datetime, end: datetime) -> list[OpenStore]:
    """Stores with something open in batches whose settlement was asked for in a span."""
    return await fetch_all(
        conn,
        OpenStore,
        """
        select store, sum(lines)::bigint as lines, sum(uploading)::bigint as uploading,
          sum(differing)::bigint as open
        from (
          select b.store, b.debit_count + b.credit_count as lines,
            (b.state = 'uploading')::int as uploading,
            (select count(*) from pos.difference d where d.terminal = b.terminal
              and d.batch = b.batch and d.resolved_at is null) as differing
          from pos.batch b where b.asked_at >= %s and b.asked_at < %s) each
        group by store having sum(uploading) > 0 or sum(differing) > 0 order by store
        """,
        [begin, end],
    )
