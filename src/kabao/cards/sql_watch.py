"""Statements on what cashiers do to cards of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_value
from kabao.cards.flags import OwnCardFlag


class Held(msgspec.Struct, frozen=True):
    """A card with its value and its holder."""

    card: str
    root: str
    holder: str


class Activated(msgspec.Struct, frozen=True):
    """An activation at a counter."""

    n: int
    card: str
    terminal: str
    at: datetime


async def held_by(conn: Conn, holders: Collection[str], limit: int) -> list[Held]:
    """Cards of these holders."""
    return await fetch_all(
        conn,
        Held,
        "select id as card, root, holder from cards.card where holder = any(%s::uuid[]) limit %s",
        [list(holders), limit],
    )


async def activations(conn: Conn, cards: Collection[str], since: datetime) -> list[Activated]:
    """Activations of these cards at a terminal since a moment."""
    return await fetch_all(
        conn,
        Activated,
        "select n, card, terminal, at from cards.card_change where card = any(%s::uuid[])"
        " and verb = 'activate' and terminal is not null and at >= %s",
        [list(cards), since],
    )


async def note(conn: Conn, flag: OwnCardFlag) -> bool:
    """Put a flag down; False when it was noted before."""
    found = await fetch_value(
        conn,
        "insert into cards.own_card_flag (id, source, deed, store, cashier, card, amount_fen, at,"
        " noted_at) values (%(id)s, %(source)s, %(deed)s, %(store)s, %(cashier)s, %(card)s,"
        " %(amount_fen)s, %(at)s, %(noted_at)s) on conflict (source) do nothing returning 1",
        asdict(flag),
    )
    return found is not None


async def list_flags(
    conn: Conn, *, stores: Sequence[str] | None, before: str | None, limit: int
) -> list[OwnCardFlag]:
    """Flags of these stores, unless None, newest first."""
    return await fetch_all(
        conn,
        OwnCardFlag,
        "select * from cards.own_card_flag"
        " where (%(stores)s::uuid[] is null or store = any(%(stores)s::uuid[]))"
        " and (%(before)s::uuid is null or id < %(before)s::uuid) order by id desc"
        " limit %(limit)s",
        {"stores": None if stores is None else list(stores), "before": before, "limit": limit},
    )
