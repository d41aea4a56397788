"""Transfers between house accounts: the ledger's second journal.

Settling, netting, paying out and correcting touch no card, so there is no root to
lock. One advisory lock puts writers in order; the journal is one chain without gaps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import INVALID, KEY_REUSED
from kabao.ledger import sql, sql_house
from kabao.ledger.digest import GENESIS, house_chain
from kabao.ledger.model import (
    BARRED,
    HouseMove,
    HouseTransfer,
    Moment,
    Operation,
    OperationState,
)
from kabao.ledger.store import moment

MOVES_MAX = 50_000
"""How many transfers one operation may have: a settlement run of some thousand stores."""


class Moved(msgspec.Struct, frozen=True):
    """What is kept with an operation: the numbers of its transfers."""

    first: int
    transfers: int


async def move_in(
    conn: Conn,
    moves: Sequence[HouseMove],
    company: str,
    key: str,
    clock: Clock,
    days: BusinessDays,
) -> str:
    """See `Ledger.move_in`."""
    if not 0 < len(moves) <= MOVES_MAX:
        raise INVALID.error(f"An operation has one transfer or more, and at most {MOVES_MAX}.")
    mac = hashlib.sha256(msgspec.json.encode(moves)).digest()
    await conn.execute(sql.LOCK_FENCE)
    await sql_house.lock_house(conn)
    prior = (await sql.known_operations(conn, [(company, key)])).get((company, key))
    if prior is not None:
        return _again(prior, mac)
    now = moment(clock, days, await sql.last_closed(conn))
    op = operation_id(company, key)
    last, digest = await sql_house.last_link(conn) or (0, GENESIS)
    transfers = [_transfer(move, last + n, op, now) for n, move in enumerate(moves, start=1)]
    result = msgspec.json.encode(Moved(last + 1, len(moves))).decode()
    answered = Operation(company, key, op, None, mac, OperationState.ANSWERED, result)
    await sql.store_operations(conn, [answered], now.us)
    await sql_house.store(conn, transfers, house_chain(digest, transfers))
    return op


async def moved(conn: Conn, company: str, key: str) -> list[HouseTransfer]:
    """See `Ledger.house_moved`."""
    known = (await sql.known_operations(conn, [(company, key)])).get((company, key))
    if known is None:
        return []
    kept = msgspec.json.decode(known.result, type=Moved)
    return await sql_house.stretch(conn, kept.first, kept.transfers)


def operation_id(company: str, key: str) -> str:
    """The id of an operation of the house. It follows from its key, so that the same
    settlement, run again from the same books, gives the same bytes.
    """
    return hashlib.sha256(f"house|{company}|{key}".encode()).hexdigest()[:32]


def _again(prior: Operation, mac: bytes) -> str:
    if prior.state == OperationState.TOMBSTONE:
        raise BARRED.error(rule="P-19")
    if prior.mac != mac:
        raise KEY_REUSED.error()
    return prior.id


def _transfer(move: HouseMove, no: int, op: str, now: Moment) -> HouseTransfer:
    return HouseTransfer(
        no,
        op,
        move.debit,
        move.debit_owner,
        move.credit,
        move.credit_owner,
        move.amount_fen,
        move.currency,
        move.purpose,
        move.issuer,
        move.channel,
        move.related,
        move.for_date,
        now.us,
        now.day,
    )
