"""Statements of `paycodes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from kabao.base.db import (
    Conn,
    Flush,
    Statements,
    fetch_all,
    fetch_one,
    fetch_value,
    quoted_array,
    uuid_array,
)
from kabao.paycodes.model import Device, Phone


class SeenCode(msgspec.Struct, frozen=True):
    """A card's code as it was found."""

    card: str
    number: int
    until_us: int
    superseded: bool


class SeenDevice(msgspec.Struct, frozen=True):
    """A device as it was found by the head of a code."""

    card: str
    id: str
    key_sealed: bytes


# --- looking codes up ------------------------------------------------------------------------

_CODES: LiteralString = """
select c.blind, c.card, c.number, (extract(epoch from c.until_at) * 1000000)::bigint,
  c.number < s.number
from paycodes.code c join paycodes.series s on s.card = c.card
where c.blind = any(%s::uuid[])
"""
_DEVICES: LiteralString = """
select head, card, id, key_sealed from paycodes.device
where head = any(%s::text[]) and revoked_at is null
"""


async def find(
    conn: Statements, flush: Flush, blinds: Sequence[str], heads: Sequence[str]
) -> tuple[dict[str, SeenCode], dict[str, SeenDevice]]:
    """Cards' codes by blind index and devices by head, in one round trip."""
    codes = await conn.execute(_CODES, [uuid_array(blinds)])
    devices = await conn.execute(_DEVICES, [quoted_array(heads)])
    await flush()
    return (
        {row[0]: SeenCode(*row[1:]) for row in await codes.fetchall()},
        {row[0]: SeenDevice(row[1], row[2], bytes(row[3])) for row in await devices.fetchall()},
    )


# --- codes of a card -------------------------------------------------------------------------


async def next_number(conn: Conn, card: str) -> int:
    """The next number of a card's series, locked until the transaction ends: from its
    commit on, every older code is superseded.
    """
    number: int = await fetch_value(
        conn,
        "insert into paycodes.series (card, number) values (%s, 1)"
        " on conflict (card) do update set number = series.number + 1 returning number",
        [card],
    )
    return number


async def add_code(
    conn: Conn, blind: str, card: str, number: int, made_at: datetime, until_at: datetime
) -> bool:
    """Keep a code by its blind index; False when the same digits are kept already."""
    added = await conn.execute(
        "insert into paycodes.code (blind, card, number, made_at, until_at)"
        " values (%s, %s, %s, %s, %s) on conflict (blind) do nothing",
        [blind, card, number, made_at, until_at],
    )
    return added.rowcount == 1


async def forget_codes(conn: Conn, before: datetime, limit: int) -> int:
    """Delete codes that ended before a moment, at most `limit`; how many there were."""
    gone = await conn.execute(
        "delete from paycodes.code where blind in"
        " (select blind from paycodes.code where until_at < %s limit %s for update skip locked)",
        [before, limit],
    )
    return gone.rowcount


# --- devices ---------------------------------------------------------------------------------

_DEVICE: LiteralString = "select id, card, head, name, enrolled_at, revoked_at from paycodes.device"


async def count_devices(conn: Conn, card: str) -> int:
    """How many devices a card has now. Two that enrol at once wait for each other."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('device:' || %s, 0))", [card])
    count: int = await fetch_value(
        conn,
        "select count(*) from paycodes.device where card = %s and revoked_at is null",
        [card],
    )
    return count


async def add_device(
    conn: Conn, device: Device, key_sealed: bytes, public_key: bytes | None
) -> bool:
    """Keep a device; False when its head belongs to another, revoked or not."""
    told = [device.id, device.card, device.head, device.name, key_sealed, device.enrolled_at]
    added = await conn.execute(
        "insert into paycodes.device (id, card, head, name, key_sealed, enrolled_at, public_key)"
        " values (%s, %s, %s, %s, %s, %s, %s) on conflict (head) do nothing",
        [*told, public_key],
    )
    return added.rowcount == 1


_PHONE: LiteralString = """
select id, card, public_key, revoked_at from paycodes.device where public_key is not null
"""


async def phone(conn: Conn, ident: str) -> Phone | None:
    """A device that signs, revoked or not."""
    return await fetch_one(conn, Phone, _PHONE + " and id = %s", [ident])


async def phones_of(conn: Conn, cards: Sequence[str]) -> list[Phone]:
    """The devices of these cards that sign."""
    return await fetch_all(
        conn,
        Phone,
        _PHONE + " and revoked_at is null and card = any(%s::uuid[]) order by id",
        [uuid_array(cards)],
    )


async def device(conn: Conn, ident: str) -> Device | None:
    """A device as it is now."""
    return await fetch_one(conn, Device, _DEVICE + " where id = %s", [ident])


async def devices_of(conn: Conn, card: str, before: str | None, limit: int) -> list[Device]:
    """A card's devices, newest first."""
    return await fetch_all(
        conn,
        Device,
        _DEVICE
        + " where card = %s and (%s::uuid is null or id < %s::uuid) order by id desc limit %s",
        [card, before, before, limit],
    )


async def revoke_device(conn: Conn, ident: str, at: datetime) -> None:
    """End a device: its key is destroyed. Once is enough."""
    await conn.execute(
        "update paycodes.device set revoked_at = %s, key_sealed = null"
        " where id = %s and revoked_at is null",
        [at, ident],
    )
