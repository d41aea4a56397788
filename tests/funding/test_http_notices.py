"""Notifications through HTTP: taken once, whatever comes how often in which order (F-14)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded: a run can be repeated

import httpx
import pytest

from kabao.app.server import build_web
from kabao.base.db import fetch_all
from kabao.funding.model.collections import Collection
from kabao_sandbox.party.book import Refund
from kabao_sandbox.party.notifier import Message

from .platform import Platform, platform

PARTIES = ("alipay", "wechat", "unionpay")
COPIES_MAX = 50


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(database_url, tmp_path, PARTIES) as made:
        yield made


def paid(at: Platform, collection: Collection, name: str) -> None:
    """The payer pays, and the party has not told us yet."""
    assert at.hosts[name].party.book.pay(at.trade(collection, name), "payer-1", 100)


def notice(at: Platform, collection: Collection, name: str, **wrong: bool) -> Message:
    trade = at.trade(collection, name)
    return at.hosts[name].party.notice(trade, None)(**wrong)


@pytest.mark.row("T-05", "T-20")
@pytest.mark.parametrize("orders", [500, pytest.param(5_000, marks=pytest.mark.proof)])
async def test_one_effect_each_and_none_for_the_false(at: Platform, orders: int) -> None:
    """Each up to 50 times, shuffled, 5 % forged, 5 % replayed."""
    chance = Random(orders)
    begun = [
        ((await at.begun(1_000 + n, PARTIES[n % 3])).collection, PARTIES[n % 3])
        for n in range(orders)
    ]
    owed = [one for n, one in enumerate(begun) if n % 10]
    never = [one for n, one in enumerate(begun) if n % 10 == 0]
    messages: list[tuple[str, Message]] = []
    for collection, name in owed:
        paid(at, collection, name)
        copies = min(COPIES_MAX, int(chance.paretovariate(0.9)))
        messages += [("true", notice(at, collection, name)) for _ in range(copies)]
    count = len(messages)
    messages += [("replayed", one) for _, one in chance.choices(messages, k=count // 20)]
    for collection, name in chance.choices([*never, *owed], k=count // 20):
        messages.append(("forged", notice(at, collection, name, forged=True)))
    chance.shuffle(messages)
    answers: Counter[tuple[str, bool]] = Counter()
    turn = asyncio.Semaphore(8)

    async def send(what: str, message: Message) -> None:
        async with turn:
            answers[what, taken(await at.send(message))] += 1

    await asyncio.gather(*(send(*one) for one in messages))
    assert Counter(at.loads.confirmed_for) == Counter(c.id for c, _ in owed)
    assert not at.loads.given_up_for
    assert answers["forged", True] == 0 and answers["true", False] == 0
    for collection, _ in never[:20]:
        assert (await at.got(collection))["status"] == "pending"
    assert not await at.cases()


def taken(reply: httpx.Response) -> bool:
    """Whether a party takes this for an end: `success`, `ok`, or 200 and 204."""
    body = reply.text
    return reply.status_code in (200, 204) and body not in ("failure", "fail")


@pytest.mark.row("T-05")
@pytest.mark.parametrize("name", PARTIES)
async def test_another_amount_is_refused_and_becomes_one_case(at: Platform, name: str) -> None:
    collection = (await at.begun(channel=name)).collection
    paid(at, collection, name)
    for _ in range(3):
        reply = await at.send(notice(at, collection, name, wrong_amount=True))
        assert not taken(reply)
    assert (await at.got(collection))["status"] == "pending"
    (case,) = await at.cases()
    assert (case["kind"], case["occurrences"]) == ("funding.wrong_notice", 3)
    assert (case["subject"], case["facts"]["why"]) == (f"col_{collection.id}", "wrong_amount")
    assert taken(await at.send(notice(at, collection, name)))
    assert at.loads.confirmed_for == [collection.id]


async def test_numbers_that_are_not_ours_make_one_case_a_day(at: Platform) -> None:
    """Others are customers of the same channel, and their notices are well signed, too."""
    collection = (await at.begun(channel="unionpay")).collection
    paid(at, collection, "unionpay")
    trade = at.trade(collection, "unionpay")
    for n in range(5):
        trade.no = f"{n:032x}"
        assert not taken(await at.send(at.hosts["unionpay"].party.notice(trade, None)()))
    (case,) = await at.cases()
    assert (case["kind"], case["occurrences"]) == ("funding.unknown_order", 5)
    assert case["subject"] == at.channels["unionpay"]["id"]


@pytest.mark.row("T-05")
@pytest.mark.parametrize("name", ["wechat", "unionpay"])
async def test_a_refund_of_another_amount_is_not_believed(at: Platform, name: str) -> None:
    collection = (await at.begun(10_000, name)).collection
    assert at.hosts[name].pay(at.trade(collection, name))
    await at.told()
    async with at.at.kabao.db.transaction() as conn:
        refund = await at.funding.refund_in(conn, collection.id, 4_000, key="1", reason="x")
    trade = at.trade(collection, name)
    told = Refund(refund.id, "5" * 21, 3_999, at.at.clock.now_us())
    assert not taken(await at.send(at.hosts[name].party.notice(trade, told)()))
    async with at.at.kabao.db.read() as conn:
        (seen,) = await at.funding.refunds(conn, collection.id)
    assert seen.state.value == "unknown"
    (case,) = await at.cases()
    assert (case["kind"], case["facts"]["why"]) == ("funding.wrong_notice", "wrong_amount")
    told = Refund(refund.id, "5" * 21, 4_000, at.at.clock.now_us())
    assert taken(await at.send(at.hosts[name].party.notice(trade, told)()))
    async with at.at.kabao.db.read() as conn:
        (seen,) = await at.funding.refunds(conn, collection.id)
    assert seen.state.value == "done"


async def test_what_is_told_again_writes_nothing(at: Platform) -> None:
    collection = (await at.begun(channel="alipay")).collection
    paid(at, collection, "alipay")
    message = notice(at, collection, "alipay")
    assert taken(await at.send(message))
    before = await versions(at)
    for _ in range(3):
        assert taken(await at.send(message))
    assert await versions(at) == before


async def versions(at: Platform) -> list[dict[str, str]]:
    """Which transactions wrote the orders and collections as they stand."""
    async with at.at.kabao.db.read() as conn:
        return await fetch_all(
            conn,
            dict,
            "select xmin::text as xid from funding.channel_order"
            " union all select xmin::text from funding.collection",
        )


@pytest.mark.row("T-05")
async def test_one_that_was_signed_long_ago_is_refused_where_the_moment_is_signed(
    at: Platform,
) -> None:
    answers = {}
    for name in PARTIES:
        collection = (await at.begun(channel=name)).collection
        paid(at, collection, name)
        message = notice(at, collection, name)
        at.at.clock.advance(timedelta(seconds=301))
        answers[name] = taken(await at.send(message))
    assert answers == {"alipay": True, "wechat": False, "unionpay": True}
    assert len(at.loads.confirmed_for) == 2


async def test_a_notification_of_one_channel_says_nothing_about_anothers_order(
    at: Platform,
) -> None:
    """Well signed by Alipay, sent to the address of WeChat Pay; and of no order of ours."""
    collection = (await at.begun(channel="alipay")).collection
    paid(at, collection, "alipay")
    message = notice(at, collection, "alipay")
    elsewhere = Message(at.trade_url("wechat"), message.headers, message.body)
    assert not taken(await at.send(elsewhere))
    trade = at.trade(collection, "alipay")
    trade.no = "f" * 32
    assert not taken(await at.send(at.hosts["alipay"].party.notice(trade, None)()))
    (case,) = await at.cases()
    assert case["kind"] == "funding.unknown_order"
    assert (await at.got(collection))["status"] == "pending"


async def test_nonsense_gets_the_channels_own_no(at: Platform) -> None:
    for name in PARTIES:
        for body in (b"", b"{}", b"\xff" * 100, b"a=b&a=c&sign=%00", b"<x>"):
            reply = await at.send(Message(at.trade_url(name), {}, body))
            assert not taken(reply) and "kabao" not in reply.text.lower()
        metrics = (await at.at.client.get("/metrics")).text
        assert f'kabao_funding_notices_refused_total{{channel="{name}"' in metrics
    assert not await at.cases()


async def test_a_large_one_and_a_channel_there_is_not(at: Platform) -> None:
    assert (await at.send(Message(at.trade_url("alipay"), {}, b"x" * 70_000))).status_code == 413
    assert (await at.send(Message("/v1/notifications/chn_0", {}, b""))).status_code == 404


class Addresses:
    """Sends notifications from any address there is."""

    def __init__(self, at: Platform) -> None:
        self._web = build_web(at.at.kabao)

    async def send(self, message: Message, peer: str) -> httpx.Response:
        path = "/v1/notifications/" + message.url.rsplit("/", 1)[-1]
        transport = httpx.ASGITransport(app=self._web, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as client:
            return await client.post(path, content=message.body, headers=dict(message.headers))


@pytest.mark.row("ATK-9")
async def test_a_flood_of_forged_ones_is_not_read_and_starves_no_true_one(at: Platform) -> None:
    addresses = Addresses(at)
    shown = await at.begun(1_000, "alipay")
    forged = notice(at, shown.collection, "alipay", forged=True)
    answers = [await addresses.send(forged, "192.0.2.66") for _ in range(70)]
    assert Counter(reply.status_code for reply in answers[60:]) == {429: 10}
    assert not any(taken(reply) for reply in answers)
    problem = answers[-1].json()
    assert (problem["code"], problem["rule"]) == ("too_many_requests", "ATK-9")
    assert answers[-1].headers["retry-after"] == "10"
    figures = at.at.kabao.funding.refused
    assert figures.of("alipay", "throttled") == 10
    paid(at, shown.collection, "alipay")
    assert taken(await addresses.send(notice(at, shown.collection, "alipay"), "192.0.2.1"))
    assert (await at.got(shown.collection))["status"] == "confirmed"
    for n in range(600):
        await addresses.send(forged, f"198.51.{n // 200}.{n % 200}")
    new = await addresses.send(forged, "203.0.113.9")
    assert new.status_code == 429, "all that are new share an allowance"
    assert taken(await addresses.send(notice(at, shown.collection, "alipay"), "192.0.2.1"))
    at.at.clock.advance(timedelta(minutes=1))
    assert (await addresses.send(forged, "192.0.2.66")).status_code != 429
