"""Lock, decide, store: the middle of every posting, hot or cold.

All of it runs inside a transaction that somebody else opened and will commit: a
lane for gathered commands, the caller of `Ledger.post_in` for cold ones. One rule
set, two doors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from kabao.base import outbox
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Flush, Statements, quoted_array, sent, uuid_array
from kabao.ledger import sql
from kabao.ledger.digest import GENESIS, chain
from kabao.ledger.model import Command, Loader, Moment, Operation, Root
from kabao.ledger.posting import Played, play


class Locked(msgspec.Struct):
    """What a posting holds until its transaction ends."""

    moment: Moment
    roots: dict[str, Root]
    places: dict[str, str]
    """Where each root stands in its table."""
    known: dict[tuple[str, str], Operation]


class Chain(msgspec.Struct):
    """Where a writer's chain stands. A lane keeps its own; cold postings borrow one."""

    writer: int
    no: int
    digest: bytes


async def lock(
    conn: Statements,
    flush: Flush,
    commands: Sequence[Command[Any]],
    clock: Clock,
    days: BusinessDays,
    *,
    read_keys: bool = True,
) -> Locked:
    """On a pipe one round trip: the day's fence, the roots in id order, the known keys.

    The keys are read after the locks are held, so that two processes with the
    same key see each other (docs/decisions/0004). `read_keys=False` is for
    commands that always end in a kept operation: there the unique key finds a
    repetition, and the batch is decided again.
    """
    keyed = [c for c in commands if c.key] if read_keys else []
    ids = sorted({c.root for c in commands if c.root is not None})
    await conn.execute(sql.LOCK_FENCE)
    roots = await conn.execute(sql.LOCK_ROOTS, [uuid_array(ids)])
    known = None
    if keyed:
        known = await conn.execute(
            sql.LOCK_KNOWN,
            [uuid_array([c.company for c in keyed]), quoted_array([c.key for c in keyed])],
        )
    await flush()
    root_rows = await roots.fetchall()
    known_rows = await known.fetchall() if known is not None else ()
    if root_rows:
        last = root_rows[0][0]
    else:
        closed = await conn.execute(sql.LAST_CLOSED)
        await flush()
        last = (await closed.fetchone() or (None,))[0]
    return Locked(
        moment(clock, days, last),
        sql.roots_of(root_rows),
        sql.places_of(root_rows),
        {(row[0], row[1]): Operation(*row) for row in known_rows},
    )


async def held_elsewhere(conn: Statements, flush: Flush, roots: Collection[str]) -> set[str]:
    """Lock those of these roots that nobody else holds, after the day's fence. The others."""
    ids = [uuid_array(sorted(roots))]
    await conn.execute(sql.LOCK_FENCE)
    locked = await conn.execute(sql.LOCK_FREE_ROOTS, ids)
    there = await conn.execute(sql.ROOTS_THERE, ids)
    await flush()
    return {row[0] for row in await there.fetchall()} - {row[0] for row in await locked.fetchall()}


def moment(clock: Clock, days: BusinessDays, last_closed: date | None) -> Moment:
    """Now, and the business day to post into: never a closed one."""
    us = clock.now_us()
    day = days.of(us)
    if last_closed is not None and day <= last_closed:
        day = last_closed + timedelta(days=1)
    return Moment(us, day)


async def load(conn: Conn, commands: Sequence[Command[Any]]) -> dict[Loader, dict[Any, Any]]:
    """What commands need besides their roots: one read per loader."""
    wanted: dict[Loader, list[Any]] = {}
    for command in commands:
        if command.loader is not None:
            wanted.setdefault(command.loader, []).append(command.wanted)
    return {loader: dict(await loader(conn, keys)) for loader, keys in wanted.items()}


async def decide(
    conn: Conn, commands: Sequence[Command[Any]], clock: Clock, days: BusinessDays
) -> tuple[Played, Locked]:
    """Lock, load, and decide everything in arrival order."""
    locked = await lock(conn, sent, commands, clock, days)
    loaded = await load(conn, commands)
    return play(commands, locked.roots, locked.known, loaded, locked.moment), locked


async def store(conn: Statements, played: Played, locked: Locked, link: Chain) -> Chain:
    """Write what was decided. Returns the chain as it stands after the commit."""
    us = played.moment.us
    if played.changed:
        await sql.store_roots(
            conn,
            [(played.changed[i], played.roots[i]) for i in sorted(played.changed)],
            locked.places,
        )
    if played.operations:
        await sql.store_operations(conn, played.operations, us)
    if played.late:
        await sql.answer_late(conn, played.late)
    for writer, rows in played.rows.items():
        await writer(conn, rows)
    if played.lots:
        await sql.store_lots(conn, played.lots, us)
    if played.holds:
        await sql.store_holds(conn, list(played.holds.values()))
    await outbox.write(conn, played.events, us)
    if not played.transfers:
        return link
    no = link.no + 1
    digest = chain(link.digest, link.writer, no, played.moment.day, us, played.transfers)
    await sql.store_transfers(conn, played.transfers, link.writer, no)
    await sql.store_batch(
        conn, link.writer, no, len(played.transfers), digest, played.moment.day, us
    )
    return Chain(link.writer, no, digest)


async def open_chain(conn: Conn) -> Chain:
    """A fresh writer of one's own."""
    return Chain(await sql.new_writer(conn, shared=False, genesis=GENESIS), 0, GENESIS)


async def borrow_chain(conn: Conn) -> Chain:
    """A shared writer nobody else has locked, or a new one; held until commit."""
    free = await sql.free_writer(conn)
    if free is None:
        return Chain(await sql.new_writer(conn, shared=True, genesis=GENESIS), 0, GENESIS)
    return Chain(*free)
