"""Statements on the life of cards: changes and their record, PINs, what is due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, Statements, quoted_array, text_array
from kabao.cards import sql
from kabao.cards.model import Card, CredentialKind

_CARD: LiteralString = f"select {sql.CARD_COLUMNS} from cards.card"  # noqa: S608 - constant columns


async def cards(conn: Conn, ids: Collection[str]) -> dict[str, Card]:
    """Cards by id, as they are now."""
    found = await sql.rows(
        conn, Card, _CARD + " where id = any(%s::uuid[])", [text_array(list(ids))]
    )
    return {card.id: card for card in found}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a card: the row as it was, as it is, and why."""

    before: Card
    after: Card
    verb: str
    reason: str
    from_state: str
    basis: str
    other_card: str | None
    party: str | None
    amount_fen: int | None
    note: str
    done_by: str
    store: str | None
    terminal: str | None
    approval: str | None
    at: datetime


async def write_changes(conn: Statements, rows: Sequence[Change]) -> None:
    """Change cards under their roots' locks, and put it on record.

    That each card was as it was read has been made sure of before; the record
    of one that was not has no card, and the table refuses it.
    """
    after = [change.after for change in rows]
    await conn.execute(
        _WRITE_CHANGES,
        [
            text_array([card.id for card in after]),
            text_array([change.before.state.value for change in rows]),
            text_array([card.state.value for card in after]),
            text_array([card.reason for card in after]),
            _times([card.state_at for card in after]),
            _times([card.frozen_until for card in after]),
            text_array([card.holder for card in after]),
            text_array([card.expires_on for card in after]),
            text_array([card.location for card in after]),
            text_array([card.replaced_by for card in after]),
            _times([card.activated_at for card in after]),
            text_array([change.verb for change in rows]),
            text_array([change.reason for change in rows]),
            text_array([change.from_state for change in rows]),
            text_array([change.basis for change in rows]),
            text_array([change.other_card for change in rows]),
            text_array([change.party for change in rows]),
            text_array([change.amount_fen for change in rows]),
            quoted_array([change.note for change in rows]),
            quoted_array([change.done_by for change in rows]),
            text_array([change.store for change in rows]),
            text_array([change.terminal for change in rows]),
            text_array([change.approval for change in rows]),
            _times([change.at for change in rows]),
        ],
    )


_WRITE_CHANGES: LiteralString = """
with u as (
  select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
    %s::timestamptz[], %s::uuid[], %s::date[], %s::uuid[], %s::uuid[], %s::timestamptz[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::bigint[],
    %s::text[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[])
  as u (id, was, state, card_reason, state_at, frozen_until, holder, expires_on, location,
    replaced_by, activated_at, verb, reason, from_state, basis, other_card, party, amount_fen,
    note, done_by, store, terminal, approval, at)
), changed as (
  update cards.card c set state = u.state, reason = u.card_reason, state_at = u.state_at,
    frozen_until = u.frozen_until, holder = u.holder, expires_on = u.expires_on,
    location = u.location, replaced_by = u.replaced_by, activated_at = u.activated_at
  from u where c.id = u.id and c.state = u.was returning c.id
)
insert into cards.card_change (card, verb, reason, from_state, to_state, basis, other_card,
  party, amount_fen, note, done_by, store, terminal, approval, at)
select changed.id, u.verb, u.reason, u.from_state, u.state, u.basis, u.other_card, u.party,
  u.amount_fen, u.note, u.done_by, u.store, u.terminal, u.approval, u.at
from u left join changed on changed.id = u.id
"""


def _times(values: Sequence[datetime | None]) -> str:
    return quoted_array([None if value is None else value.isoformat() for value in values])


class Recorded(msgspec.Struct, frozen=True):
    """A line of a card's history."""

    n: int
    verb: str
    reason: str
    from_state: str
    to_state: str
    basis: str
    other_card: str | None
    party: str | None
    amount_fen: int | None
    note: str
    done_by: str
    store: str | None
    terminal: str | None
    approval: str | None
    at: datetime


_RECORDED: LiteralString = (
    "select n, verb, reason, from_state, to_state, basis, other_card, party, amount_fen, note,"
    " done_by, store, terminal, approval, at from cards.card_change"
)


async def history(conn: Conn, card: str, *, before: int | None, limit: int) -> list[Recorded]:
    """What happened to a card, the last first."""
    return await sql.rows(
        conn,
        Recorded,
        _RECORDED + " where card = %s and (%s::bigint is null or n < %s::bigint)"
        " order by n desc limit %s",
        [card, before, before, limit],
    )


async def last_of(conn: Conn, card: str, verbs: Sequence[str]) -> Recorded | None:
    """The last time one of these verbs happened to a card."""
    return await sql.row(
        conn,
        Recorded,
        _RECORDED + " where card = %s and verb = any(%s::text[]) order by n desc limit 1",
        [card, list(verbs)],
    )


# --- secrets ------------------------------------------------------------------------


class Pin(msgspec.Struct, frozen=True):
    """A card's PIN as it is kept."""

    secret_version: int
    pin_salt: bytes | None
    pin_mac: bytes | None

    def __repr__(self) -> str:
        return "Pin(…)"


async def pin(conn: Conn, card: str) -> Pin | None:
    """The PIN that goes with a card's number."""
    return await sql.row(
        conn,
        Pin,
        "select secret_version, pin_salt, pin_mac from cards.credential"
        " where card = %s and kind = %s",
        [card, CredentialKind.NUMBER],
    )


async def set_pin(conn: Conn, card: str, secret_version: int, salt: bytes, mac: bytes) -> None:
    """A new PIN; every credential of the card follows the root's secret version."""
    await conn.execute(
        "update cards.credential set secret_version = %(version)s,"
        " pin_salt = case when kind = %(number)s then %(salt)s else pin_salt end,"
        " pin_mac = case when kind = %(number)s then %(mac)s else pin_mac end"
        " where card = %(card)s",
        {
            "version": secret_version,
            "number": CredentialKind.NUMBER,
            "salt": salt,
            "mac": mac,
            "card": card,
        },
    )


async def add_permit(
    conn: Conn, approval: str, card: str, makers: Sequence[str], until: datetime
) -> None:
    """A second person has agreed to a PIN reset."""
    await conn.execute(
        "insert into cards.pin_permit (approval, card, makers, until)"
        " values (%s, %s, %s::text[], %s)",
        [approval, card, list(makers), until],
    )


async def use_permit(conn: Conn, card: str, maker: str, at: datetime) -> str | None:
    """Use up a permit for this card and maker, the oldest; its approval, or None."""
    row = await (
        await conn.execute(
            "update cards.pin_permit set used_at = %(at)s where approval = ("
            " select approval from cards.pin_permit where card = %(card)s"
            " and %(maker)s = any(makers) and used_at is null and until > %(at)s"
            " order by until limit 1 for update) returning approval",
            {"at": at, "card": card, "maker": maker},
        )
    ).fetchone()
    return None if row is None else str(row[0])


# --- what is due --------------------------------------------------------------------


async def over_on(conn: Conn, day: date, limit: int) -> list[Card]:
    """Active cards whose last day is before `day`, the longest over first."""
    return await sql.rows(
        conn,
        Card,
        _CARD + " where state = 'active' and expires_on < %s order by expires_on limit %s",
        [day, limit],
    )


async def lapsed_at(conn: Conn, at: datetime, limit: int) -> list[Card]:
    """Cards whose loss report has run out."""
    return await sql.rows(
        conn,
        Card,
        _CARD + " where frozen_until <= %s and state in ('lost', 'lost_frozen')"
        " order by frozen_until limit %s",
        [at, limit],
    )
