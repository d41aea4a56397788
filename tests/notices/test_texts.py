"""Texts to holders: the right words to the right phone, once, and only with consent."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded, for a test
from typing import Any

import pytest

from kabao.base.db import fetch_value
from kabao.proofs.model import Sms
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.sms.server import Gateway
from kabao_sandbox.wechat_templates.server import Account
from tests.app.world import World, all_told, made, world
from tests.scenarios.world import identity_number

PATH = "/v1/notice-templates"
PHONE = "13800001234"
ZH = "【卡包】您的卡{last4}于{time}在{store}支付{amount}元，余额{balance}元。"
EN = "【Kabao】Card {last4}: paid CNY {amount} at {store}, {balance} left."
HASH = hashlib.sha256(b"privacy").hexdigest()
_prefixes = count(500)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway(Random(1), "hush", an_hour=20)
    await gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    account = Account(Random(2), "wx1", "whisper")
    account.templates["T1"] = {"thing1", "amount2"}
    await account.start()
    yield account
    await account.stop()


@pytest.fixture
async def w(
    database_url: str, tmp_path: Path, gateway: Gateway, account: Account
) -> AsyncIterator[World]:
    settings = {
        "sms_key": "hush",
        "sms_url": gateway.url,
        "wechat_app_id": "wx1",
        "wechat_app_secret": "whisper",
        "wechat_url": account.url,
    }
    async with world(database_url, tmp_path, **settings) as w:
        yield w


async def programme(w: World) -> str:
    n = next(_prefixes)
    terms = {
        "name_en": "Card",
        "name_zh": "购物卡",
        "carriers": ["electronic"],
        "prefixes": [f"881{n:03d}1", f"881{n:03d}2"],
        "contact": "400 800 1234",
    }
    body = {"class": "registered", "active": True, "issuer": w.company, "terms": terms}
    return str((await made(w.operator.post("/v1/programmes", body)))["id"])


async def holder(w: World, phone: str = PHONE, *consents: str) -> str:
    given = [{"kind": kind, "version": "1", "document_hash": HASH} for kind in consents]
    body: dict[str, Any] = {
        "party": "person",
        "name": "张三",
        "identity": {"type": "resident_id", "number": identity_number()},
        "phone": phone,
        "consents": given,
    }
    ident = str((await made(w.operator.post("/v1/customers", body)))["id"])
    seen = {"method": "document_at_counter"}
    await made(w.operator.post(f"/v1/customers/{ident}/verifications", seen))
    return ident


async def card(w: World, of: str, whose: str | None) -> dict[str, Any]:
    body = {"programme": of, "carrier": "electronic", "holder": whose}
    issued = await made(w.operator.post("/v1/cards", body))
    await w.top_up(issued["id"], 10_000)
    return issued


async def template(w: World, of: str, **more: Any) -> dict[str, Any]:
    usual = {"programme": of, "event_type": "payment.captured", "text_zh": ZH}
    return await made(w.operator.post(PATH, usual | more))


async def texted(w: World) -> None:
    await all_told(w.kabao.db)
    await w.kabao.telling.relay.round()
    await w.kabao.telling.texter.round()


async def notices(w: World) -> list[tuple[str, str | None]]:
    found = (await made(w.operator.get("/v1/notices")))["data"]
    return [(one["status"], one["reason"]) for one in found]


async def paying(w: World, *consents: str, **more: Any) -> dict[str, Any]:
    """A holder's card under a template, for whose first payment a text is due."""
    of = await programme(w)
    await template(w, of, **more)
    mine = await card(w, of, await holder(w, PHONE, *consents))
    await w.pay(mine, 1_234)
    return mine


@pytest.mark.row("CR-81")
async def test_a_holder_is_told_in_the_programmes_words(w: World, gateway: Gateway) -> None:
    of = await programme(w)
    await template(w, of, text_en=EN, language="both")
    mine = await card(w, of, await holder(w))
    other = await card(w, await programme(w), await holder(w, "13800009999"))
    await w.pay(mine, 1_234)
    await w.pay(other, 1)
    await texted(w)
    await texted(w)
    (text,) = gateway.texts
    last4 = mine["number"][-4:]
    assert text["mobile"].endswith(PHONE)
    assert text["text"] == (
        f"【卡包】您的卡{last4}于11-22 10:00在Store支付12.34元，余额87.66元。\n"
        f"Card {last4}: paid CNY 12.34 at Store, 87.66 left."
    )
    assert await notices(w) == [("sent", None)]
    (shown,) = (await made(w.operator.get("/v1/notices", card=mine["id"])))["data"]
    assert (shown["card"], shown["event_type"]) == (mine["id"], "payment.captured")
    assert PHONE not in str(shown) and "12.34" not in str(shown)


@pytest.mark.row("CR-81")
async def test_consent_decides(w: World, gateway: Gateway) -> None:
    """What belongs to the card until privacy is withdrawn; marketing only when agreed to."""
    await paying(w, "privacy")
    await paying(w, "privacy", purpose="marketing")
    await paying(w, "privacy", "marketing", purpose="marketing")
    await texted(w)
    assert len(gateway.texts) == 2
    assert sorted(await notices(w)) == [("dropped", "no_consent"), ("sent", None), ("sent", None)]
    of = await programme(w)
    await template(w, of)
    whose = await holder(w, PHONE, "privacy")
    given = (await made(w.operator.get(f"/v1/customers/{whose}/consents")))["data"][0]["id"]
    await made(w.operator.post(f"/v1/customers/{whose}/consents/{given}/withdraw"))
    await w.pay(await card(w, of, whose), 1)
    await texted(w)
    assert len(gateway.texts) == 2


async def test_whoever_cannot_be_told_is_not(w: World, gateway: Gateway) -> None:
    of = await programme(w)
    await template(w, of)
    await w.pay(await card(w, of, await holder(w)), 2)
    await all_told(w.kabao.db)
    await w.kabao.telling.relay.round()
    w.clock.advance(timedelta(hours=24, seconds=1))
    await w.kabao.telling.texter.round()
    assert await notices(w) == [("dropped", "too_old")]
    whose = await holder(w)
    mine = await card(w, of, whose)
    headers = {"Authorization": f"Bearer {w.operator.key}"}
    gone = await w.client.patch(f"/v1/customers/{whose}", json={"phone": None}, headers=headers)
    assert gone.is_success, gone.text
    await w.pay(mine, 1)
    await texted(w)
    assert ("dropped", "no_phone") in await notices(w)
    assert not gateway.texts


@pytest.mark.row("ATK-9")
async def test_a_phone_gets_so_many_a_day(w: World, gateway: Gateway) -> None:
    mine = await paying(w)
    for fen in range(1, 11):
        await w.pay(mine, fen)
    await texted(w)
    assert len(gateway.texts) == 10
    assert (await notices(w)).count(("dropped", "too_many")) == 1
    w.clock.advance(timedelta(days=1))
    await w.pay(mine, 1)
    await texted(w)
    assert len(gateway.texts) == 11


async def test_what_surely_did_not_go_out_is_sent_later(w: World, gateway: Gateway) -> None:
    await paying(w)
    await gateway.stop()
    await texted(w)
    assert await notices(w) == [("waiting", None)]
    await gateway.start()
    await texted(w)
    assert not gateway.texts
    w.clock.advance(timedelta(minutes=1))
    await texted(w)
    assert len(gateway.texts) == 1
    assert await notices(w) == [("sent", None)]


async def test_a_gateway_that_stays_away_is_given_up(w: World, gateway: Gateway) -> None:
    await paying(w)
    await gateway.stop()
    for _ in range(5):
        await texted(w)
        w.clock.advance(timedelta(minutes=10))
    assert await notices(w) == [("refused", "unreachable")]
    await gateway.start()


async def test_what_may_have_gone_out_is_never_sent_again(w: World, gateway: Gateway) -> None:
    gateway.faults = Faults(lose=100)
    await paying(w)
    await texted(w)
    gateway.faults = Faults()
    w.clock.advance(timedelta(hours=1))
    await texted(w)
    assert len(gateway.texts) == 1
    assert await notices(w) == [("unknown", "unknown")]


async def test_what_the_gateway_will_not_take(w: World, gateway: Gateway) -> None:
    gateway.key = "another"
    await paying(w)
    await texted(w)
    assert await notices(w) == [("refused", "refused")]
    assert w.kabao.telling.texter.handed.of("sms", "refused") == 1


WECHAT = {
    "medium": "wechat",
    "wechat_template": "T1",
    "fields": {"thing1": "{store}", "amount2": "{amount}元"},
}


async def following(w: World, account: Account, **more: Any) -> dict[str, Any]:
    """A card whose holder follows the account, for whose first payment a message is due."""
    of = await programme(w)
    body = {"programme": of, "event_type": "payment.captured", "fields": {}} | WECHAT | more
    await made(w.operator.post(PATH, body))
    whose = await holder(w)
    account.followers.add("o_me")
    follows = {"customer": whose, "openid": "o_me"}
    await made(w.operator.post("/v1/notice-followers", follows))
    mine = await card(w, of, whose)
    await w.pay(mine, 1_234)
    return mine


async def test_a_follower_is_told_by_wechat(w: World, account: Account, gateway: Gateway) -> None:
    await following(w, account)
    await texted(w)
    (message,) = account.messages
    assert (message["touser"], message["template_id"]) == ("o_me", "T1")
    assert message["data"] == {"thing1": {"value": "Store"}, "amount2": {"value": "12.34元"}}
    assert await notices(w) == [("sent", None)]
    assert not gateway.texts
    async with w.kabao.db.read() as conn:
        stored = await fetch_value(conn, "select openid from notices.follower")
    assert b"o_me" not in bytes(stored)


async def test_a_token_that_is_over_is_fetched_anew(w: World, account: Account) -> None:
    mine = await following(w, account)
    await texted(w)
    account.forget_token()
    await w.pay(mine, 2)
    await texted(w)
    w.clock.advance(timedelta(hours=2))
    await w.pay(mine, 3)
    await texted(w)
    assert len(account.messages) == 3


async def test_what_wechat_will_not_take(w: World, account: Account) -> None:
    await following(w, account, fields={"thing9": "x"})
    await following(w, account)
    account.followers.clear()
    await texted(w)
    assert await notices(w) == [("refused", "refused")] * 2
    account.secret = "another"
    account.forget_token()


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_when_wechat_does_not_answer(w: World, account: Account, how: str) -> None:
    """Without a token nothing went out, so again later; without an answer never again."""
    await following(w, account)
    if how == "away":
        await account.stop()
    else:
        account.faults = Faults(lose=100)
    await texted(w)
    expected = {"away": ("waiting", None), "silent": ("unknown", "unknown")}[how]
    assert await notices(w) == [expected]
    if how == "away":
        await account.start()
    account.faults = Faults()
    w.clock.advance(timedelta(minutes=1))
    await texted(w)
    assert len(account.messages) == 1


async def test_who_follows_is_the_issuers_to_say(w: World, account: Account) -> None:
    mine = await following(w, account)
    whose = (await made(w.operator.get(f"/v1/cards/{mine['id']}")))["holder"]
    body = {"customer": whose, "openid": "o_them"}
    assert (await w.by("other-operator").post("/v1/notice-followers", body)).status_code == 404
    path = f"/v1/notice-followers/{whose}"
    for who, status in (("other-operator", 404), ("operator", 204), ("operator", 404)):
        headers = {"Authorization": f"Bearer {w.by(who).key}"}
        assert (await w.client.delete(path, headers=headers)).status_code == status
    await texted(w)
    assert await notices(w) == [("dropped", "no_follower")]
    assert not account.messages


@pytest.mark.row("B-08")
async def test_one_time_codes_go_the_same_way(w: World, gateway: Gateway) -> None:
    async with w.kabao.db.transaction() as conn:
        await w.kabao.sms.send(conn, Sms("card.bind", PHONE, "【卡包】123456 is your code"))
    await w.kabao.telling.texter.round()
    assert not gateway.texts
    await w.kabao.telling.texter.send_codes()
    await w.kabao.telling.texter.send_codes()
    assert [text["text"] for text in gateway.texts] == ["【卡包】123456 is your code"]


async def test_templates_are_their_issuers(w: World) -> None:
    of = await programme(w)
    told = await template(w, of)
    again = {"programme": of, "event_type": "payment.captured", "text_zh": ZH}
    refused = await w.operator.post(PATH, again)
    assert (refused.status_code, refused.json()["code"]) == (409, "notice_template_there")
    other = w.by("other-operator")
    assert (await made(other.get(PATH)))["data"] == []
    assert (await made(other.get("/v1/notices")))["data"] == []
    assert (await other.post(PATH, again)).status_code == 404
    assert (await other.post(f"{PATH}/{told['id']}/retire")).status_code == 404
    retired = await made(w.operator.post(f"{PATH}/{told['id']}/retire"))
    assert retired["retired_at"] is not None
    twice = await w.operator.post(f"{PATH}/{told['id']}/retire")
    assert twice.json()["code"] == "notice_template_retired"
    await template(w, of)
    seen = [one["id"] for one in (await made(w.operator.get(PATH, programme=of)))["data"]]
    assert len(seen) == 2 and seen[1] == told["id"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"text_zh": "no signature"},
        {"text_zh": ""},
        {"text_zh": "【卡包】{number}"},
        {"text_zh": "【卡包】{amount.__class__}"},
        {"text_zh": "【卡包】{amount:>99999999}"},
        {"text_zh": "【卡包】{amount!r}"},
        {"text_zh": "【卡包】{"},
        {"text_zh": "【卡包】{}"},
        {"text_zh": "【卡包】" + "x" * 300},
        {"language": "en"},
        {"event_type": "payment"},
        {"event_type": "payment.flagged"},
        {"event_type": "case.opened"},
        {"fields": {"thing1": "x"}},
        {"medium": "wechat"},
        WECHAT,
        WECHAT | {"text_zh": "", "fields": {}},
        WECHAT | {"text_zh": "", "fields": {"1thing": "x"}},
        WECHAT | {"text_zh": "", "fields": {"thing1": "{pin}"}},
    ],
)
async def test_what_no_template_may_be(w: World, wrong: dict[str, Any]) -> None:
    usual = {"programme": await programme(w), "event_type": "topup.confirmed", "text_zh": ZH}
    refused = await w.operator.post(PATH, usual | wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


async def test_without_a_gateway_nothing_is_sent(database_url: str, tmp_path: Path) -> None:
    async with world(database_url, tmp_path) as w:
        await paying(w)
        await texted(w)
        assert await notices(w) == [("dropped", "no_gateway")]
