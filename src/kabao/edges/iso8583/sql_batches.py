"""Statements about settlements: batches, what tills uploaded, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, number_array, uuid_array
from kabao.edges.iso8583.model import Totals


class BatchRow(msgspec.Struct, frozen=True):
    """A settlement as stored."""

    terminal: str
    batch: int
    store: str
    state: str
    debit_fen: int
    debit_count: int
    credit_fen: int
    credit_count: int
    claimed: str
    asked_at: datetime
    settled_at: datetime | None
    lines: str = "[]"
    """What was settled: [trace, direction, amount] for each message, as JSON."""

    @property
    def totals(self) -> Totals:
        """The host's sums."""
        return Totals(self.debit_fen, self.debit_count, self.credit_fen, self.credit_count)


_BATCH = (
    "terminal, batch, store, state, debit_fen, debit_count, credit_fen, credit_count, claimed,"
    " asked_at, settled_at, lines"
)


async def batch(conn: Conn, terminal: str, number: int) -> BatchRow | None:
    """A settlement, if it was asked for."""
    return await fetch_one(
        conn,
        BatchRow,
        f"select {_BATCH} from pos.batch where terminal = %s and batch = %s",  # noqa: S608 - constant columns
        [terminal, number],
    )


async def put_batch(conn: Conn, row: BatchRow) -> None:
    """Store a settlement, or what has become of it."""
    await conn.execute(
        f"""
        insert into pos.batch as b ({_BATCH})
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (terminal, batch) do update set state = excluded.state,
          debit_fen = excluded.debit_fen, debit_count = excluded.debit_count,
          credit_fen = excluded.credit_fen, credit_count = excluded.credit_count,
          claimed = excluded.claimed, settled_at = excluded.settled_at, lines = excluded.lines
        where b.state <> 'settled'
        """,  # noqa: S608 - constant columns
        list(msgspec.structs.astuple(row)),
    )


async def batches(
    conn: Conn, stores: Sequence[str] | None, before: datetime | None, limit: int
) -> list[BatchRow]:
    """Settled batches, the last first; `stores` None: of every store."""
    return await fetch_all(
        conn,
        BatchRow,
        f"select {_BATCH} from pos.batch where state = 'settled'"  # noqa: S608 - constant columns
        " and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(before)s::timestamptz is null or settled_at < %(before)s)"
        " order by settled_at desc limit %(limit)s",
        {
            "stores": None if stores is None else uuid_array(list(stores)),
            "before": before,
            "limit": limit,
        },
    )


async def unchecked(conn: Conn, before: datetime, limit: int) -> list[BatchRow]:
    """Batches settled before a moment and not looked at since, the first first."""
    return await fetch_all(
        conn,
        BatchRow,
        f"select {_BATCH} from pos.batch where settled_at < %s and checked_at is null"  # noqa: S608 - constant columns
        " order by settled_at limit %s",
        [before, limit],
    )


async def check(conn: Conn, terminal: str, number: int, at: datetime) -> None:
    """A settled batch was looked at again."""
    await conn.execute(
        "update pos.batch set checked_at = %s where terminal = %s and batch = %s",
        [at, terminal, number],
    )


async def upload(
    conn: Conn, terminal: str, batch: int, lines: Sequence[tuple[int, int, int]]
) -> None:
    """Keep uploaded lines (trace, direction, amount), each trace once."""
    await conn.execute(
        "insert into pos.uploaded (terminal, batch, trace, direction, amount_fen)"
        " select %s, %s, t.* from unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as t"
        " on conflict do nothing",
        [
            terminal,
            batch,
            number_array([line[0] for line in lines]),
            number_array([line[1] for line in lines]),
            number_array([line[2] for line in lines]),
        ],
    )


async def uploaded(conn: Conn, terminal: str, batch: int) -> dict[tuple[int, int], int]:
    """Amount by trace and direction, as uploaded."""
    cursor = await conn.execute(
        "select trace, direction, amount_fen from pos.uploaded where terminal = %s and batch = %s",
        [terminal, batch],
    )
    return {(trace, direction): amount for trace, direction, amount in await cursor.fetchall()}


class DifferenceRow(msgspec.Struct, frozen=True):
    """Where a till and the host differ about a message; `late`: what was settled, and what
    the books came to say afterwards.
    """

    trace: int
    direction: int
    kind: str
    till_fen: int | None
    host_fen: int | None


async def differ(
    conn: Conn, terminal: str, batch: int, found: Sequence[DifferenceRow], at: datetime
) -> None:
    """Note where till and host differ, each once; of what is late, how it stands now: whoever
    resolved it had looked at other figures.
    """
    for row in found:
        await conn.execute(
            "insert into pos.difference as d"
            " (terminal, batch, trace, direction, kind, till_fen, host_fen, found_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (terminal, batch, trace, direction, kind)"
            " do update set host_fen = excluded.host_fen, approval = null, correction = null,"
            " resolved_at = null"
            " where d.kind = 'late' and d.host_fen is distinct from excluded.host_fen",
            [terminal, batch, *msgspec.structs.astuple(row), at],
        )


async def forget_late(
    conn: Conn, terminal: str, batch: int, still: Sequence[tuple[int, int]]
) -> None:
    """What came late and has been undone since is no difference any more; `still`: trace
    and direction of those that are.
    """
    await conn.execute(
        "delete from pos.difference where terminal = %s and batch = %s and kind = 'late'"
        " and (trace, direction) not in (select * from unnest(%s::bigint[], %s::bigint[]))",
        [
            terminal,
            batch,
            number_array([trace for trace, _ in still]),
            number_array([direction for _, direction in still]),
        ],
    )


async def differences(conn: Conn, terminal: str, batch: int) -> list[DifferenceRow]:
    """Where till and host differ about a batch."""
    return await fetch_all(
        conn,
        DifferenceRow,
        "select trace, direction, kind, till_fen, host_fen from pos.difference"
        " where terminal = %s and batch = %s order by trace, direction, kind",
        [terminal, batch],
    )
