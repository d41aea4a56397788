"""Statements on cards and credentials. Programmes and batches have their own files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg.rows import dict_row

from kabao.base.db import Conn, Flush, Statements, fetch_value, text_array, uuid_array
from kabao.cards.model import Card, CredentialKind
from kabao.cards.states import CardState

CARD_COLUMNS: LiteralString = (
    "id, root, programme, carrier, state, reason, state_at, frozen_until, holder, expires_on,"
    " last4, key_version, batch, serial, location, replaces, replaced_by, issued_at, activated_at"
)

T = TypeVar("T")


async def rows(conn: Conn, kind: type[T], sql: LiteralString, params: Any = None) -> list[T]:
    """Rows as Structs, their closed choices as enums.

    Planned each time: what a list is filtered by decides which index it wants.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, params, prepare=False)
        return [msgspec.convert(row, kind) for row in await cursor.fetchall()]


async def row(conn: Conn, kind: type[T], sql: LiteralString, params: Any = None) -> T | None:
    """The one row as a Struct, or None."""
    found = await rows(conn, kind, sql, params)
    return found[0] if found else None


class CardRow(msgspec.Struct, frozen=True, kw_only=True):
    """A card to store; texts as COPY takes them."""

    id: str
    root: str
    programme: str
    carrier: str
    state: str
    reason: str | None
    state_at: datetime
    holder: str | None
    expires_on: date | None
    last4: str
    number_sealed: bytes
    key_version: int
    batch: str | None
    serial: int | None
    location: str | None
    replaces: str | None
    issued_at: datetime
    activated_at: datetime | None


_CARD_FIELDS = CardRow.__struct_fields__
_COPY_CARDS: LiteralString = (
    "copy cards.card (id, root, programme, carrier, state, reason, state_at, holder, expires_on,"
    " last4, number_sealed, key_version, batch, serial, location, replaces, issued_at,"
    " activated_at) from stdin"
)


async def copy_cards(conn: Conn, rows: Iterable[CardRow]) -> None:
    """Store cards. None of their texts can hold what COPY would have to escape."""
    text = "".join(
        ["\t".join([_copied(v) for v in msgspec.structs.astuple(r)]) + "\n" for r in rows]
    )
    async with conn.cursor().copy(_COPY_CARDS) as copy:
        await copy.write(text)


def _copied(value: object) -> str:
    """A value as COPY's text format takes it."""
    match value:
        case None:
            return "\\N"
        case str():
            return value
        case bytes():
            return "\\\\x" + value.hex()
        case _:
            return str(value)


class CredentialRow(msgspec.Struct, frozen=True):
    """A credential to store. `blind`: 32 hex characters."""

    blind: str
    card: str
    root: str
    secret_version: int
    pin_salt: bytes | None
    pin_mac: bytes | None


async def claim_credentials(
    conn: Conn, kind: CredentialKind, rows: Sequence[CredentialRow]
) -> set[str]:
    """Store credentials; the cards among them whose number was still free.

    The unique index decides: the others draw again.
    """
    cursor = await conn.execute(
        "insert into cards.credential (kind, blind, card, root, secret_version, pin_salt, pin_mac)"
        " select %s, blind, card, root, secret_version, decode(salt, 'hex'), decode(mac, 'hex')"
        " from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[])"
        " as c (blind, card, root, secret_version, salt, mac)"
        " on conflict (kind, blind) do nothing returning card",
        [
            kind,
            text_array([r.blind for r in rows]),
            text_array([r.card for r in rows]),
            text_array([r.root for r in rows]),
            text_array([r.secret_version for r in rows]),
            text_array([None if r.pin_salt is None else r.pin_salt.hex() for r in rows]),
            text_array([None if r.pin_mac is None else r.pin_mac.hex() for r in rows]),
        ],
    )
    return {row[0] for row in await cursor.fetchall()}


_CARD: LiteralString = f"select {CARD_COLUMNS} from cards.card"  # noqa: S608 - constant columns
_LIST_CARDS: LiteralString = (
    _CARD + " where (%(programme)s::uuid is null or programme = %(programme)s::uuid)"  # noqa: S608 - constant
    " and (%(issuers)s::uuid[] is null or programme in"
    "   (select p.id from cards.programme p where p.issuer = any(%(issuers)s::uuid[])))"
    " and (%(holder)s::uuid is null or holder = %(holder)s::uuid)"
    " and (%(states)s::text[] is null or state = any(%(states)s::text[]))"
    " and (%(before)s::uuid is null or id < %(before)s::uuid)"
    " order by id desc limit %(limit)s"
)


async def card(conn: Conn, ident: str) -> Card | None:
    """A card as it is now."""
    return await row(conn, Card, _CARD + " where id = %s", [ident])


async def list_cards(
    conn: Conn,
    *,
    issuers: Collection[str] | None,
    programme: str | None,
    holder: str | None,
    states: Collection[CardState] | None,
    before: str | None,
    limit: int,
) -> list[Card]:
    """Cards, newest first, at most `limit`, of programmes of these issuers."""
    return await rows(
        conn,
        Card,
        _LIST_CARDS,
        {
            "issuers": None if issuers is None else list(issuers),
            "programme": programme,
            "holder": holder,
            "states": None if states is None else [str(s) for s in states],
            "before": before,
            "limit": limit,
        },
    )


async def series(conn: Conn, batch: str, first: int, last: int) -> list[Card]:
    """The cards of a batch from one serial to another, in order."""
    return await rows(
        conn,
        Card,
        _CARD + " where batch = %s and serial between %s and %s order by serial",
        [batch, first, last],
    )


async def sealed_number(conn: Conn, card: str) -> bytes | None:
    """A card's number, sealed."""
    found = await fetch_value(conn, "select number_sealed from cards.card where id = %s", [card])
    return None if found is None else bytes(found)


# --- resolving: the hot read -------------------------------------------------------------

_FOUND: LiteralString = (
    "c.id::text, c.root::text, c.programme::text, c.last4, c.carrier, c.state, c.key_version,"
    " k.secret_version, k.pin_salt, k.pin_mac"
)
# As text psycopg's C loader takes them; the hyphens go in `resolve`.
BY_NUMBER: LiteralString = (
    f"select k.blind::text, {_FOUND} from cards.credential k"  # noqa: S608 - constant columns
    " join cards.card c on c.id = k.card where k.kind = 1 and k.blind = any(%s::uuid[])"
)
BY_NUMBER_AND_ID: LiteralString = (
    f"{BY_NUMBER} union all select c.id::text, {_FOUND} from cards.credential k"  # noqa: S608 - constant columns
    " join cards.card c on c.id = k.card where k.card = any(%s::uuid[]) and k.kind = 1"
)

Found = tuple[str, str, str, str, str, str, str, int, int, bytes | None, bytes | None]
"""What was looked for (a blind index or a card id), then the columns of `_FOUND`."""


async def resolve(
    conn: Statements, flush: Flush, blinds: Sequence[str], ids: Sequence[str]
) -> dict[str, Found]:
    """Cards by the blind index of their number and by id, with one statement."""
    if ids:
        answer = await conn.execute(BY_NUMBER_AND_ID, [uuid_array(blinds), uuid_array(ids)])
    else:
        answer = await conn.execute(BY_NUMBER, [uuid_array(blinds)])
    await flush()
    found: dict[str, Found] = {}
    for looked, card, root, programme, *rest in await answer.fetchall():
        key = looked.replace("-", "")
        found[key] = (
            key,
            card.replace("-", ""),
            root.replace("-", ""),
            programme.replace("-", ""),
            *rest,
        )
    return found
