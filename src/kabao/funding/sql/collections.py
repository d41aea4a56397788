"""Statements about collections and their orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import msgspec

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.funding.model.collections import ChannelOrder, Collection, Held

_COLLECTION: LiteralString = """
select id, purpose, subject, company, store, terminal, programme, scene, amount_fen, currency,
  payer_ref, no_credit, channel, return_url, face_to_face, by_unit, title, state, current, wanted,
  settled, code, rule, (extract(epoch from created_at) * 1000000)::bigint as created_us,
  (extract(epoch from expires_at) * 1000000)::bigint as expires_us, business_date as day
from funding.collection
"""

_ORDER: LiteralString = """
select id, collection, no, channel, state, channel_no,
  (extract(epoch from paid_at) * 1000000)::bigint as paid_us, funds,
  (extract(epoch from begun_at) * 1000000)::bigint as begun_us,
  (extract(epoch from ask_at) * 1000000)::bigint as ask_us, asked,
  (extract(epoch from asked_at) * 1000000)::bigint as asked_us, shown, reference, refusal,
  (extract(epoch from created_at) * 1000000)::bigint as created_us,
  (extract(epoch from expires_at) * 1000000)::bigint as expires_us
from funding.channel_order
"""


async def insert(conn: Conn, collection: Collection) -> None:
    """A new collection."""
    fields = msgspec.structs.asdict(collection)
    fields |= {
        "created_at": from_us(collection.created_us),
        "expires_at": from_us(collection.expires_us),
    }
    await conn.execute(
        """
        insert into funding.collection (id, purpose, subject, company, store, terminal, programme,
          scene, amount_fen, currency, payer_ref, no_credit, channel, return_url, face_to_face,
          by_unit, title, state, current, wanted, settled, created_at, expires_at, business_date)
        values (%(id)s, %(purpose)s, %(subject)s, %(company)s, %(store)s, %(terminal)s,
          %(programme)s, %(scene)s, %(amount_fen)s, %(currency)s, %(payer_ref)s, %(no_credit)s,
          %(channel)s, %(return_url)s, %(face_to_face)s, %(by_unit)s, %(title)s, %(state)s,
          %(current)s, %(wanted)s, %(settled)s, %(created_at)s, %(expires_at)s, %(day)s)
        """,
        fields,
    )


async def update(conn: Conn, collection: Collection) -> None:
    """Bring a collection up to date."""
    await conn.execute(
        """
        update funding.collection set state = %(state)s, current = %(current)s,
          wanted = %(wanted)s, settled = %(settled)s, code = %(code)s, rule = %(rule)s
        where id = %(id)s
        """,
        msgspec.structs.asdict(collection),
    )


async def insert_order(conn: Conn, order: ChannelOrder) -> None:
    """A new order."""
    await conn.execute(
        """
        insert into funding.channel_order (id, collection, no, channel, state, funds, ask_at, asked,
          reference, created_at, expires_at)
        values (%(id)s, %(collection)s, %(no)s, %(channel)s, %(state)s, %(funds)s, %(ask_at)s,
          %(asked)s, %(reference)s, %(created_at)s, %(expires_at)s)
        """,
        _times(order),
    )


async def update_order(conn: Conn, order: ChannelOrder) -> None:
    """Bring an order up to date."""
    await conn.execute(
        """
        update funding.channel_order set state = %(state)s, channel_no = %(channel_no)s,
          paid_at = %(paid_at)s, funds = %(funds)s, begun_at = %(begun_at)s, ask_at = %(ask_at)s,
          asked = %(asked)s, asked_at = %(asked_at)s, shown = %(shown)s, refusal = %(refusal)s
        where id = %(id)s
        """,
        _times(order),
    )


def _times(order: ChannelOrder) -> dict[str, Any]:
    times = {
        "paid_at": order.paid_us,
        "begun_at": order.begun_us,
        "ask_at": order.ask_us,
        "asked_at": order.asked_us,
        "created_at": order.created_us,
        "expires_at": order.expires_us,
    }
    moments = {name: None if us is None else from_us(us) for name, us in times.items()}
    return msgspec.structs.asdict(order) | moments


async def set_payer(conn: Conn, order: str, payer: bytes) -> None:
    """Who paid an order, sealed."""
    await conn.execute("update funding.channel_order set payer = %s where id = %s", [payer, order])


async def payer(conn: Conn, order: str) -> bytes | None:
    """Who paid an order, sealed; None if the channel did not say."""
    sealed: bytes | None = await fetch_value(
        conn, "select payer from funding.channel_order where id = %s", [order]
    )
    return sealed


async def lock(conn: Conn, ident: str) -> Collection | None:
    """A collection, locked: its orders and refunds are changed by nobody else now."""
    rows = await fetch_all(conn, dict, _COLLECTION + "where id = %s for update", [ident])
    return _collection(rows[0]) if rows else None


async def lock_of_order(conn: Conn, order: str) -> Held | None:
    """An order with its collection, locked."""
    ident = await collection_of(conn, order)
    collection = None if ident is None else await lock(conn, ident)
    found = await get_order(conn, order)
    return None if collection is None or found is None else Held(collection, found)


async def held(conn: Conn, order: str) -> Held | None:
    """An order with its collection, as they are."""
    found = await get_order(conn, order)
    collection = None if found is None else await get(conn, found.collection)
    return None if collection is None or found is None else Held(collection, found)


async def collection_of(conn: Conn, order: str) -> str | None:
    """Which collection an order is of; that never changes."""
    found: str | None = await fetch_value(
        conn, "select collection from funding.channel_order where id = %s", [order]
    )
    return found


async def get(conn: Conn, ident: str) -> Collection | None:
    """One collection."""
    row = await fetch_one(conn, dict, _COLLECTION + "where id = %s", [ident])
    return None if row is None else _collection(row)


async def get_order(conn: Conn, ident: str) -> ChannelOrder | None:
    """One order."""
    row = await fetch_one(conn, dict, _ORDER + "where id = %s", [ident])
    return None if row is None else _order(row)


async def orders_of(conn: Conn, collection: str) -> list[ChannelOrder]:
    """The orders of a collection, in the order they were tried."""
    rows = await fetch_all(conn, dict, _ORDER + "where collection = %s order by no", [collection])
    return [_order(row) for row in rows]


async def waiting_for(conn: Conn, channel: str, references: Sequence[str]) -> list[Held]:
    """Orders of these references, whatever became of them, with their collections."""
    rows = await fetch_all(
        conn,
        dict,
        _ORDER + "where channel = %s and reference = any(%s)",
        [channel, list(references)],
    )
    found = []
    for row in rows:
        order = _order(row)
        collection = await get(conn, order.collection)
        assert collection is not None
        found.append(Held(collection, order))
    return found


async def order_of_number(conn: Conn, channel: str, channel_no: str) -> str | None:
    """The order that was paid by a payment of the channel's."""
    found: str | None = await fetch_value(
        conn,
        "select id from funding.channel_order where channel = %s and channel_no = %s"
        " order by id desc limit 1",
        [channel, channel_no],
    )
    return found


async def claim_due(
    conn: Conn, room: Mapping[str, int], most: int, now_us: int, again_us: int
) -> list[tuple[str, str]]:
    """Take orders that are due to be looked at; whoever fails leaves them due at `again_us`.

    Args:
        room: how many at most of each channel; others are left alone.
        most: how many in all.
    """
    rows = await conn.execute(
        """
        update funding.channel_order set ask_at = %s
        where id in (
          select due.id from unnest(%s::uuid[], %s::int[]) as room (channel, places)
          cross join lateral (
            select id from funding.channel_order o
            where o.channel = room.channel and o.ask_at <= %s
            order by o.ask_at limit room.places for update skip locked) due
          limit %s)
        returning id, channel
        """,
        [from_us(again_us), list(room), list(room.values()), from_us(now_us), most],
    )
    return [(row[0], row[1]) for row in await rows.fetchall()]


async def search(
    conn: Conn,
    *,
    companies: Sequence[str] | None,
    stores: Sequence[str] | None,
    subject: str | None,
    state: str | None,
    before: str | None,
    limit: int,
) -> list[Collection]:
    """Collections, newest first. None: not filtered."""
    rows = await fetch_all(
        conn,
        dict,
        _COLLECTION
        + """
        where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))
          and (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))
          and (%(subject)s::text is null or subject = %(subject)s)
          and (%(state)s::text is null or state = %(state)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "stores": None if stores is None else list(stores),
            "subject": subject,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )
    return [_collection(row) for row in rows]


def _collection(row: dict[str, Any]) -> Collection:
    return msgspec.convert(row, Collection)


def _order(row: dict[str, Any]) -> ChannelOrder:
    return msgspec.convert(row, ChannelOrder)
