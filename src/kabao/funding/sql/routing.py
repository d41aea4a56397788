"""Statements by which channels are chosen: how they did, how they stand, what they took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.funding.model.health import Breaker, Change, Standing, Tally
from kabao.funding.model.routing import Chosen, RefusedChoice

# How channels did


class Minute(msgspec.Struct, frozen=True):
    """What a channel did in a minute."""

    channel: str
    minute: int
    succeeded: int
    refused: int
    failed: int
    took_ms: int

    @property
    def tally(self) -> Tally:
        """Without the when."""
        return Tally(self.succeeded, self.refused, self.failed, self.took_ms)


async def minutes_since(conn: Conn, minute: int, channel: str | None = None) -> list[Minute]:
    """What channels did, or one of them, from a minute on."""
    return await fetch_all(
        conn,
        Minute,
        """
        select channel, minute, succeeded, refused, failed, took_ms from funding.channel_minute
        where minute >= %s and (%s::uuid is null or channel = %s) order by minute
        """,
        [minute, channel, channel],
    )


async def add_minute(conn: Conn, channel: str, minute: int, tally: Tally) -> None:
    """Count more of a channel's minute."""
    await conn.execute(
        """
        insert into funding.channel_minute as m
          (channel, minute, succeeded, refused, failed, took_ms)
        values (%s, %s, %s, %s, %s, %s)
        on conflict (channel, minute) do update set
          succeeded = m.succeeded + excluded.succeeded, refused = m.refused + excluded.refused,
          failed = m.failed + excluded.failed, took_ms = m.took_ms + excluded.took_ms
        """,
        [channel, minute, tally.succeeded, tally.refused, tally.failed, tally.took_ms],
    )


async def forget_minutes(conn: Conn, before: int) -> int:
    """Drop what has no weight any more. Gives how many minutes."""
    done = await conn.execute("delete from funding.channel_minute where minute < %s", [before])
    return done.rowcount


# How they stand

_STANDINGS: LiteralString = """
select channel, is_open, since_us, streak, probe_us, probes, lowered from funding.channel_standing
"""


class _Stood(msgspec.Struct, frozen=True):
    channel: str
    is_open: bool
    since_us: int
    streak: int
    probe_us: int | None
    probes: int
    lowered: bool

    @property
    def standing(self) -> Standing:
        breaker = Breaker(self.is_open, self.since_us, self.streak, self.probe_us, self.probes)
        return Standing(breaker, self.lowered)


async def standings(conn: Conn) -> dict[str, Standing]:
    """How every channel stands of which something was told."""
    rows = await fetch_all(conn, _Stood, _STANDINGS)
    return {row.channel: row.standing for row in rows}


async def lock_standing(conn: Conn, channel: str) -> Standing:
    """How a channel stands, and its row for us alone."""
    await conn.execute(
        "insert into funding.channel_standing"
        " (channel, is_open, since_us, streak, probes, lowered)"
        " values (%s, false, 0, 0, 0, false) on conflict do nothing",
        [channel],
    )
    row = await fetch_one(conn, _Stood, _STANDINGS + "where channel = %s for update", [channel])
    assert row is not None, "it was written just now"
    return row.standing


async def try_lock_standing(conn: Conn, channel: str) -> Standing | None:
    """The same without waiting; None while somebody else has it."""
    row = await fetch_one(
        conn, _Stood, _STANDINGS + "where channel = %s for update skip locked", [channel]
    )
    return None if row is None else row.standing


async def set_standing(conn: Conn, channel: str, standing: Standing) -> None:
    """How a channel stands from now on."""
    breaker = standing.breaker
    await conn.execute(
        """
        update funding.channel_standing set is_open = %s, since_us = %s, streak = %s,
          probe_us = %s, probes = %s, lowered = %s
        where channel = %s
        """,
        [
            breaker.is_open,
            breaker.since_us,
            breaker.streak,
            breaker.probe_us,
            breaker.probes,
            standing.lowered,
            channel,
        ],
    )


# What they took of a day


class Level(msgspec.Struct, frozen=True):
    """A channel's limit of a day, and how much of it is used."""

    channel: str
    daily_fen: int | None
    used_fen: int


async def levels(conn: Conn, channels: Sequence[str], day: date) -> dict[str, Level]:
    """The limits of channels, as they are this moment."""
    rows = await fetch_all(
        conn,
        Level,
        """
        select c.id as channel, c.daily_fen, coalesce(d.used_fen, 0) as used_fen
        from funding.channel c
        left join funding.channel_day d on d.channel = c.id and d.day = %s
        where c.id = any(%s::uuid[])
        """,
        [day, list(channels)],
    )
    return {row.channel: row for row in rows}


async def take_share(conn: Conn, channel: str, day: date, amount_fen: int, lowered_bp: int) -> bool:
    """Take an amount of a channel's day, if so much of its limit is left.

    The row of the day is ours until the transaction ends, so the limit is exact.
    `lowered_bp`: the part of the limit that holds while it is lowered.
    """
    await conn.execute(
        "insert into funding.channel_day (channel, day, used_fen) values (%s, %s, 0)"
        " on conflict do nothing",
        [channel, day],
    )
    done = await conn.execute(
        """
        update funding.channel_day d set used_fen = d.used_fen + %(amount)s
        from funding.channel c left join funding.channel_standing s on s.channel = c.id
        where d.channel = %(channel)s and d.day = %(day)s and c.id = d.channel
          and (c.daily_fen is null or d.used_fen + %(amount)s
            <= case when s.lowered then c.daily_fen * %(lowered)s / 10000 else c.daily_fen end)
        """,
        {"amount": amount_fen, "channel": channel, "day": day, "lowered": lowered_bp},
    )
    return done.rowcount == 1


async def return_share(conn: Conn, channel: str, day: date, amount_fen: int) -> None:
    """Give an amount back to a channel's day."""
    await conn.execute(
        "update funding.channel_day set used_fen = used_fen - %s where channel = %s and day = %s",
        [amount_fen, channel, day],
    )


async def settle_shares(conn: Conn, limit: int) -> int:
    """Return the shares of orders that ended unpaid, and keep those of paid ones.

    Gives how many were looked up. Days are locked in the order of channels.
    """
    found: int = await fetch_value(
        conn,
        """
        with due as (
          select h.id, o.state in ('failed', 'expired') as unpaid
          from funding.choice h
          join funding.channel_order o on o.collection = h.collection and o.channel = h.channel
          where h.share = 'open' and o.state not in ('created', 'pending', 'unknown')
          order by h.id limit %s for update of h skip locked
        ), settled as (
          update funding.choice h
          set share = case when due.unpaid then 'returned' else 'kept' end
          from due where due.id = h.id
          returning h.channel, h.day, h.amount_fen, h.share
        ), back as (
          select channel, day, sum(amount_fen)::bigint as fen from settled
          where share = 'returned' group by channel, day order by channel, day
        ), given as (
          update funding.channel_day d set used_fen = d.used_fen - back.fen
          from back where back.channel = d.channel and back.day = d.day
        )
        select count(*) from settled
        """,
        [limit],
    )
    return found


async def set_daily_limit(conn: Conn, channel: str, daily_fen: int | None, revision: int) -> None:
    """The limit of a channel's days from now on."""
    await conn.execute(
        "update funding.channel set daily_fen = %s, revision = %s where id = %s",
        [daily_fen, revision, channel],
    )


# Records


async def insert_choice(conn: Conn, chosen: Chosen, day: date) -> None:
    """Keep the record of a choice. Where nothing was chosen there is nothing to return."""
    await conn.execute(
        """
        insert into funding.choice (id, collection, channel, amount_fen, day, share, lines,
          created_at)
        values (%s, %s, %s, %s, %s, %s, %s::json, %s)
        """,
        [
            chosen.id,
            chosen.collection,
            chosen.channel,
            chosen.amount_fen,
            day,
            "returned" if chosen.channel is None else "open",
            msgspec.json.encode(chosen.lines).decode(),
            chosen.created_at,
        ],
    )


async def choices_of(conn: Conn, collection: str) -> list[Chosen]:
    """The records of a collection, oldest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select id, collection, channel, amount_fen, lines, created_at from funding.choice"
        " where collection = %s order by id",
        [collection],
    )
    return [msgspec.convert(row, Chosen) for row in rows]


async def insert_refused(conn: Conn, refused: Sequence[RefusedChoice]) -> None:
    """Keep the records of choices that came to nothing."""
    await conn.execute(
        """
        insert into funding.refused_choice (id, company, store, programme, scene, amount_fen, code,
          rule, lines, created_at)
        select id, company, store, programme, scene, amount_fen, code, rule, lines, created_at
        from json_to_recordset(%s::json) as r (id uuid, company uuid, store uuid, programme uuid,
          scene text, amount_fen bigint, code text, rule text, lines json, created_at timestamptz)
        on conflict (id) do nothing
        """,
        [msgspec.json.encode(refused).decode()],
    )


async def refused(
    conn: Conn,
    companies: Sequence[str] | None,
    stores: Sequence[str] | None,
    before: str | None,
    limit: int,
) -> list[RefusedChoice]:
    """Choices that came to nothing, newest first; None: not filtered."""
    rows = await fetch_all(
        conn,
        dict,
        """
        select id, company, store, programme, scene, amount_fen, code, rule, lines, created_at
        from funding.refused_choice
        where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))
          and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "stores": None if stores is None else list(stores),
            "before": before,
            "limit": limit,
        },
    )
    return [msgspec.convert(row, RefusedChoice) for row in rows]


async def forget_refused(conn: Conn, before: datetime) -> None:
    """Drop those that are older."""
    await conn.execute("delete from funding.refused_choice where created_at < %s", [before])


async def insert_change(conn: Conn, change: Change) -> None:
    """Keep that a breaker turned or a limit changed."""
    await conn.execute(
        """
        insert into funding.channel_change (id, channel, kind, by_id, by_name, reason, facts, at)
        values (%s, %s, %s, %s, %s, %s, %s::json, %s)
        """,
        [
            change.id,
            change.channel,
            change.kind,
            change.by_id,
            change.by_name,
            change.reason,
            msgspec.json.encode(change.facts).decode(),
            from_us(change.at_us),
        ],
    )


async def changes_of(conn: Conn, channel: str, limit: int) -> list[Change]:
    """What changed of a channel, newest first."""
    rows: list[Mapping[str, Any]] = await fetch_all(
        conn,
        dict,
        """
        select id, channel, kind, by_id, by_name, reason, facts,
          (extract(epoch from at) * 1000000)::bigint as at_us
        from funding.channel_change where channel = %s order by id desc limit %s
        """,
        [channel, limit],
    )
    return [msgspec.convert(row, Change) for row in rows]
