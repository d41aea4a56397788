"""A dead till is replaced: on a one-time code, other hardware takes over its number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.base import outbox
from kabao.merchants.model import TerminalKey
from tests.app.test_terminal_keys import inject, path_of, terminal
from tests.app.world import World, all_told, made, world

ONE, TWO = bytes(range(16)), bytes(range(100, 116))[::-1]


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def key_of(w: World, terminal_no: str) -> TerminalKey | None:
    store = w.kabao.org.store(w.store[4:])
    assert store is not None
    return await w.kabao.merchants.terminal_keys(terminal_no, store.merchant_no)


async def code_for(w: World, dead: dict[str, Any]) -> dict[str, Any]:
    return await made(w.operator.post(f"{path_of(dead)}/swap-codes"))


async def swap(
    w: World,
    spare: dict[str, Any],
    dead: dict[str, Any],
    code: dict[str, Any],
    key: str | None = None,
) -> httpx.Response:
    body = {"terminal": dead["id"], "code_id": code["id"], "code": code["code"]}
    return await w.merchant.post(f"{path_of(spare)}/take-over", body, key)


@pytest.mark.row("P-20")
async def test_other_hardware_takes_over_the_number(w: World) -> None:
    dead = await terminal(w, terminal_no="POS00001")
    spare = await terminal(w, terminal_no="SPARE001")
    await inject(w, path_of(dead))
    await inject(w, path_of(spare), ONE, TWO)
    code = await code_for(w, dead)
    done = await swap(w, spare, dead, code, key="swap")
    assert done.status_code == 200, done.text
    assert done.json() == spare | {"terminal_no": "POS00001"}
    assert (await swap(w, spare, dead, code, key="swap")).json() == done.json()
    found = await key_of(w, "POS00001")
    assert found is not None
    assert (found.terminal, found.state) == (spare["id"][4:], "active")
    assert found.tmk == bytes(a ^ b for a, b in zip(ONE, TWO, strict=True))
    assert await key_of(w, "SPARE001") is None
    old = await made(w.operator.get(path_of(dead)))
    assert (old["state"], old["terminal_no"]) == ("retired", "POS00001")
    keys = (await made(w.operator.get(f"{path_of(dead)}/keys")))["data"]
    assert [key["state"] for key in keys] == ["ended"]
    await all_told(w.kabao.db)
    async with w.kabao.db.read() as conn:
        told = [e for e in await outbox.read(conn, "test") if e.type == "terminal.replaced"]
    assert [event.payload for event in told] == [
        {"terminal": dead["id"], "replaced_by": spare["id"], "terminal_no": "POS00001"}
    ]


async def test_a_fresh_process_finds_the_successor(w: World, tmp_path: Path) -> None:
    dead, spare = await terminal(w), await terminal(w, terminal_no="SPARE001")
    await inject(w, path_of(spare), ONE, TWO)
    assert (await swap(w, spare, dead, await code_for(w, dead))).status_code == 200
    merchants = w.kabao.merchants
    merchants._snapshot = type(merchants._snapshot)()  # as after a start
    await merchants.refresh()
    found = await key_of(w, "POS00001")
    assert found is not None
    assert found.terminal == spare["id"][4:]


@pytest.mark.row("ATK-3")
async def test_the_code_is_tried_a_few_times_and_used_once(w: World) -> None:
    dead, spare = await terminal(w), await terminal(w, terminal_no="SPARE001")
    code = await code_for(w, dead)
    wrong = f"{(int(code['code']) + 1) % 10**6:06d}"
    for _ in range(code["tries"]):
        refused = await swap(w, spare, dead, code | {"code": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "code_refused")
    assert (await swap(w, spare, dead, code)).json()["code"] == "code_refused"
    code = await code_for(w, dead)
    assert (await swap(w, spare, dead, code)).status_code == 200
    third = await terminal(w, terminal_no="SPARE002")
    assert (await swap(w, third, spare, code)).json()["code"] == "code_refused"


async def test_a_code_is_for_one_terminal_and_hardware_of_its_store(w: World) -> None:
    dead, spare = await terminal(w), await terminal(w, terminal_no="SPARE001")
    other = await terminal(w, terminal_no="POS00002")
    code = await code_for(w, dead)
    assert (await swap(w, spare, other, code)).json()["code"] == "proof_refused"
    far = await terminal(w, terminal_no="FAR00001", store=w.other_store)
    code = await code_for(w, dead)
    assert (await swap(w, far, dead, code)).json()["code"] == "terminal_of_other_store"
    code = await code_for(w, dead)
    assert (await swap(w, dead, dead, code)).json()["code"] == "invalid"
    assert (await made(w.operator.get(path_of(dead))))["state"] == "active"
    assert (await w.merchant.post(f"{path_of(dead)}/swap-codes")).status_code == 403
