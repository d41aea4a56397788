"""What only banks' gateways have: forms, limits of banks, wallets that are asked, recalls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import httpx
import pytest

from kabao.adapters.bills import whole
from kabao.adapters.blame import unsent
from kabao.adapters.gateway import bill
from kabao.base.clock import to_us
from kabao.funding.model.answers import (
    Bill,
    Closed,
    Incoming,
    LineKind,
    Notice,
    NotThere,
    Paid,
    Payer,
    Recalled,
    Rejected,
    Scene,
    Show,
    SpoiltBill,
    Unknown,
    Waiting,
    Why,
)
from kabao.funding.model.life import Event, event_of
from kabao.reconciliation.model.lines import Expected
from kabao_sandbox.gateway import bill as party_bill
from kabao_sandbox.party.bills import Row
from kabao_sandbox.party.http import Request, Response, Server

from .world import AGE_S, BEGIN, World, world


@pytest.fixture
async def netbank() -> AsyncIterator[World]:
    async with world("netbank") as made:
        yield made


@pytest.fixture
async def cards() -> AsyncIterator[World]:
    async with world("cards") as made:
        yield made


@pytest.mark.parametrize("name", ["netbank", "netbank_company"])
async def test_a_browser_brings_the_order_and_comes_back(name: str) -> None:
    async with world(name) as at:
        order = at.order(Scene.PAGE, return_url="https://shop.example/done?x=1")
        shown = await at.asked(order, Payer(bank="CCB"))
        assert isinstance(shown, Waiting) and shown.show is Show.FORM
        page = await at.client.post(f"{at.host.url}/pay/{order.no}")
        assert page.headers["location"] == (
            f"https://shop.example/done?x=1&order={order.no}&paid=yes"
        )
        await at.told()
        paid = await at.channel.query(order)
        assert isinstance(paid, Paid) and paid.funds == "CCB"


async def test_a_form_that_was_altered_is_refused(netbank: World) -> None:
    shown = await netbank.channel.create(netbank.order(), Payer())
    assert isinstance(shown, Waiting)
    for change in ({"amount": "1"}, {"signature": "x"}, {"bank": "ICBC"}, {"merchant": "2"}):
        page = await netbank.client.post(shown.text, data={**shown.fields, **change})
        assert page.status_code == 400
    assert not list(netbank.party.book)


@pytest.mark.parametrize(("more_fen", "taken"), [(-1, True), (0, True), (1, False)])
async def test_each_bank_takes_only_so_much_at_once(
    netbank: World, more_fen: int, taken: bool
) -> None:
    most_fen = netbank.account()["banks"]["ABC"]
    order = netbank.order(amount_fen=most_fen + more_fen)
    said = await netbank.channel.create(order, Payer(bank="ABC"))
    assert isinstance(said, Waiting) if taken else said == unsent("bank_limit_exceeded")
    largest = max(netbank.account()["banks"].values())
    order = netbank.order(amount_fen=largest + more_fen)
    said = await netbank.channel.create(order, Payer())
    assert isinstance(said, Waiting) if taken else said == unsent("bank_limit_exceeded")


async def test_what_is_not_offered(netbank: World, cards: World) -> None:
    order = netbank.order()
    assert await netbank.channel.create(order, Payer(bank="?")) == unsent("bank_not_offered")
    qr = netbank.order(Scene.QR)
    assert await netbank.channel.create(qr, Payer()) == unsent("scene_not_offered")
    barred = cards.order(no_credit=True)
    assert await cards.channel.create(barred, Payer()) == unsent("no_credit_not_offered")
    assert isinstance(await netbank.channel.create(order, Payer()), Waiting)
    assert await netbank.channel.query(order) == NotThere()  # no browser has come


async def test_a_wallet_is_asked() -> None:
    async with world("ecny") as at:
        order = at.order(Scene.APP)
        assert await at.asked(order, Payer(openid="0041000000000001")) == Waiting()
        assert at.pays(order)
        assert isinstance(await at.channel.query(order), Paid)


async def test_money_is_taken_back_and_told(cards: World) -> None:
    order = cards.order()
    await cards.asked(order)
    assert not cards.host.recall(next(iter(cards.party.book)), 1)  # nothing is paid
    cards.pays(order)
    await cards.told()
    async with httpx.AsyncClient(base_url=cards.host.desk_url, trust_env=False) as desk:
        some = await desk.post(f"/orders/{order.no}/recall", json={"amount": 345})
        assert some.status_code == 200
        assert (await desk.post(f"/orders/{order.no}/recall")).status_code == 404  # not so much
        bad = await desk.post(f"/orders/{order.no}/recall", json={"amount": "x"})
        assert bad.status_code == 400
    await cards.told()
    paid, news = (notice for notice in cards.heard if isinstance(notice, Notice))
    assert isinstance(paid.about, Paid) and isinstance(news.about, Recalled)
    assert news.order_no == order.no and news.nonce
    assert (news.about.amount_fen, news.about.channel_no) == (345, paid.about.channel_no)
    assert event_of(news.about, paid_by=paid.about.channel_no, over=False) is Event.RECALLED
    after = await cards.channel.query(order)
    assert isinstance(after, Paid) and after.given_back
    told = await cards.channel.bill(BEGIN.date())
    assert isinstance(told, Bill)
    (line,) = [line for line in told.lines if line.kind is LineKind.RECALL]
    assert (line.order_no, line.refund_no, line.amount_fen) == (order.no, news.about.no, 345)


async def test_nothing_is_taken_back_where_nobody_can(netbank: World) -> None:
    order = netbank.order()
    await netbank.asked(order)
    netbank.pays(order)
    assert not netbank.host.recall(next(iter(netbank.party.book)), 1)


async def test_an_answer_to_another_question_is_unknown(cards: World) -> None:
    """A true answer, kept and played again: its signature is over the nonce of its question."""
    order = cards.order()
    await cards.asked(order)
    kept: list[Response] = []

    async def between(request: Request) -> Response:
        """Somebody between us, who hands on the first answer and then repeats it."""
        if not kept:
            kept.append(cards.party.answer(request))
        return kept[0]

    server = Server(between)
    await server.start()
    cards._servers.append(server)
    channel = cards._channel(cards.account(), f"http://127.0.0.1:{server.port}")
    assert await channel.query(order) == Waiting()
    assert isinstance(await channel.query(order), Unknown)


@pytest.mark.parametrize(("late_s", "stale"), [(AGE_S - 1, 0), (AGE_S, 0), (AGE_S + 1, 1)])
async def test_an_old_notification_is_refused(cards: World, late_s: int, stale: int) -> None:
    order = cards.order()
    await cards.asked(order)
    cards.pays(order)
    await cards.told()
    cards.clock.advance(timedelta(seconds=late_s))
    said = cards.channel.read(cards.raw[-1])
    assert said == Rejected(Why.STALE) if stale else isinstance(said, Notice)


async def test_whose_signature_it_is(cards: World) -> None:
    order = cards.order()
    await cards.asked(order)
    cards.pays(order)
    await cards.told()
    raw = cards.raw[-1]
    for name, value, why in (
        ("gateway-serial", "1", Why.WRONG_KEY),
        ("gateway-time", "1e9", Why.UNREADABLE),
        ("gateway-time", "9" * 13, Why.UNREADABLE),
        ("gateway-nonce", "0" * 32, Why.FORGED),
        ("gateway-signature", "", Why.UNSIGNED),
    ):
        assert cards.channel.read(Incoming({**raw.headers, name: value}, raw.body)) == (
            Rejected(why)
        )
    cards.clock.advance(timedelta(days=3651))  # the certificate is over
    assert cards.channel.read(raw) == Rejected(Why.WRONG_KEY)


async def test_closing_a_paid_page_pays_nothing_back(cards: World) -> None:
    order = cards.order()
    await cards.asked(order)
    assert isinstance(await cards.channel.close(order), Closed)
    paid = cards.order()
    await cards.asked(paid)
    cards.pays(paid)
    assert isinstance(await cards.channel.close(paid), Paid)


def test_a_bill_that_does_not_add_up_is_spoilt() -> None:
    row = Row("1" * 32, "n", 100, 40, to_us(BEGIN), "x")
    rows = [row, replace(row, no="2" * 32, refund_no="r", amount_fen=30)]
    day = BEGIN.date()
    file = party_bill.written(rows, day, "m")
    read = whole(bill.read(BytesIO(file), Expected("m", day)), day)
    assert isinstance(read, Bill) and [line.amount_fen for line in read.lines] == [100, 30]
    for wrong in (
        file.replace(b"|2|1.00", b"|3|1.00", 1),
        file.replace(b"|1.00|0.30", b"|1.00|0.31", 1),
        file.replace("退款".encode(), "支付".encode(), 1),
        file.replace("退款".encode(), b"?", 1),
        file.replace(f"{day:%Y%m%d}".encode(), b"20200101", 1),
        file[: len(file) // 2],
        b"",
        b"\xff",
    ):
        found = whole(bill.read(BytesIO(wrong), Expected("m", day)), day)
        assert isinstance(found, SpoiltBill), wrong
