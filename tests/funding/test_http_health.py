"""How channels do, their limits, and why they were chosen; through HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.errors import KabaoError
from kabao.base.ids import to_edge
from kabao.funding.model.answers import Scene
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.host import Host
from tests.app.world import made

from .platform import Platform, platform
from .world import key_pool


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(database_url, tmp_path, ["alipay", "wechat"]) as opened:
        yield opened


async def away(at: Platform, name: str, *, times: int = 5) -> None:
    """A channel cannot be reached so often in a row."""
    await at.hosts[name]._door.stop()
    for _ in range(times):
        await at.begun(channel=name)


def chosen(choice: dict[str, object]) -> dict[str, str | None]:
    lines = choice["candidates"]
    assert isinstance(lines, list)
    return {line["name"]: line["passed_over"] for line in lines}


@pytest.mark.row("S-14", "S-07", "T-12")
async def test_every_choice_is_explained(at: Platform) -> None:
    dear = at.body("alipay", name="dear", fee_ppm=9_000)
    first = at.body("wechat", name="first", fee_ppm=9_000, priority=1, min=20_000)
    for body in (dear, first):
        await at.at.channel(body)
    for fen, taken in ((19_999, "alipay"), (20_000, "first")):
        whole = await at.got((await at.begun(fen)).collection)
        (choice,) = whole["choices"]
        assert choice["channel"] == whole["orders"][0]["channel"]
        passed = chosen(choice)
        assert passed.pop(taken) is None
        assert passed["dear"] == ("cost" if taken == "alipay" else "priority")
        assert choice["candidates"][0]["name"] == taken
        by_name = {line["name"]: line for line in choice["candidates"]}
        assert by_name["dear"]["fee_mfen"] == (fen * 9 if fen == 20_000 else 179_991)
        assert by_name["first"]["rule"] == ("S-09" if taken == "alipay" else None)
        assert {line["rule"] for line in choice["candidates"]} <= {None, "S-09", "S-14", "T-12"}


@pytest.mark.row("S-14")
async def test_a_choice_that_came_to_nothing_is_explained(at: Platform) -> None:
    programme = to_edge("prg", at.programme)
    for fen in (10_000, 20_000):
        with pytest.raises(KabaoError):
            await at.begun(fen, "wechat", scene=Scene.PAGE)
    await at.funding.refresh()
    first = await made(at.at.auditor.get("/v1/refused-choices", limit=1))
    rest = await made(at.at.auditor.get("/v1/refused-choices", cursor=first["next_cursor"]))
    newest, before = *first["data"], *rest["data"]
    assert (newest["amount"], before["amount"], rest["next_cursor"]) == (20_000, 10_000, None)
    assert (newest["code"], newest["rule"]) == ("channel_not_configured", "S-07")
    assert (newest["programme"], newest["scene"], newest["company"]) == (
        programme,
        "page",
        at.at.company,
    )
    assert chosen(newest) == {"alipay": "not_named", "wechat": "other_scene"}
    at.at.clock.advance(timedelta(days=31))
    await at.funding.forget_minutes()
    assert (await made(at.at.auditor.get("/v1/refused-choices")))["data"] == []


@pytest.mark.row("T-09", "T-10", "T-13")
async def test_large_sums_go_to_the_bank(at: Platform) -> None:
    """0.3 to 0.6 % and the next day there, real time and 0.6 % here; and 2,000 yuan between."""
    clock = at.at.clock.now_us
    at.hosts["netbank"] = Host(PARTIES["netbank"](clock, Chance(5), key_pool()), Chance(6))
    await at.hosts["netbank"].start()
    page: dict[str, Any] = {"scenes": ["page"]}
    third = at.body("alipay", name="page", fee_ppm=6_000, cycle="T+0", **page)
    bank = at.body("netbank", fee_ppm=5_000, cycle="T+1", priority=200, **page)
    for body in (third, bank):
        await at.at.channel(body)
    for fen, taken in ((199_999, "page"), (200_000, "netbank")):
        shown = await at.begun(fen, scene=Scene.PAGE)
        assert shown.waiting is not None
        (choice,) = (await at.got(shown.collection))["choices"]
        assert choice["candidates"][0]["name"] == taken
        other = "priority" if taken == "page" else "not_bank_direct"
        assert chosen(choice)["netbank" if taken == "page" else "page"] == other


@pytest.mark.row("S-16")
async def test_when_one_fails_the_next_is_taken_and_why_is_told(at: Platform) -> None:
    await at.hosts["alipay"]._door.stop()
    shown = await at.begun()
    whole = await at.got(shown.collection)
    assert shown.waiting is not None
    assert [order["status"] for order in whole["orders"]] == ["failed", "pending"]
    first, second = whole["choices"]
    assert chosen(first) == {"alipay": None, "wechat": "cost"}
    assert chosen(second) == {"alipay": "tried", "wechat": None}


@pytest.mark.row("T-22")
async def test_a_circuit_opens_is_told_and_closes(at: Platform) -> None:
    channel = at.channels["alipay"]["id"]
    await away(at, "alipay")
    await at.funding.refresh()
    health = (await at.at.operator.get(f"/v1/channels/{channel}/health")).json()
    assert health["circuit"] == "open"
    assert health["lately"][0] | {"mean_ms": 0} == {
        "minutes": 5,
        "succeeded": 0,
        "failed": 5,
        "refused": 0,
        "mean_ms": 0,
    }
    turns = [change["kind"] for change in health["changes"]]
    assert sorted(turns) == ["limit_lowered", "opened"]
    (case,) = await at.cases()
    assert (case["kind"], case["subject"]) == ("funding.circuit_open", channel)
    with pytest.raises(KabaoError) as refused:
        await at.begun(channel="alipay")
    assert (refused.value.code.name, refused.value.rule) == ("channel_not_available", "T-22")
    figures = (await at.at.client.get("/metrics")).text
    assert f'kabao_channel_circuit{{channel="{channel}",name="alipay",process="0"}} 2.0' in figures

    await at.hosts["alipay"]._door.start()
    at.at.clock.advance(timedelta(seconds=60))
    for _ in range(3):  # probes, one after the other
        assert (await at.begun()).waiting is not None
        await at.funding.refresh()
    health = (await at.at.operator.get(f"/v1/channels/{channel}/health")).json()
    assert health["circuit"] == "closed"
    assert {change["kind"] for change in health["changes"]} >= {"opened", "closed"}

    await at.at.operator.post(f"/v1/cases/{case['id']}/resolve", {"outcome": "their line"})
    await away(at, "alipay")
    await at.funding.refresh()
    again = {one["id"]: one["status"] for one in await at.cases()}
    assert again.pop(case["id"]) == "resolved"
    assert list(again.values()) == ["open"], "the second outage of the day is another case"


@pytest.mark.row("S-09")
async def test_a_daily_limit_is_set_kept_and_given_back(at: Platform) -> None:
    channel = at.channels["alipay"]["id"]
    path = f"/v1/channels/{channel}/limits"
    said = await at.at.operator.post(path, {"daily_max": 30_000, "reason": "new contract"})
    assert said.json()["limit"] == {
        "daily_max": 30_000,
        "max": 30_000,
        "used": 0,
        "lowered": False,
        "currency": "CNY",
    }
    first = await at.begun(20_000, channel="alipay")
    with pytest.raises(KabaoError) as refused:
        await at.begun(10_001, channel="alipay")
    assert (refused.value.code.name, refused.value.rule) == ("channel_limit_exceeded", "S-09")
    await at.begun(10_000, channel="alipay")
    assert (await at.begun(10_000)).collection is not None  # through the other one
    await at.funding.cancel(first.collection.id)
    await at.funding.router.settle_shares()
    health = (await at.at.operator.get(f"/v1/channels/{channel}/health")).json()
    assert health["limit"]["used"] == 10_000
    (change,) = health["changes"]
    assert change["kind"] == "limit_set" and change["by"] == "operator"
    assert change["facts"] == {"before": None, "after": 30_000}
    assert change["reason"] == "new contract"


async def test_who_may_see_and_set(at: Platform) -> None:
    channel = at.channels["alipay"]["id"]
    limit = {"daily_max": 1, "reason": "x"}
    for name in ("other-operator", "other-auditor"):
        seen = await at.at.by(name).get(f"/v1/channels/{channel}/health")
        assert seen.status_code == 404
    told = await at.at.by("other-operator").post(f"/v1/channels/{channel}/limits", limit)
    assert told.status_code == 404
    assert (await at.at.auditor.get(f"/v1/channels/{channel}/health")).status_code == 200
    assert (await at.at.auditor.post(f"/v1/channels/{channel}/limits", limit)).status_code == 403
