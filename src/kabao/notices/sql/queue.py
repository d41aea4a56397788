"""Statements on lanes and deliveries.

A lane's row is locked by whoever adds to it, takes a lease on it or sends from
it, so `pending` is exact and a lane that is empty can be deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.notices.model.deliveries import Delivery, DeliveryState, Reply


class Queued(msgspec.Struct, frozen=True):
    """A delivery about to wait."""

    id: str
    endpoint: str
    lane: str
    event: str
    type: str
    body: str


class Head(msgspec.Struct, frozen=True):
    """What is to be sent next in a lane."""

    id: str
    event: str
    body: str
    attempts: int


class Lease(msgspec.Struct, frozen=True):
    """The right to send from a lane, until then."""

    endpoint: str
    lane: str
    lease: str
    until: datetime


async def lock_relay(conn: Conn) -> bool:
    """Whether this transaction is the only one that relays."""
    return bool(
        await fetch_value(
            conn, "select pg_try_advisory_xact_lock(hashtextextended('notices.relay', 0))"
        )
    )


async def enqueue(conn: Conn, queued: Sequence[Queued], at: datetime) -> None:
    """Deliveries wait, in this order within each lane. One that is there already is not added."""
    await conn.execute(
        "with added as (insert into notices.delivery"
        " (id, endpoint, lane, event, type, body, state, attempts, created_at)"
        " select id, endpoint, lane, event, type, body, 'waiting', 0, %(at)s"
        " from unnest(%(ids)s::uuid[], %(endpoints)s::uuid[], %(lanes)s::uuid[],"
        "   %(events)s::text[], %(types)s::text[], %(bodies)s::text[])"
        "   with ordinality as q (id, endpoint, lane, event, type, body, place) order by place"
        " on conflict (endpoint, event) do nothing returning endpoint, lane)"
        " insert into notices.lane as l (endpoint, lane, pending, next_at)"
        " select endpoint, lane, count(*), %(at)s from added group by 1, 2 order by 1, 2"
        " on conflict (endpoint, lane) do update set pending = l.pending + excluded.pending",
        {
            "at": at,
            "ids": [q.id for q in queued],
            "endpoints": [q.endpoint for q in queued],
            "lanes": [q.lane for q in queued],
            "events": [q.event for q in queued],
            "types": [q.type for q in queued],
            "bodies": [q.body for q in queued],
        },
    )


async def lease(
    conn: Conn, endpoint: str, token: str, at: datetime, until: datetime, limit: int
) -> list[Lease]:
    """Take lanes of an endpoint that are due and that nobody is sending, longest due first."""
    return await fetch_all(
        conn,
        Lease,
        "with due as (select lane from notices.lane where endpoint = %(endpoint)s"
        "   and next_at <= %(at)s and (leased_until is null or leased_until <= %(at)s)"
        "   order by next_at limit %(limit)s for update skip locked)"
        " update notices.lane l set lease = %(token)s, leased_until = %(until)s from due"
        " where l.endpoint = %(endpoint)s and l.lane = due.lane"
        " returning l.endpoint, l.lane, l.lease, l.leased_until as until",
        {"endpoint": endpoint, "token": token, "at": at, "until": until, "limit": limit},
    )


async def waiting(conn: Conn) -> int:
    """How many deliveries wait, for everybody."""
    return int(await fetch_value(conn, "select coalesce(sum(pending), 0) from notices.lane"))


async def heads(conn: Conn, lease: Lease, limit: int) -> list[Head]:
    """What waits in a lane, in order."""
    return await fetch_all(
        conn,
        Head,
        "select id, event, body, attempts from notices.delivery"
        " where endpoint = %s and lane = %s and state = 'waiting' order by no limit %s",
        [lease.endpoint, lease.lane, limit],
    )


async def delivered(conn: Conn, lease: Lease, ident: str, reply: Reply, at: datetime) -> bool:
    """It arrived; False when the lease was lost meanwhile, and somebody else sends it too."""
    done = await conn.execute(
        "with held as (update notices.lane set pending = pending - 1"
        "   where endpoint = %(endpoint)s and lane = %(lane)s and lease = %(lease)s returning 1)"
        " update notices.delivery set state = 'delivered', attempts = attempts + 1,"
        " last_status = %(status)s, last_error = null, last_at = %(at)s, delivered_at = %(at)s"
        " where id = %(id)s and state = 'waiting' and exists (select 1 from held)",
        asdict(lease) | {"id": ident, "status": reply.status, "at": at},
    )
    return done.rowcount == 1


async def failed(
    conn: Conn, lease: Lease, ident: str, reply: Reply, at: datetime, *, dead: bool
) -> bool:
    """It did not arrive; False when the lease was lost meanwhile."""
    done = await conn.execute(
        "update notices.delivery set attempts = attempts + 1, last_status = %(status)s,"
        " last_error = %(error)s, last_at = %(at)s, state = %(state)s"
        " where id = %(id)s and state = 'waiting' and exists (select 1 from notices.lane"
        "   where endpoint = %(endpoint)s and lane = %(lane)s and lease = %(lease)s)",
        asdict(lease)
        | {
            "id": ident,
            "status": reply.status,
            "error": reply.outcome,
            "at": at,
            "state": DeliveryState.DEAD if dead else DeliveryState.WAITING,
        },
    )
    return done.rowcount == 1


async def release(conn: Conn, lease: Lease, next_at: datetime, *, fewer: int = 0) -> None:
    """Let go of a lane until then; an empty one goes."""
    params = asdict(lease) | {"next_at": next_at, "fewer": fewer}
    await conn.execute(
        "update notices.lane set pending = pending - %(fewer)s, lease = null,"
        " leased_until = null, next_at = %(next_at)s"
        " where endpoint = %(endpoint)s and lane = %(lane)s and lease = %(lease)s",
        params,
    )
    await conn.execute(
        "delete from notices.lane"
        " where endpoint = %(endpoint)s and lane = %(lane)s and pending = 0",
        params,
    )


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Delivery | None:
    """One delivery."""
    row = await fetch_one(
        conn,
        dict,
        "select * from notices.delivery where id = %s for update"
        if lock
        else "select * from notices.delivery where id = %s",
        [ident],
    )
    return convert(row, Delivery | None)


async def again(conn: Conn, delivery: Delivery, at: datetime) -> None:
    """Send it once more, before what waits in its lane."""
    await conn.execute(
        "update notices.delivery set state = 'waiting', attempts = 0, delivered_at = null"
        " where id = %s",
        [delivery.id],
    )
    await conn.execute(
        "insert into notices.lane as l (endpoint, lane, pending, next_at)"
        " values (%(endpoint)s, %(lane)s, 1, %(at)s)"
        " on conflict (endpoint, lane) do update set pending = l.pending + 1, next_at = %(at)s",
        {"endpoint": delivery.endpoint, "lane": delivery.lane, "at": at},
    )


async def search(
    conn: Conn,
    endpoints: Collection[str],
    *,
    state: DeliveryState | None,
    event: str | None,
    before: str | None,
    limit: int,
) -> list[Delivery]:
    """Deliveries to these endpoints, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from notices.delivery where endpoint = any(%(endpoints)s::uuid[])"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(event)s::text is null or event = %(event)s)"
        " and (%(before)s::uuid is null or id < %(before)s::uuid)"
        " order by id desc limit %(limit)s",
        {
            "endpoints": list(endpoints),
            "state": state,
            "event": event,
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Delivery])


async def purge_orphans(conn: Conn) -> None:
    """Forget what began to wait for an endpoint while it was removed."""
    await conn.execute(
        "with gone as (delete from notices.lane l where not exists"
        "   (select 1 from notices.endpoint e where e.id = l.endpoint) returning endpoint, lane)"
        " delete from notices.delivery d using gone"
        " where d.endpoint = gone.endpoint and d.lane = gone.lane"
    )


async def purge(conn: Conn, before: datetime, limit: int) -> int:
    """Forget deliveries that have ended, made before a moment."""
    done = await conn.execute(
        "delete from notices.delivery where id in (select id from notices.delivery"
        " where created_at < %s and state <> 'waiting' order by created_at limit %s)",
        [before, limit],
    )
    return done.rowcount
