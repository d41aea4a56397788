"""Lists of payments and refunds are bounded, whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def pages(w: World, path: str, **query: Any) -> list[list[Any]]:
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = await made(w.merchant.get(path, **query, **more))
        found.append(page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_refunds_come_in_pages(w: World) -> None:
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 5_000)
    body = {"amount": 5_000, "currency": "CNY", "store": w.store, "tenders": [{"type": "cash"}]}
    order = await made(w.merchant.post("/v1/payment-orders", body))
    for path in (f"/v1/payments/{paid['id']}", f"/v1/payment-orders/{order['id']}"):
        for fen in range(1, 6):
            await made(w.merchant.post(f"{path}/refunds", {"amount": fen}))
        found = await pages(w, f"{path}/refunds", limit=2)
        assert [[one["amount"] for one in part] for part in found] == [[1, 2], [3, 4], [5]]
        assert len(await pages(w, f"{path}/refunds")) == 1


async def test_without_a_reference_a_search_is_of_one_day(w: World) -> None:
    """Neither terminals nor stores have an index: that would cost every payment."""
    till = await made(w.operator.post("/v1/terminals", {"store": w.store, "model": "A920"}))
    card = await w.card(await w.programme(), 10_000)

    async def pay(fen: int) -> str:
        return str((await w.pay(card, fen, terminal=till["id"], reference="r"))["id"])

    async def seen(**query: Any) -> list[str]:
        return [one["id"] for part in await pages(w, "/v1/payments", **query) for one in part]

    w.clock.advance(timedelta(hours=13, minutes=59, seconds=59))
    late, today = await pay(100), w.clock
    today.advance(timedelta(seconds=1))
    early = await pay(200)
    for query in ({"terminal": till["id"]}, {}):
        assert await seen(**query) == [early]
        assert await seen(day="2026-11-22", **query) == [late]
        assert await seen(day="2026-11-23", **query) == [early]
        for nothing in ("0001-01-01", "2026-11-24", "9999-12-31"):
            assert await seen(day=nothing, **query) == []
        assert await seen(reference="r", **query) == [early, late]
        assert await seen(reference="r", day="2026-11-22", **query) == [late]
    bad = await w.merchant.get("/v1/payments", day="yesterday")
    assert bad.status_code == 422


async def test_top_ups_and_orders_without_a_reference_are_of_one_day(w: World) -> None:
    card = await w.card(await w.programme())

    async def load() -> str:
        body = {"card": card["id"], "amount": 100, "currency": "CNY", "channel": "cash"}
        return str((await made(w.merchant.post("/v1/topups", body | common)))["id"])

    async def order() -> str:
        body = {"amount": 100, "currency": "CNY", "tenders": [{"type": "cash"}]} | common
        return str((await made(w.merchant.post("/v1/payment-orders", body)))["id"])

    async def seen(path: str, **query: Any) -> list[str]:
        return [one["id"] for part in await pages(w, path, **query) for one in part]

    common = {"store": w.store, "reference": "r"}
    w.clock.advance(timedelta(hours=13, minutes=59, seconds=59))
    late = {"/v1/topups": await load(), "/v1/payment-orders": await order()}
    w.clock.advance(timedelta(seconds=1))
    early = {"/v1/topups": await load(), "/v1/payment-orders": await order()}
    for path in late:
        assert await seen(path) == [early[path]]
        assert await seen(path, day="2026-11-22") == [late[path]]
        assert await seen(path, day="2026-11-24") == []
        assert await seen(path, reference="r") == [early[path], late[path]]
        assert await seen(path, reference="r", day="2026-11-22") == [late[path]]
    assert await seen("/v1/topups", card=card["id"]) == [early["/v1/topups"], late["/v1/topups"]]
    assert await seen("/v1/payment-orders", status="captured") == [early["/v1/payment-orders"]]
