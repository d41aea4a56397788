"""Statements of the schema `pos`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, number_array, uuid_array
from kabao.edges.iso8583.model import Totals


class SessionRow(msgspec.Struct, frozen=True):
    """A terminal's session as stored; `proven` and `fresh` are sealed key pairs."""

    terminal: str
    algorithm: str
    tmk_version: int
    proven: bytes | None
    fresh: bytes | None
    cashier: str | None
    batch: int
    settled: bool
    signed_in: bool
    revision: int


async def _rows(conn: Conn, query: LiteralString, params: list[Any]) -> list[Any]:
    return list(await (await conn.execute(query, params)).fetchall())


_SESSION = (
    "terminal, algorithm, tmk_version, proven, fresh, cashier, batch, settled, signed_in, revision"
)


async def session(conn: Conn, terminal: str) -> SessionRow | None:
    """A terminal's session."""
    return await fetch_one(
        conn,
        SessionRow,
        f"select {_SESSION} from pos.session where terminal = %s",  # noqa: S608 - constant
        [terminal],
    )


async def lock_session(conn: Conn, terminal: str) -> SessionRow | None:
    """A terminal's session, locked: settlements of one terminal come one after the other."""
    return await fetch_one(
        conn,
        SessionRow,
        f"select {_SESSION} from pos.session where terminal = %s for update",  # noqa: S608 - as above
        [terminal],
    )


async def sign_in(
    conn: Conn,
    terminal: str,
    algorithm: str,
    tmk_version: int,
    fresh: bytes,
    cashier: str | None,
    at: datetime,
) -> SessionRow:
    """Fresh keys beside the proven ones, which go only with the master key they came under;
    the next batch if the last one is settled.
    """
    found = await fetch_one(
        conn,
        SessionRow,
        f"""
        insert into pos.session as s (terminal, algorithm, tmk_version, fresh, cashier, batch,
          settled, signed_in, revision, changed_at)
        values (%s, %s, %s, %s, %s, 1, false, true, 1, %s)
        on conflict (terminal) do update set
          proven = case when s.tmk_version = excluded.tmk_version then s.proven end,
          algorithm = excluded.algorithm, tmk_version = excluded.tmk_version,
          fresh = excluded.fresh, cashier = excluded.cashier,
          batch = case when s.settled then s.batch %% 999999 + 1 else s.batch end,
          settled = false, signed_in = true, revision = s.revision + 1,
          changed_at = excluded.changed_at
        returning {_SESSION}
        """,  # noqa: S608 - constant
        [terminal, algorithm, tmk_version, fresh, cashier, at],
    )
    assert found is not None, "an upsert returns its row"
    return found


async def prove(conn: Conn, terminal: str, fresh: bytes, at: datetime) -> None:
    """The fresh keys were used rightly: from now on only a new proof displaces them."""
    await conn.execute(
        "update pos.session set proven = fresh, fresh = null, revision = revision + 1,"
        " changed_at = %s where terminal = %s and fresh = %s",
        [at, terminal, fresh],
    )


async def end_session(conn: Conn, terminal: str, at: datetime, *, settled: bool) -> None:
    """The terminal must sign in again; with `settled`, into the next batch."""
    await conn.execute(
        "update pos.session set signed_in = false, settled = settled or %s,"
        " revision = revision + 1, changed_at = %s where terminal = %s",
        [settled, at, terminal],
    )


async def touch_session(conn: Conn, terminal: str, at: datetime) -> None:
    """Let every process read a terminal's session again."""
    await conn.execute(
        "update pos.session set revision = revision + 1, changed_at = %s where terminal = %s",
        [at, terminal],
    )


async def unsettled(conn: Conn) -> list[tuple[str, int]]:
    """Terminals and their batches that are open."""
    return await _rows(conn, "select terminal, batch from pos.session where not settled", [])


async def revisions_since(
    conn: Conn, since: datetime, terminals: Collection[str]
) -> list[tuple[str, int]]:
    """Which of these sessions changed since, and their revisions now."""
    return await _rows(
        conn,
        "select terminal, revision from pos.session"
        " where changed_at >= %s and terminal = any(%s::uuid[])",
        [since, uuid_array(list(terminals))],
    )


# --- entries ----------------------------------------------------------------------------------


class EntryRow(msgspec.Struct, frozen=True):
    """What a till asked for, as stored."""

    verb: str
    mac: bytes
    state: str
    amount_fen: int
    subject: str | None
    reply: str | None


Place = tuple[str, int, int]
"""Terminal, batch and trace."""


async def claim(
    conn: Conn,
    place: Place,
    verb: str,
    mac: bytes,
    at: datetime,
    *,
    amount_fen: int = 0,
    state: str = "open",
) -> EntryRow | None:
    """Claim a place; what was there before, if anything was, locked."""
    made = await conn.execute(
        "insert into pos.entry (terminal, batch, trace, verb, mac, state, amount_fen, created_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [*place, verb, mac, state, amount_fen, at],
    )
    if made.rowcount:
        return None
    return await fetch_one(
        conn,
        EntryRow,
        "select verb, mac, state, amount_fen, subject, reply from pos.entry"
        " where terminal = %s and batch = %s and trace = %s for update",
        list(place),
    )


async def entry(conn: Conn, place: Place) -> EntryRow | None:
    """What stands at a place."""
    return await fetch_one(
        conn,
        EntryRow,
        "select verb, mac, state, amount_fen, subject, reply from pos.entry"
        " where terminal = %s and batch = %s and trace = %s",
        list(place),
    )


async def close_entry(
    conn: Conn, place: Place, state: str, amount_fen: int, subject: str | None, reply: str | None
) -> None:
    """What came of it."""
    await conn.execute(
        "update pos.entry set state = %s, amount_fen = %s, subject = %s, reply = %s"
        " where terminal = %s and batch = %s and trace = %s",
        [state, amount_fen, subject, reply, *place],
    )


async def entries(conn: Conn, terminal: str, batch: int) -> list[tuple[int, str, str, int]]:
    """Trace, verb, state and amount of a batch's entries."""
    return await _rows(
        conn,
        "select trace, verb, state, amount_fen from pos.entry where terminal = %s and batch = %s",
        [terminal, batch],
    )


# --- batches ----------------------------------------------------------------------------------


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

    @property
    def totals(self) -> Totals:
        """The host's sums."""
        return Totals(self.debit_fen, self.debit_count, self.credit_fen, self.credit_count)


_BATCH = (
    "terminal, batch, store, state, debit_fen, debit_count, credit_fen, credit_count, claimed,"
    " asked_at, settled_at"
)


async def batch(conn: Conn, terminal: str, number: int) -> BatchRow | None:
    """A settlement, if it was asked for."""
    return await fetch_one(
        conn,
        BatchRow,
        f"select {_BATCH} from pos.batch where terminal = %s and batch = %s",  # noqa: S608 - constant
        [terminal, number],
    )


async def put_batch(conn: Conn, row: BatchRow) -> None:
    """Store a settlement, or what has become of it."""
    await conn.execute(
        f"""
        insert into pos.batch as b ({_BATCH})
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (terminal, batch) do update set state = excluded.state,
          debit_fen = excluded.debit_fen, debit_count = excluded.debit_count,
          credit_fen = excluded.credit_fen, credit_count = excluded.credit_count,
          claimed = excluded.claimed, settled_at = excluded.settled_at
        where b.state <> 'settled'
        """,  # noqa: S608 - constant
        list(msgspec.structs.astuple(row)),
    )


async def batches(
    conn: Conn, stores: Sequence[str] | None, before: datetime | None, limit: int
) -> list[BatchRow]:
    """Settled batches, the last first; `stores` None: of every store."""
    return await fetch_all(
        conn,
        BatchRow,
        f"select {_BATCH} from pos.batch where state = 'settled'"  # noqa: S608 - constant
        " and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(before)s::timestamptz is null or settled_at < %(before)s)"
        " order by settled_at desc limit %(limit)s",
        {
            "stores": None if stores is None else uuid_array(list(stores)),
            "before": before,
            "limit": limit,
        },
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
    rows = await _rows(
        conn,
        "select trace, direction, amount_fen from pos.uploaded where terminal = %s and batch = %s",
        [terminal, batch],
    )
    return {(trace, direction): amount for trace, direction, amount in rows}


async def differ(
    conn: Conn, place: Place, kind: str, till_fen: int | None, host_fen: int | None, at: datetime
) -> None:
    """Note where till and host differ, once."""
    await conn.execute(
        "insert into pos.difference (terminal, batch, trace, kind, till_fen, host_fen, found_at)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
        [*place, kind, till_fen, host_fen, at],
    )


async def differences(conn: Conn, terminal: str, batch: int) -> list[tuple[Any, ...]]:
    """Trace, kind, till's and host's amount."""
    return await _rows(
        conn,
        "select trace, kind, till_fen, host_fen from pos.difference"
        " where terminal = %s and batch = %s order by trace",
        [terminal, batch],
    )
