"""A reversal by a key that is not a payment's says so, and bars nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from tests.app.world import World, made, world


async def reverse(w: World, key: str) -> httpx.Response:
    return await w.merchant.post("/v1/reversals", {"original": {"idempotency_key": key}})


async def test_a_top_ups_key_is_not_barred(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as w:
        card: dict[str, Any] = await w.card(await w.programme())
        body = {"card": card["id"], "amount": 500, "currency": "CNY", "store": w.store}
        loaded = await made(w.operator.post("/v1/topups", body | {"channel": "cash"}, "loaded"))
        refused = await reverse(w, "loaded")
        assert (refused.status_code, refused.json()["code"]) == (409, "key_of_another_verb")
        assert (await made(w.operator.get(f"/v1/topups/{loaded['id']}")))["status"] == "confirmed"
        assert (await reverse(w, "nobody's")).json()["status"] == "barred"
