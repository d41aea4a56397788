"""A terminal's master key: two persons, two components, and nobody with the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kabao.base.db import fetch_all
from kabao.merchants.model import TerminalKey
from kabao.vault.model import TerminalCipher
from tests.app.world import World, made, world

TMK = bytes.fromhex("CA5D92598DCA48CE8A4C76361A9269E9")
FIRST = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F1")
SECOND = bytes(a ^ b for a, b in zip(TMK, FIRST, strict=True))


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def terminal(w: World, **said: Any) -> dict[str, Any]:
    body = {"store": w.store, "model": "A920", "terminal_no": "POS00001"}
    return await made(w.operator.post("/v1/terminals", body | said))


async def first(w: World, path: str, part: bytes = FIRST, **more: Any) -> httpx.Response:
    return await w.operator.post(f"{path}/keys", {"component": part.hex()} | more)


async def second(w: World, path: str, key: str, part: bytes = SECOND, **more: Any) -> Any:
    body = {"component": part.hex()} | more
    return await w.by("admin").post(f"{path}/keys/{key}/complete", body)


async def inject(w: World, path: str, one: bytes = FIRST, two: bytes = SECOND) -> dict[str, Any]:
    half = await made(first(w, path, one))
    return await made(second(w, path, half["id"], two))


async def key_of(w: World, terminal_no: str = "POS00001") -> TerminalKey | None:
    store = w.kabao.org.store(w.store[4:])
    assert store is not None
    return await w.kabao.merchants.terminal_keys(terminal_no, store.merchant_no)


def path_of(terminal: dict[str, Any]) -> str:
    return f"/v1/terminals/{terminal['id']}"


@pytest.mark.row("ATK-15")
async def test_two_persons_inject_a_key_that_nobody_sees(w: World) -> None:
    at = path_of(made_ := await terminal(w))
    half = await made(first(w, at))
    assert (half["state"], half["version"], half["algorithm"]) == ("half", 1, "3des")
    assert await key_of(w) is None, "half a key opens nothing"
    whole = await made(second(w, at, half["id"]))
    assert (whole["state"], whole["id"]) == ("active", half["id"])
    assert whole["first_by"] != whole["second_by"]
    assert whole["check_value"] != half["check_value"]
    found = await key_of(w)
    assert found is not None
    assert (found.tmk, found.algorithm, found.version) == (TMK, TerminalCipher.TDES, 1)
    assert (found.terminal, found.store) == (made_["id"][4:], w.store[4:])
    assert found.company == w.company[4:]
    listed = (await made(w.auditor.get(f"{at}/keys")))["data"]
    assert listed == [whole]
    rows: list[dict[str, Any]]
    async with w.kabao.db.read() as conn:
        rows = await fetch_all(conn, dict, "select * from merchants.terminal_key")
    stored = repr(rows) + repr(found)
    for secret in (TMK, FIRST, SECOND):
        assert secret.hex() not in stored
        assert repr(secret)[2:-1] not in stored
    log = (await made(w.auditor.get("/v1/audit-log", subject=whole["id"])))["data"]
    assert [line["verb"] for line in log] == ["terminal-keys:complete", "terminal-keys:begin"]
    assert len({line["actor"] for line in log}) == 2


@pytest.mark.row("ATK-15")
async def test_one_person_is_not_two(w: World) -> None:
    at = path_of(await terminal(w))
    half = await made(first(w, at))
    body = {"component": SECOND.hex()}
    alone = await w.operator.post(f"{at}/keys/{half['id']}/complete", body)
    assert (alone.status_code, alone.json()["code"]) == (422, "terminal_key_same_person")
    assert alone.json()["rule"] == "ATK-15"
    assert (await w.merchant.post(f"{at}/keys", body)).status_code == 403
    await made(second(w, at, half["id"]))
    again = await second(w, at, half["id"], FIRST)
    assert (again.status_code, again.json()["code"]) == (409, "terminal_key_state_conflict")


@pytest.mark.row("P-22")
async def test_a_new_key_takes_over_when_it_is_whole(w: World) -> None:
    at = path_of(await terminal(w))
    old = await inject(w, at)
    half = await made(first(w, at, SECOND[::-1], algorithm="sm4"))
    assert half["version"] == 2
    found = await key_of(w)
    assert found is not None
    assert found.tmk == TMK, "the one before goes on until then"
    given_up = half
    half = await made(first(w, at, SECOND[::-1], algorithm="sm4"))
    new = await made(second(w, at, half["id"], FIRST[::-1]))
    assert (new["version"], new["algorithm"], new["state"]) == (3, "sm4", "active")
    found = await key_of(w)
    assert found is not None
    assert (found.tmk, found.version) == (TMK[::-1], 3)
    listed = (await made(w.operator.get(f"{at}/keys", limit=2)))["data"]
    assert [key["id"] for key in listed] == [new["id"], given_up["id"]]
    last = await made(w.operator.get(f"{at}/keys"))
    assert [key["state"] for key in last["data"]] == ["active", "ended", "ended"]
    assert last["data"][2]["id"] == old["id"]


async def test_a_blocked_terminal_is_known_and_a_retired_one_is_not(w: World) -> None:
    at = path_of(await terminal(w))
    await inject(w, at)
    await made(w.operator.post(f"{at}/block"))
    found = await key_of(w)
    assert found is not None
    assert found.state == "blocked"
    await made(w.operator.post(f"{at}/retire"))
    assert await key_of(w) is None
    late = await first(w, at)
    assert (late.status_code, late.json()["code"]) == (422, "terminal_not_active")


async def test_slips_and_weak_keys_are_found(w: World) -> None:
    at = path_of(await terminal(w))
    check = w.kabao.vault.check_value(TerminalCipher.TDES, FIRST).hex()
    for body, status, code in (
        ({"component": "0" * 32}, 422, "invalid"),
        ({"component": FIRST.hex()[:-1]}, 422, "invalid"),
        ({"component": "zz" * 16}, 422, "invalid"),
        ({"component": FIRST.hex(), "check_value": "00000000"}, 422, "terminal_key_check_value"),
    ):
        refused = await w.operator.post(f"{at}/keys", body)
        assert (refused.status_code, refused.json()["code"]) == (status, code), body
        assert FIRST.hex() not in refused.text
    half = await made(first(w, at, check_value=check.upper()))
    assert half["check_value"] == check
    twin = FIRST[8:] + FIRST[:8]  # makes two equal halves of the whole
    weak = await second(w, at, half["id"], twin)
    assert (weak.status_code, weak.json()["field"]) == (422, "component")
    other = path_of(await terminal(w, terminal_no="POS00002"))
    assert (await second(w, other, half["id"])).status_code == 404


async def test_the_second_component_comes_soon(w: World) -> None:
    at = path_of(await terminal(w))
    half = await made(first(w, at))
    w.clock.advance(timedelta(hours=24, microseconds=1))
    late = await second(w, at, half["id"])
    assert (late.status_code, late.json()["code"]) == (422, "terminal_key_too_late")
    assert late.json()["rule"] == "ATK-15"
    await inject(w, at)


async def test_a_key_made_elsewhere_is_found_without_waiting(w: World) -> None:
    """Another process injected it: the first look finds it all the same."""
    made_ = await terminal(w)
    person, checker = (("1" * 31) + n for n in "23")
    keys = w.kabao.merchants.keys
    async with w.kabao.db.transaction() as conn:
        cipher = TerminalCipher.SM4
        half = await keys.begin(conn, made_["id"][4:], cipher, FIRST.hex(), person=person)
        await keys.complete(conn, half.id, SECOND.hex(), person=checker)
    found = await key_of(w)
    assert found is not None
    assert found.tmk == TMK
    assert await key_of(w, "POS00009") is None
