"""The audit finds orders, tenders, payments and refunds that do not agree, and names them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kabao.audit.ops import audit
from tests.audit.books import failing
from tests.databases import Databases

from .make import CART, by_card, cash, guessed, shop, wechat


@pytest.fixture(scope="module")
def sold(databases: Databases) -> Iterator[str]:
    """The URL of a database with orders in every state."""
    with databases.copy() as url:
        asyncio.run(_sell(url))
        yield url


async def _sell(url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with shop(url, Path(folder)) as s:
            card = await s.card(50_000)
            await s.open(900, by_card(card, 500), cash())
            refunded = await s.open(900, by_card(card, 500), wechat(400))
            await s.did(refunded, "refunds", amount=700)
            await s.open(900, by_card(card, 500))
            await s.later(CART)
            part = await s.open(900, by_card(card), capture=False)
            await s.did(part, "capture", amount=100, final=False)
            cancelled = await s.open(900, by_card(card))
            await s.did(cancelled, "cancel")
            await s.open(900, guessed(card, 100), by_card(card, 500), cash(100))


@pytest.fixture
def books(databases: Databases, sold: str) -> Iterator[str]:
    """The URL of a copy to ruin."""
    with databases.copy(sold) as url:
        yield url


OF_CAPTURED = "(select id from tenders.payment_order where status = 'captured' order by id limit 1)"

CASES = {
    "half captured": (
        "update tenders.tender set held_fen = captured_fen, captured_fen = 0 where kind = 'cash'"
        f" and payment_order = {OF_CAPTURED}",
        "I-3",
        "says captured, its tenders hold 400 fen and took 500 of 900",
    ),
    "a state": (
        "update tenders.payment_order set status = 'expired' where status = 'open'",
        "I-3",
        "says expired, its tenders hold 600 fen and took 0 of 600",
    ),
    "a hold nobody swept": (
        "update tenders.payment_order set status = 'cancelled', captured_on = null"
        " where status = 'partially_captured'",
        "I-3",
        "says cancelled, its tenders hold 800 fen and took 100 of 900",
    ),
    "a tender removed": (
        "delete from tenders.tender where kind = 'card' and approved_fen > 0"
        f" and payment_order = {OF_CAPTURED}",
        "I-3",
        "is of an order, and no tender of any",
    ),
    "cash removed": (
        f"delete from tenders.tender where kind = 'cash' and payment_order = {OF_CAPTURED}",
        "I-3",
        "captured, and tendered 500 fen of 900",
    ),
    "an order removed": (
        f"delete from tenders.payment_order where id = {OF_CAPTURED}",
        "I-3",
        "tenders of an order that is not there",
    ),
    "a larger sale": (
        f"update tenders.payment_order set amount_fen = 901 where id = {OF_CAPTURED}",
        "I-3",
        "captured, and tendered 900 fen of 901",
    ),
    "a tender's capture": (
        "update tenders.tender set captured_fen = captured_fen - 1, held_fen = 1"
        f" where kind = 'card' and payment_order = {OF_CAPTURED}",
        "I-3",
        "holds 0 fen, the tender says 1",
    ),
    "a payment's order": (
        "update payments.payment set channel = 'http' where channel = 'payment_order'"
        " and status = 'authorized'",
        "I-3",
        "a tender without a payment of an order",
    ),
    "a decline hidden": (
        "update tenders.tender set decline_code = 'card_frozen' where decline_code is not null",
        "I-3",
        "the payment says declined, the tender card_frozen",
    ),
    "a card's refund in cash": (
        "update tenders.refund_part set destination = 'cash', payment_refund = null"
        " where destination = 'card'",
        "I-6",
        "what was paid by card went to cash",
    ),
    "a refund made smaller": (
        "update tenders.refund_part set amount_fen = amount_fen - 1 where destination = 'channel'",
        "I-6",
        "gave 700 fen, its parts are 699",
    ),
    "a refund forgotten": (
        "delete from tenders.refund_part where destination = 'channel'",
        "I-6",
        "tender 2 says 200 fen refunded, its parts are 0",
    ),
    "cash that no drawer took": (
        "delete from tenders.cash_entry where verb = 'order'",
        "I-3",
        "took 400 fen, the drawer 0",
    ),
    "cash given back twice": (
        "insert into tenders.cash_entry select gen_random_uuid(), payment_order, tender, shift,"
        " 'order_refund', 1, created_at from tenders.cash_entry",
        "I-3",
        "the drawer gave back 1 fen",
    ),
    "a refund of another card": (
        "update tenders.refund_part set payment_refund = gen_random_uuid()"
        " where destination = 'card'",
        "I-6",
        "the refund of the card is another one",
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_case(books: str, case: str) -> None:
    statement, line, named = CASES[case]
    with psycopg.connect(books, autocommit=True) as conn:
        assert conn.execute(statement.encode()).rowcount > 0
    found = failing(await audit(books))
    assert any(named in each for each in found[line]), found
