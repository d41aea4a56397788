"""The outbox: events written in the transaction of what they tell about.

A reader follows (xid, n). It never passes a transaction that is still open:
it reads only below the oldest running one, so an event that commits late is
never skipped (requirement T-19, invariant I-7). Order per root is `root_seq`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import (
    Conn,
    Statements,
    fetch_all,
    number_array,
    quoted_array,
    uuid_array,
)


class Pending(msgspec.Struct, frozen=True):
    """An event about to be written. `payload` is a Struct or dict."""

    type: str
    payload: Any
    version: int = 1
    root: str | None = None
    root_seq: int | None = None


class Written(msgspec.Struct, frozen=True):
    """An event as a reader gets it. (`xid`, `n`) is its position."""

    xid: str
    n: int
    root: str | None
    root_seq: int | None
    type: str
    version: int
    payload: Any
    recorded_at: Any


_WRITE = """
insert into base.outbox (root, root_seq, type, version, payload, recorded_at)
select root, root_seq, type, version, payload, %s
from unnest(%s::uuid[], %s::bigint[], %s::text[], %s::bigint[], %s::json[])
  with ordinality as e (root, root_seq, type, version, payload, n)
order by n
"""

_encode = msgspec.json.Encoder().encode


async def write(conn: Statements, events: Sequence[Pending], recorded_us: int) -> None:
    """Write events in the caller's transaction."""
    if not events:
        return
    await conn.execute(
        _WRITE,
        [
            from_us(recorded_us),
            uuid_array([e.root for e in events]),
            number_array([e.root_seq for e in events]),
            quoted_array([e.type for e in events]),
            number_array([e.version for e in events]),
            quoted_array([_encode(e.payload).decode() for e in events]),
        ],
    )


async def read(conn: Conn, reader: str, limit: int = 500) -> list[Written]:
    """The next events for a reader; empty when it has caught up."""
    return await fetch_all(
        conn,
        Written,
        """
        select o.xid::text as xid, o.n, o.root, o.root_seq, o.type, o.version, o.payload,
               o.recorded_at
        from base.outbox o
        where (o.xid, o.n) > (
            coalesce((select xid from base.outbox_reader where name = %(reader)s), '0'::xid8),
            coalesce((select n from base.outbox_reader where name = %(reader)s), 0))
          and o.xid < pg_snapshot_xmin(pg_current_snapshot())
        order by o.xid, o.n limit %(limit)s
        """,
        {"reader": reader, "limit": limit},
    )


async def advance(conn: Conn, reader: str, last: Written) -> None:
    """Remember how far a reader has come, in the transaction of its own work."""
    await conn.execute(
        """
        insert into base.outbox_reader (name, xid, n) values (%s, %s::text::xid8, %s)
        on conflict (name) do update set xid = excluded.xid, n = excluded.n
        """,
        [reader, last.xid, last.n],
    )
