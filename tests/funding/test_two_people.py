"""Channels take two people: whoever holds a channel's keys can say that it was paid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import fetch_value
from kabao_sandbox.party import keys
from tests.app.world import made

from .platform import Platform, platform


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(database_url, tmp_path) as opened:
        yield opened


async def offers(at: Platform) -> int:
    async with at.at.kabao.db.read() as conn:
        count: int = await fetch_value(conn, "select count(*) from funding.channel_offer")
        return count


async def listed(at: Platform) -> list[str]:
    await at.funding.refresh()
    page = await made(at.at.operator.get("/v1/channels"))
    return [channel["name"] for channel in page["data"]]


@pytest.mark.row("ATK-11")
async def test_one_person_makes_no_channel(at: Platform) -> None:
    asked = await made(at.at.operator.post("/v1/channels", at.body("alipay", name="own")))
    assert (asked["kind"], asked["state"]) == ("payment_channel", "pending")
    assert await listed(at) == ["alipay"]
    own = await at.at.operator.post(f"/v1/approvals/{asked['id']}/approve")
    assert own.status_code in (403, 422)
    assert await listed(at) == ["alipay"]
    done = await made(at.at.approve(asked["id"]))
    assert await listed(at) == ["alipay", "own"]
    again = await made(at.at.operator.get(f"/v1/channels/{done['result']['channel']}"))
    assert (again["name"], again["status"]) == ("own", "active")
    assert await offers(at) == 0


@pytest.mark.row("ATK-11")
async def test_the_second_person_sees_whose_account_it_is_and_no_key(at: Platform) -> None:
    body = at.body("alipay", name="own", fee_ppm=6_000)
    asked = await made(at.at.operator.post("/v1/channels", body))
    seen = await at.at.approver.get(f"/v1/approvals/{asked['id']}")
    payload = seen.json()["payload"]
    account: dict[str, Any] = body["account"]
    assert payload["account"]["shown"] == {
        name: account[name] for name in ("app_id", "seller_id", "url")
    }
    assert (payload["terms"]["kind"], payload["terms"]["fee_ppm"]) == ("alipay", 6_000)
    assert "KEY" not in seen.text and "KEY" not in str(asked)


async def test_what_was_refused_or_forgotten_makes_no_channel(at: Platform) -> None:
    refused = await made(at.at.operator.post("/v1/channels", at.body("alipay", name="one")))
    await made(at.at.approver.post(f"/v1/approvals/{refused['id']}/refuse", {"reason": "whose?"}))
    late = await made(at.at.operator.post("/v1/channels", at.body("alipay", name="two")))
    assert await offers(at) == 2
    at.at.clock.advance(timedelta(days=30))
    assert await at.funding.channels.forget_offers() == 2
    reply = await at.at.approve(late["id"])
    assert reply.json()["code"] == "approval_expired"
    assert await listed(at) == ["alipay"]


async def test_an_account_that_is_not_kept_any_more_is_not_agreed_to(at: Platform) -> None:
    asked = await made(at.at.operator.post("/v1/channels", at.body("alipay", name="one")))
    async with at.at.kabao.db.transaction() as conn:
        await conn.execute("delete from funding.channel_offer")
    reply = await at.at.approve(asked["id"])
    assert (reply.status_code, reply.json()["code"]) == (409, "channel_offer_gone")


@pytest.mark.row("ATK-11")
async def test_keys_are_changed_by_two_people_and_hold_at_once(at: Platform) -> None:
    path = f"/v1/channels/{at.channels['alipay']['id']}/account"
    party: Any = at.hosts["alipay"].party
    party.key, party.merchant_key = keys.new(), keys.new()
    assert (await at.begun()).waiting is None
    bad = await at.at.operator.post(path, {"account": {"app_id": "x"}, "reason": "new keys"})
    assert bad.json()["code"] == "channel_account_unusable"
    change = {"account": at.hosts["alipay"].account(), "reason": "new keys"}
    asked = await made(at.at.operator.post(path, change))
    assert asked["kind"] == "channel_account" and "KEY" not in str(asked)
    await at.funding.refresh()
    assert (await at.begun()).waiting is None
    await made(at.at.approve(asked["id"]))
    await at.funding.refresh()
    shown = await at.begun()
    assert shown.waiting is not None
    assert at.hosts["alipay"].pay(at.trade(shown.collection, "alipay"))
    await at.told()
    assert (await at.got(shown.collection))["status"] == "confirmed"


async def test_others_change_no_account(at: Platform) -> None:
    path = f"/v1/channels/{at.channels['alipay']['id']}/account"
    change = {"account": at.hosts["alipay"].account(), "reason": "mine now"}
    assert (await at.at.by("other-operator").post(path, change)).status_code == 404
    assert (await at.at.auditor.post(path, change)).status_code == 403
    assert await offers(at) == 0
