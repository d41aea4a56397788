"""Two server processes: what one has just set up, the other serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.base.db import Database
from tests.app.world import Caller, World, made, world


@asynccontextmanager
async def sibling(w: World) -> AsyncIterator[Caller]:
    """The merchant's calls to another process on the same database, just started:
    its next refresh is a second away.
    """
    db = Database(w.kabao.db.url, max_size=4)
    await db.open()
    kabao = Kabao(w.kabao.settings, db, w.clock)
    await kabao.start()
    try:
        transport = httpx.ASGITransport(app=build_web(kabao, process="1"))
        async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as client:
            yield Caller(client, w.keys["operator"])
    finally:
        await kabao.stop()
        await db.close()


def payment(card: dict[str, Any], **place: str) -> dict[str, Any]:
    source = {"type": "card_number", "number": card["number"], "pin": card["pin"]}
    return {"amount": 100, "currency": "CNY", "source": source, **place}


@pytest.mark.row("P-16")
async def test_a_store_and_a_till_of_a_moment_ago(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as w:
        card = await w.card(await w.programme(), 1_000)
        async with sibling(w) as there:
            there.key = w.keys["merchant"]
            first = await there.post("/v1/payments", payment(card, store=w.store))
            assert first.json()["status"] == "captured"
            body = {"company": w.company, "name": "Store", "code": "S3"}
            store = (await made(w.operator.post("/v1/stores", body)))["id"]
            paid = await there.post("/v1/payments", payment(card, store=store))
            assert (paid.status_code, paid.json()["status"]) == (201, "captured")
            body = {"store": store, "model": "Till"}
            terminal = (await made(w.operator.post("/v1/terminals", body)))["id"]
            paid = await there.post("/v1/payments", payment(card, store=store, terminal=terminal))
            assert paid.json()["status"] == "captured", paid.text
            there.key = w.keys["operator"]
            body = {"company": w.company, "name": "Store", "code": "S4"}
            store = (await made(w.operator.post("/v1/stores", body)))["id"]
            money = {"card": card["id"], "amount": 100, "currency": "CNY", "channel": "cash"}
            assert (await there.post("/v1/topups", money | {"store": store})).status_code == 201


@pytest.mark.row("P-16")
async def test_a_flood_of_stores_that_do_not_exist(database_url: str, tmp_path: Path) -> None:
    """Each is refused, and what is known is served meanwhile."""
    async with world(database_url, tmp_path) as w:
        card = await w.card(await w.programme(), 1_000)
        unknown = [f"sto_{n:032x}" for n in range(200)]
        asked = [w.merchant.post("/v1/payments", payment(card, store=one)) for one in unknown]
        loop = asyncio.get_running_loop()
        began = loop.time()
        paid, *refused = await asyncio.gather(w.pay(card, 100), *asked)
        assert loop.time() - began < 3
        assert paid["status"] == "captured"
        assert {(each.status_code, each.json()["code"]) for each in refused} == {
            (404, "unknown_store")
        }


@pytest.mark.row("P-19")
async def test_a_payment_with_a_programme_of_a_moment_ago_is_reversed(
    database_url: str, tmp_path: Path
) -> None:
    async with world(database_url, tmp_path) as w, sibling(w) as there:
        there.key = w.keys["merchant"]
        card = await w.card(await w.programme(), 1_000)
        paid = await w.pay(card, 100)
        body = {"original": {"payment": paid["id"]}}
        undone = await there.post("/v1/reversals", body)
        assert (undone.status_code, undone.json()["amount"]) == (201, 100), undone.text
