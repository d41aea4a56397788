"""What holds, what is stopped, and who may change that, over the whole platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import fetch_value
from tests.app.world import World, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def refreshed(w: World) -> None:
    """What every process does each second; what is remembered of it grows old."""
    w.clock.advance(timedelta(seconds=2))
    async with w.kabao.db.read() as conn:
        await w.kabao.policy.refresh(conn)


async def stop(w: World, switch: str = "stop_pay", **where: str) -> dict[str, Any]:
    body = {"switch": switch, "reason": "operating risk", **where}
    return await made(w.operator.post("/v1/switches", body))


async def release(w: World, switch: str = "stop_pay", **where: str) -> dict[str, Any]:
    body = {"switch": switch, "reason": "it is over", **where}
    return await made(w.operator.post("/v1/switches/release", body))


# --- what holds ---------------------------------------------------------------------------


async def test_what_holds_for_a_programme_and_why(w: World) -> None:
    programme = await w.programme(limits={"pay.single_max_fen": 20_000})
    asked = {"programme": programme, "name": "pay.single"}
    answer = await made(w.auditor.get("/v1/policy", **asked))
    assert (answer["jurisdiction"], answer["on"]) == ("national", "2026-11-22")
    [rule] = answer["rules"]
    assert (rule["name"], rule["value"]) == ("pay.single_max_fen", 20_000)
    assert (rule["pack"], rule["shown"]) == ("programme", "200.00 yuan")
    assert rule["why"].startswith("set by the programme, in place of")
    everything = await made(w.auditor.get("/v1/policy", programme=programme))
    limit = next(r for r in everything["rules"] if r["name"] == "card.limit.bearer_fen")
    assert (limit["row"], limit["value"]) == ("CR-12", 100_000)


async def test_what_holds_in_a_jurisdiction_on_a_day(w: World) -> None:
    for place in ("national", "beijing", "shanghai"):
        answer = await made(w.auditor.get("/v1/policy", jurisdiction=place, on="2021-01-01"))
        assert (answer["jurisdiction"], answer["on"]) == (place, "2021-01-01")
        assert len(answer["rules"]) > 100
    unknown = await w.auditor.get("/v1/policy", jurisdiction="atlantis")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_jurisdiction")


async def test_whose_policy_may_be_seen(w: World) -> None:
    programme = await w.programme()
    assert (await w.merchant.get("/v1/policy")).status_code == 403
    assert (await w.nobody.get("/v1/policy")).status_code == 401
    outside = await w.by("other-auditor").get("/v1/policy", programme=programme)
    unknown = await w.auditor.get("/v1/policy", programme="prg_" + "0" * 32)
    assert (outside.status_code, unknown.status_code) == (404, 404)
    both = await w.auditor.get("/v1/policy", programme=programme, jurisdiction="national")
    assert (both.status_code, both.json()["field"]) == (422, "jurisdiction")
    assert (await w.auditor.get("/v1/policy", on="tomorrow")).status_code == 422


# --- switches -----------------------------------------------------------------------------


@pytest.mark.row("T-22", "CR-33")
async def test_one_person_stops_at_once_and_two_release(w: World) -> None:
    card = await w.card(await w.programme(), 1_000)
    stopped = await stop(w)
    assert stopped["state"] == "stopped"
    assert (stopped["scope"], stopped["rule"], stopped["reason"]) == (
        "group",
        "T-22",
        "operating risk",
    )
    declined = await w.pay(card, 100)
    assert (declined["status"], declined["rule"]) == ("declined", "T-22")
    assert (await made(w.auditor.get("/v1/switches")))["data"] == [stopped]
    asked = await release(w)
    assert asked["kind"] == "switch_release"
    await refreshed(w)
    assert (await w.pay(card, 100))["status"] == "declined"
    decided = await made(w.approve(asked["approval"]))
    assert decided["state"] == "executed"
    assert decided["result"] == {"version": 2}
    await refreshed(w)
    paid = await w.pay(card, 100)
    assert (paid["status"], paid["decline_code"]) == ("captured", None)
    assert (await made(w.auditor.get("/v1/switches")))["data"] == []


@pytest.mark.row("ATK-11")
async def test_nobody_releases_alone(w: World) -> None:
    await stop(w)
    asked = await release(w)
    own = await w.operator.post(f"/v1/approvals/{asked['approval']}/approve")
    assert own.status_code == 403
    await refreshed(w)
    assert len((await made(w.auditor.get("/v1/switches")))["data"]) == 1


async def test_what_runs_cannot_be_released(w: World) -> None:
    body = {"switch": "stop_pay", "reason": "why not"}
    answer = await w.operator.post("/v1/switches/release", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "switch_not_stopped")
    await stop(w, programme=await w.programme())
    answer = await w.operator.post("/v1/switches/release", body)
    assert answer.status_code == 409


async def test_a_stop_is_told_everybody_and_written_down(w: World) -> None:
    programme = await w.programme()
    await stop(w, "stop_sale", programme=programme)
    asked = await release(w, "stop_sale", programme=programme)
    await made(w.approve(asked["approval"]))
    [gone, came] = (await made(w.auditor.get("/v1/switches/changes")))["data"]
    assert (gone["state"], came["state"]) == ("running", "stopped")
    assert (gone["version"], came["version"]) == (2, 1)
    assert gone["set_by"] != gone["approved_by"]
    assert came["approved_by"] is None
    [deed] = (await made(w.auditor.get("/v1/audit-log", verb="switches:stop_sale")))["data"]
    assert (deed["subject"], deed["reason"]) == (programme, "operating risk")
    async with w.kabao.db.read() as conn:
        told = "select array_agg(type order by xid, n) from base.outbox where type like 'switch.%'"
        assert await fetch_value(conn, told) == ["switch.stopped", "switch.released"]


async def test_pages_of_switches_and_of_their_changes(w: World) -> None:
    for switch in ("stop_pay", "stop_bind", "stop_topup"):
        await stop(w, switch)
    for path, order in (
        ("/v1/switches", ["stop_bind", "stop_pay", "stop_topup"]),
        ("/v1/switches/changes", ["stop_topup", "stop_bind", "stop_pay"]),
    ):
        first = await made(w.auditor.get(path, limit=2))
        rest = await made(w.auditor.get(path, cursor=first["next_cursor"]))
        assert [row["switch"] for row in first["data"] + rest["data"]] == order
        assert rest["next_cursor"] is None


async def test_how_far_a_key_reaches(w: World) -> None:
    programme, other = await w.programme(), w.by("other-operator")
    mine, theirs = {"company": w.other}, {"company": w.company}
    body = {"switch": "stop_pay", "reason": "why"}
    assert (await other.post("/v1/switches", body)).status_code == 403
    assert (await other.post("/v1/switches", body | theirs)).status_code == 404
    assert (await other.post("/v1/switches", body | {"programme": programme})).status_code == 404
    assert (await other.post("/v1/switches", body | mine)).status_code == 201
    await stop(w, programme=programme)
    await stop(w)
    seen = (await made(w.by("other-auditor").get("/v1/switches")))["data"]
    assert [(row["scope"], row["company"]) for row in seen] == [
        ("company", w.other),
        ("group", None),
    ]
    changes = (await made(w.by("other-auditor").get("/v1/switches/changes")))["data"]
    assert [row["scope"] for row in changes] == ["group", "company"]
    assert (await w.auditor.post("/v1/switches", body)).status_code == 403
    assert len((await made(w.auditor.get("/v1/switches")))["data"]) == 3


async def test_what_cannot_be_stopped(w: World) -> None:
    good = {"switch": "stop_pay", "reason": "why"}
    for change, status, field in (
        ({"switch": "stop_everything"}, 422, "switch"),
        ({"reason": ""}, 422, "reason"),
        ({"reason": "a\nb"}, 422, "reason"),
        ({"company": "com_" + "0" * 32}, 404, "company"),
        ({"company": w.company, "programme": "prg_1"}, 422, "programme"),
        ({"programme": "prg_1"}, 404, "programme"),
        ({"state": "running"}, 400, "state"),
    ):
        answer = await w.operator.post("/v1/switches", good | change)
        told = (change, answer.status_code, answer.json().get("field"))
        assert told == (change, status, field)
