"""A kiosk's days, played by the sandbox's machine over HTTP (T-03, T-07)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded, for a test
from typing import Any

import httpx
import pytest

from kabao.audit.ops import audit
from kabao.base.clock import rfc3339
from kabao_sandbox.kiosk.machine import Faults, Machine, PowerCutError
from tests.app.world import Caller, World, made, world
from tests.topups.money import money

NOTES = (100, 500, 1_000, 2_000, 5_000, 10_000)


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


class Door:
    """The platform's door with a merchant's key."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def post(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        return _told(await self._caller.post(path, body, key))

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return _told(await self._caller.get(path))


def _told(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    told: dict[str, Any] = answer.json()
    return answer.status_code, told


async def machine(w: World, folder: Path, faults: Faults | None = None) -> Machine:
    body = {"store": w.store, "model": "K1", "kind": "kiosk"}
    terminal = (await made(w.operator.post("/v1/terminals", body)))["id"]

    def clock() -> str:
        return rfc3339(w.clock.now_us())

    return Machine(Door(w.merchant), terminal, folder / "kiosk.journal", clock, faults=faults)


def source(card: dict[str, Any]) -> dict[str, str]:
    return {"type": "card_number", "number": card["number"], "pin": card["pin"]}


async def balance(w: World, card: dict[str, Any]) -> int:
    return int((await made(w.operator.get(f"/v1/cards/{card['id']}")))["balance"])


async def all_of(w: World, path: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await made(w.operator.get(path, limit=200, **query, **cursor))
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.row("T-03")
async def test_days_of_jams_and_power_cuts_lose_no_note_and_double_none(
    w: World, tmp_path: Path, database_url: str
) -> None:
    """Cards, the rests that a person credits, and the cassette come to the same fen."""
    faults = Faults(jam=10, cut_before_journal=3, cut_before_report=8, duplicate=20, unheard=10)
    kiosk, chance = await machine(w, tmp_path, faults), Random(7)
    programme = await w.programme()
    cards = [await w.card(programme) for _ in range(60)]
    for card in cards:
        notes = [chance.choice(NOTES) for _ in range(chance.randint(1, 5))]
        try:
            await kiosk.visit(source(card), notes)
        except PowerCutError:
            await kiosk.power_on()
    assert kiosk.cuts > 10, "the seed has power cuts in it"
    w.clock.advance(timedelta(minutes=11))
    await w.kabao.kiosks.leave_idle()
    left = [one for one in await all_of(w, "/v1/kiosk-sessions", status="left") if one["rest"]]
    cases = await all_of(w, "/v1/cases", kind="kiosk.not_credited")
    assert {case["subject"] for case in cases} == {one["id"] for one in left}
    assert left, "the power went between stack and report"
    for one in left:
        path = f"/v1/kiosk-sessions/{one['id']}/credit"
        given = await made(w.operator.post(path, {"reason": "customer's slip"}))
        assert given["amount"] == one["rest"]
        assert (await w.operator.post(path, {"reason": "again"})).json()["code"] == "nothing_left"
    visits = await all_of(w, "/v1/kiosk-sessions")
    assert all(one["rest"] == 0 for one in visits)
    loaded = sum([await balance(w, card) for card in cards])
    assert loaded == sum(one["stacked"] for one in visits)
    taken = await kiosk.take_out()
    (box,) = await all_of(w, "/v1/kiosk-boxes")
    pieces = [{"value": value, "count": count} for value, count in taken.items()]
    path = f"/v1/kiosk-boxes/{box['id']}/count"
    counted = await made(w.operator.post(path, {"pieces": pieces}))
    truly = sum(value * count for value, count in taken.items())
    assert (counted["expected"], counted["counted"]) == (loaded, truly)
    assert counted["difference"] > 0, "some notes fell when nothing could be written"
    (case,) = await all_of(w, "/v1/cases", kind="kiosk.box_differs")
    assert (case["subject"], case["facts"]["counted_fen"]) == (box["id"], truly)
    assert all(one["found"] > one["reported"] for one in counted["differs"])
    assert (await audit(database_url)).holds


@pytest.mark.row("T-07")
async def test_three_hundred_visits_in_a_day(w: World, tmp_path: Path) -> None:
    kiosk, programme = await machine(w, tmp_path), await w.programme()
    cards = [await w.card(programme) for _ in range(10)]
    for n in range(300):
        visit = await kiosk.visit(source(cards[n % 10]), [1_000, 500])
        assert visit.loaded_fen == 1_500
    taken = await kiosk.take_out()
    assert taken == {1_000: 300, 500: 300}
    (box,) = await all_of(w, "/v1/kiosk-boxes")
    body = {"pieces": [{"value": 1_000, "count": 300}, {"value": 500, "count": 300}]}
    counted = await made(w.operator.post(f"/v1/kiosk-boxes/{box['id']}/count", body))
    assert (counted["difference"], counted["differs"], counted["counted"]) == (0, [], 450_000)
    assert [await balance(w, card) for card in cards] == [45_000] * 10
    assert await all_of(w, "/v1/cases") == []


@pytest.mark.row("T-03")
async def test_notes_and_a_qr_code_at_one_kiosk(database_url: str, tmp_path: Path) -> None:
    """What comes through a channel is on the card, and not in the box."""
    async with money(database_url, tmp_path, "alipay") as at:
        kiosk, card = await machine(at.home, tmp_path), await at.card()
        visit = await kiosk.visit(source(card), [5_000, 2_000])
        assert visit.loaded_fen == 7_000
        topup = await at.opened(card, 3_000, terminal=kiosk.terminal)
        assert (topup["next_action"]["type"], topup["terminal"]) == ("qr", kiosk.terminal)
        assert (await at.pays(topup))["status"] == "confirmed"
        assert await balance(at.home, card) == 10_000
        assert sum((await kiosk.take_out()).elements()) == 7_000
        (box,) = await all_of(at.home, "/v1/kiosk-boxes")
        notes = {"pieces": [{"value": 5_000, "count": 1}, {"value": 2_000, "count": 1}]}
        counted = await made(at.home.operator.post(f"/v1/kiosk-boxes/{box['id']}/count", notes))
        assert (counted["counted"], counted["differs"]) == (7_000, [])
    assert (await audit(database_url)).holds
