"""Statements about channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.funding.model.channels import Channel, ChannelState

_SELECT: LiteralString = """
select id, company, name, kind, scenes, purposes, fee_ppm, fee_min_fen, fee_max_fen, cycle, min_fen,
  max_fen, daily_fen, priority, state, revision, created_at
from funding.channel
"""


async def next_revision(conn: Conn) -> int:
    """Raise the revision, and hold its row until the transaction ends: one change at a time."""
    revision: int = await fetch_value(
        conn,
        "insert into funding.revision as r (id, revision) values (1, 1)"
        " on conflict (id) do update set revision = r.revision + 1 returning r.revision",
    )
    return revision


async def revision(conn: Conn) -> int:
    """The revision of all channels; 0 when there never was one."""
    return await fetch_value(conn, "select revision from funding.revision") or 0


async def since(conn: Conn, revision: int) -> list[tuple[Channel, bytes]]:
    """Channels changed after a revision, each with its sealed account."""
    rows = await fetch_all(
        conn, dict, _with_account(_SELECT) + "where revision > %s order by revision", [revision]
    )
    return [(_channel(row), bytes(row["account"])) for row in rows]


def _with_account(select: LiteralString) -> LiteralString:
    return select.replace("created_at", "created_at, account")


async def insert(conn: Conn, channel: Channel, account: bytes) -> bool:
    """A new channel; False if the company has one of that name."""
    done = await conn.execute(
        """
        insert into funding.channel (id, company, name, kind, scenes, purposes, fee_ppm,
          fee_min_fen, fee_max_fen, cycle, min_fen, max_fen, daily_fen, priority, state, account,
          revision, created_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (company, name) do nothing
        """,
        [
            channel.id,
            channel.company,
            channel.name,
            channel.kind,
            [str(scene) for scene in channel.scenes],
            list(channel.purposes),
            channel.fee_ppm,
            channel.fee_min_fen,
            channel.fee_max_fen,
            channel.cycle,
            channel.min_fen,
            channel.max_fen,
            channel.daily_fen,
            channel.priority,
            channel.state,
            account,
            channel.revision,
            channel.created_at,
        ],
    )
    return done.rowcount == 1


async def named(conn: Conn, company: str, name: str) -> bool:
    """Whether a company has a channel of that name."""
    sql = "select true from funding.channel where company = %s and name = %s"
    return await fetch_value(conn, sql, [company, name]) is not None


async def set_account(conn: Conn, ident: str, account: bytes, revision: int) -> None:
    """Give a channel another account."""
    await conn.execute(
        "update funding.channel set account = %s, revision = %s where id = %s",
        [account, revision, ident],
    )


async def set_state(conn: Conn, ident: str, state: ChannelState, revision: int) -> None:
    """Pause or resume."""
    await conn.execute(
        "update funding.channel set state = %s, revision = %s where id = %s",
        [state, revision, ident],
    )


async def get(conn: Conn, ident: str) -> Channel | None:
    """One channel."""
    row = await fetch_one(conn, dict, _SELECT + "where id = %s", [ident])
    return None if row is None else _channel(row)


async def search(
    conn: Conn, companies: Sequence[str] | None, after: str | None, limit: int
) -> list[Channel]:
    """Channels, oldest first; `companies` None: of every company."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT
        + """
        where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))
          and (%(after)s::uuid is null or id > %(after)s)
        order by id limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "after": after,
            "limit": limit,
        },
    )
    return [_channel(row) for row in rows]


def _channel(row: dict[str, object]) -> Channel:
    return msgspec.convert(row, Channel)
