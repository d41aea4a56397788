"""Filling our books with a day of payments at a channel, as the sandbox drew them.

Through the platform's own verbs half a million orders would take hours, so they are
copied in, as they look when everything about them has been told.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, LiteralString

import msgspec

from kabao.app.composition import Kabao
from kabao.base.clock import BusinessDays, from_us
from kabao.base.db import Conn
from kabao.funding.model.answers import Scene
from kabao.funding.model.channels import Channel, Terms

LIFE_US = 15 * 60 * 1_000_000
"""How long an order can be paid."""

_PROGRAMME = "0" * 32


class Account(msgspec.Struct, frozen=True):
    """A channel, as `python -m kabao_sandbox bills` writes it."""

    kind: str
    scenes: tuple[Scene, ...]
    fee_ppm: int
    account: dict[str, Any]


class Known(msgspec.Struct, frozen=True, gc=False):
    """A payment or refund of the books' file."""

    no: str
    refund_no: str
    number: str
    amount_fen: int
    at_us: int
    currency: str
    done: bool


def read_account(file: Path) -> Account:
    """A channel's account in a file."""
    return msgspec.json.decode(file.read_bytes(), type=Account)


async def add_channel(kabao: Kabao, company: str, said: Account) -> Channel:
    """A channel of a company."""
    terms = Terms(name=said.kind, kind=said.kind, scenes=said.scenes, fee_ppm=said.fee_ppm)
    async with kabao.db.transaction() as conn:
        channel = await kabao.funding.channels.add(conn, company, terms, said.account)
    await kabao.funding.channels.refresh()
    return channel


async def fill(kabao: Kabao, channel: Channel, books: Path) -> int:
    """Copy in the orders and refunds of a books' file; gives how many there are."""
    scene = channel.scenes[0].value
    days = kabao.days
    async with kabao.db.transaction() as conn:
        await _copy(conn, _COLLECTIONS, books, lambda one: _collection(one, channel, scene, days))
        await _copy(conn, _ORDERS, books, lambda one: _order(one, channel))
        numbers: dict[str, str] = {}
        count = await _copy(conn, _REFUNDS, books, lambda one: _refund(one, numbers))
    async with kabao.db.read() as conn:
        await conn.execute("vacuum analyze funding.collection, funding.channel_order")
    return count


_COLLECTIONS: LiteralString = """
copy funding.collection (id, purpose, subject, company, programme, scene, amount_fen, currency,
  no_credit, face_to_face, by_unit, title, state, current, wanted, settled, created_at, expires_at,
  business_date) from stdin
"""
_ORDERS: LiteralString = """
copy funding.channel_order (id, collection, no, channel, state, channel_no, paid_at, funds, asked,
  created_at, expires_at) from stdin
"""
_REFUNDS: LiteralString = """
copy funding.refund (id, collection, channel_order, back, amount_fen, channel_no, state, key,
  reason, asked, created_at, done_at) from stdin
"""

Row = tuple[object, ...]


async def _copy(
    conn: Conn, statement: LiteralString, books: Path, row: Callable[[Known], Row | None]
) -> int:
    count = 0
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for one in _read(books):
            count += 1
            made = row(one)
            if made is not None:
                await copy.write_row(made)
    return count


def _read(books: Path) -> Iterator[Known]:
    with books.open(newline="") as file:
        for cells in csv.DictReader(file):
            yield Known(
                no=cells["no"],
                refund_no=cells["refund_no"],
                number=cells["number"],
                amount_fen=int(cells["amount_fen"]),
                at_us=int(cells["at_us"]),
                currency=cells["currency"],
                done=cells["status"] == "done",
            )


def _state(one: Known) -> str:
    return "confirmed" if one.done else "failed"


def _collection(one: Known, channel: Channel, scene: str, days: BusinessDays) -> Row | None:
    if one.refund_no:
        return None
    created = from_us(one.at_us - LIFE_US // 2)
    on: date = days.of(one.at_us)
    return (
        one.no, "topup", one.no, channel.company, _PROGRAMME, scene, one.amount_fen, one.currency,
        False, False, False, "bench", _state(one), one.no, one.done, True, created,
        from_us(one.at_us + LIFE_US // 2), on,
    )  # fmt: skip


def _order(one: Known, channel: Channel) -> Row | None:
    if one.refund_no:
        return None
    # Of what failed no channel has told its number, but for a slip that a cashier recorded.
    number = one.number if one.done or Scene.TERMINAL in channel.scenes else None
    paid = from_us(one.at_us) if one.done else None
    created = from_us(one.at_us - LIFE_US // 2)
    return (
        one.no, one.no, 1, channel.id, _state(one), number, paid, "", 0, created,
        from_us(one.at_us + LIFE_US // 2),
    )  # fmt: skip


def _refund(one: Known, numbers: dict[str, str]) -> Row | None:
    """`numbers`: the payment that was seen last, of which a refund always is."""
    if not one.refund_no:
        numbers.clear()
        numbers[one.no] = one.number
        return None
    at = from_us(one.at_us)
    return (
        one.refund_no, one.no, one.no, "asked", one.amount_fen, numbers[one.no], "done",
        one.refund_no, "bench", 0, at, at,
    )  # fmt: skip
