"""Statements on bulk issues and the secrets they leave for a while."""

from __future__ import annotations

from datetime import datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn
from kabao.cards.model import Batch, BatchState
from kabao.cards.sql import row, rows

_BATCH: LiteralString = (
    "select id, programme, carrier, reference, location, requested, issued, state, created_by,"
    " approval, created_at, ended_at from cards.batch"
)


async def insert_batch(conn: Conn, batch: Batch) -> None:
    """A bulk issue that is about to run."""
    await conn.execute(
        "insert into cards.batch (id, programme, carrier, reference, location, requested, issued,"
        " state, created_by, approval, created_at) values (%(id)s, %(programme)s, %(carrier)s,"
        " %(reference)s, %(location)s, %(requested)s, %(issued)s, %(state)s, %(created_by)s,"
        " %(approval)s, %(created_at)s)",
        msgspec.structs.asdict(batch),
    )


async def batch(conn: Conn, ident: str) -> Batch | None:
    """A bulk issue as it stands."""
    return await row(conn, Batch, _BATCH + " where id = %s", [ident])


async def lock_batch(conn: Conn, ident: str) -> Batch | None:
    """A bulk issue, so that two workers take turns chunk by chunk."""
    return await row(conn, Batch, _BATCH + " where id = %s for update", [ident])


async def unfinished_batches(conn: Conn) -> list[Batch]:
    """Bulk issues a crash may have left behind, oldest first."""
    return await rows(
        conn, Batch, _BATCH + " where state = %s order by id limit 100", [BatchState.RUNNING]
    )


async def advance_batch(
    conn: Conn, ident: str, issued: int, state: BatchState, ended_at: datetime | None
) -> None:
    """How far a bulk issue has come."""
    await conn.execute(
        "update cards.batch set issued = %s, state = %s, ended_at = %s where id = %s",
        [issued, state, ended_at, ident],
    )


async def insert_chunk(
    conn: Conn, ident: str, batch: str, first: int, cards: int, sealed: bytes, wipe_at: datetime
) -> None:
    """What one transaction of a bulk issue made, with its secrets."""
    await conn.execute(
        "insert into cards.batch_chunk (id, batch, first_serial, cards, secrets_sealed, wipe_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        [ident, batch, first, cards, sealed, wipe_at],
    )


async def next_chunk_with_secrets(
    conn: Conn, batch: str, now: datetime
) -> tuple[str, int, bytes] | None:
    """The first chunk of a batch whose secrets are still there: id, first serial, sealed."""
    found = await (
        await conn.execute(
            "select id, first_serial, secrets_sealed from cards.batch_chunk"
            " where batch = %s and secrets_sealed is not null and wipe_at > %s"
            " order by first_serial limit 1 for update",
            [batch, now],
        )
    ).fetchone()
    return None if found is None else (found[0], found[1], bytes(found[2]))


async def forget_chunk(conn: Conn, ident: str, revealed_at: datetime) -> None:
    """Its secrets were shown and are gone."""
    await conn.execute(
        "update cards.batch_chunk set secrets_sealed = null, revealed_at = %s where id = %s",
        [revealed_at, ident],
    )


async def chunks_with_secrets(conn: Conn, batch: str, now: datetime) -> tuple[int, int]:
    """How many of a batch's cards there are, and how many still have secrets to show."""
    found = await (
        await conn.execute(
            "select coalesce(sum(cards), 0), coalesce(sum(cards) filter"
            " (where secrets_sealed is not null and wipe_at > %s), 0)"
            " from cards.batch_chunk where batch = %s",
            [now, batch],
        )
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


async def wipe_secrets(conn: Conn, now: datetime) -> int:
    """Forget secrets nobody fetched in time; how many chunks."""
    cursor = await conn.execute(
        "update cards.batch_chunk set secrets_sealed = null"
        " where secrets_sealed is not null and wipe_at <= %s",
        [now],
    )
    return cursor.rowcount
