"""One suite for every adapter, against its party over sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import httpx
import pytest
from msgspec import structs

from kabao.funding.model.answers import (
    Bill,
    Closed,
    Incoming,
    LineKind,
    NoBill,
    Notice,
    NotThere,
    Order,
    Paid,
    Payer,
    Refunded,
    RefundNews,
    Refused,
    Rejected,
    Scene,
    Show,
    SpoiltBill,
    Unknown,
    Unreachable,
    Waiting,
    Why,
    check,
)
from kabao.funding.model.life import Effect, State, event_of, step
from kabao_sandbox.party.bills import Planted
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults
from kabao_sandbox.party.http import Response

from .world import BEGIN, CHANNELS, FIRST, World, world

NOBODY = Payer()


def changed(raw: Incoming, body: bytes, headers: Mapping[str, str] | None = None) -> Incoming:
    return Incoming(raw.headers if headers is None else headers, body)


def why(said: Notice | Rejected) -> Why | None:
    return said.why if isinstance(said, Rejected) else None


@pytest.fixture(params=CHANNELS)
async def at(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world(request.param) as made:
        yield made


def by_form(at: World) -> bool:
    """Whether the payer's browser brings the order, so that the channel is not asked."""
    return at.name == "netbank"


@pytest.fixture(params=[name for name in CHANNELS if name not in FIRST])
async def till(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Where payers' codes are scanned."""
    async with world(request.param) as made:
        yield made


async def sold(at: World, amount_fen: int = 12_345) -> tuple[Order, Paid]:
    """An order that somebody has paid."""
    order = at.order(amount_fen=amount_fen)
    assert isinstance(await at.asked(order), Waiting)
    assert at.pays(order)
    await at.told()
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid)
    return order, paid


async def test_an_order_is_shown_and_paid(at: World) -> None:
    order = at.order()
    shown = await at.asked(order)
    assert isinstance(shown, Waiting) and shown.show is not None and shown.text
    assert (shown.show is Show.QR) == (order.scene is Scene.QR)
    assert isinstance(await at.channel.query(order), Waiting | NotThere)
    assert at.pays(order)
    await at.told()
    (notice,) = at.heard
    assert isinstance(notice, Notice) and check(notice, order) is notice
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid) and isinstance(notice.about, Paid)
    assert (paid.amount_fen, paid.channel_no) == (order.amount_fen, notice.about.channel_no)
    assert paid.paid_us == notice.about.paid_us == at.clock.now_us()


async def test_the_same_order_asked_twice_is_paid_once(at: World) -> None:
    order = at.order()
    first = await at.asked(order)
    again = await at.asked(order)
    assert isinstance(first, Waiting) and isinstance(again, Waiting | Unknown)
    assert at.pays(order)
    assert not at.pays(order)
    if isinstance(first, Waiting) and first.show is not Show.FORM:  # a form is not asked about
        assert not isinstance(await at.channel.create(order, NOBODY), Waiting | Refused)


async def test_a_payers_code_is_scanned(till: World) -> None:
    order = till.order(Scene.CODE)
    said = await till.channel.create(order, Payer(till.code()))
    await till.told()
    assert isinstance(said, Paid | Waiting)
    paid = await till.channel.query(order)
    assert isinstance(paid, Paid) and said in (paid, Waiting())


async def test_a_payers_code_is_good_once(till: World) -> None:
    code = till.code()
    await till.channel.create(till.order(Scene.CODE), Payer(code))
    said = await till.channel.create(till.order(Scene.CODE), Payer(code))
    assert isinstance(said, Refused)


async def test_a_payer_without_money_is_refused(till: World) -> None:
    till.host.order(Faults(success=0))
    order = till.order(Scene.CODE)
    said = await till.channel.create(order, Payer(till.code()))
    assert isinstance(said, Refused | Waiting)
    assert not isinstance(await till.channel.query(order), Paid | Waiting)


async def test_a_payer_who_types_no_password_is_cancelled(till: World) -> None:
    order = till.order(Scene.CODE)
    said = await till.channel.create(order, Payer(till.code(password=True)))
    assert said == Waiting()
    assert await till.channel.query(order) == Waiting()
    assert isinstance(await till.channel.close(order), Closed)
    assert not till.pays(order)
    assert isinstance(await till.channel.query(order), Closed | Refused)


async def test_cancelling_what_was_paid_pays_back(till: World) -> None:
    order = till.order(Scene.CODE)
    await till.channel.create(order, Payer(till.code()))
    assert isinstance(await till.channel.close(order), Closed)
    trade = till.party.book.find(order.no)
    assert trade is not None and trade.refunded_fen == order.amount_fen
    after = await till.channel.query(order)
    assert isinstance(after, Closed | Refused) or (isinstance(after, Paid) and after.given_back)


async def test_an_order_ends_with_its_time(at: World) -> None:
    order = at.order()
    await at.asked(order)
    at.clock.advance(timedelta(minutes=16))
    assert not at.pays(order)
    assert isinstance(await at.channel.close(order), Closed | Refused)


async def test_refunds_wait_while_our_account_there_is_empty(at: World) -> None:
    """What may be there tomorrow is no refusal: the same number is sent again until it is."""
    if at.name == "bank":
        return  # it refuses a payout for good, and takes no number twice
    order, paid = await sold(at)
    refund = at.refund(order, paid.channel_no, 5_000)
    at.party.book.short = True
    for _ in range(2):
        assert isinstance(await at.channel.refund(order, refund), Unknown)
        assert await at.channel.query_refund(order, refund) == NotThere()
    at.party.book.short = False
    assert await at.channel.refund(order, refund) in (Refunded(5_000), Waiting())
    assert await at.channel.query_refund(order, refund) == Refunded(5_000)


async def test_words_as_long_as_people_write_them_stop_no_refund(at: World) -> None:
    order, paid = await sold(at)
    refund = structs.replace(at.refund(order, paid.channel_no, 5_000), reason="退货" * 127)
    assert await at.channel.refund(order, refund) in (Refunded(5_000), Waiting())


async def test_what_was_never_asked_for_is_not_there(at: World) -> None:
    assert await at.channel.query(at.order()) == NotThere()


async def test_parts_are_paid_back(at: World) -> None:
    order, paid = await sold(at)
    refund = at.refund(order, paid.channel_no, 5_000)
    assert await at.channel.query_refund(order, refund) == NotThere()
    assert await at.channel.refund(order, refund) in (Refunded(5_000), Waiting())
    again = await at.channel.refund(order, refund)
    assert isinstance(again, Refunded | Waiting | Unknown), "asked twice, it is one"
    assert await at.channel.query_refund(order, refund) == Refunded(5_000)
    await at.told()
    news = at.heard[-1]
    assert isinstance(news, Notice) and news.order_no == order.no
    assert news.about == RefundNews(refund.no, Refunded(5_000)) or (
        isinstance(news.about, Paid) and news.about.given_back
    )
    too_much = at.refund(order, paid.channel_no, order.amount_fen - 5_000 + 1)
    assert isinstance(await at.channel.refund(order, too_much), Refused)
    rest = at.refund(order, paid.channel_no, order.amount_fen - 5_000)
    assert await at.channel.refund(order, rest) in (Refunded(rest.amount_fen), Waiting())
    after = await at.channel.query(order)
    assert isinstance(after, Paid)


async def test_a_lost_answer_is_unknown_and_the_query_tells(at: World) -> None:
    order, _ = await sold(at)
    at.host.order(Faults(lose=100))
    assert isinstance(await at.channel.query(order), Unknown)
    at.host.order(Faults())
    assert isinstance(await at.channel.query(order), Paid)


async def test_a_lost_answer_at_a_till_is_unknown(till: World) -> None:
    till.host.order(Faults(lose=100))
    order = till.order(Scene.CODE)
    assert isinstance(await till.channel.create(order, Payer(till.code())), Unknown)
    till.host.order(Faults())
    assert isinstance(await till.channel.query(order), Paid)


async def test_nobody_there_is_told_from_no_answer(at: World) -> None:
    at.host.order(Faults(down_s=0.05))
    order = at.order()
    answers = [await at.channel.query(order)]
    while isinstance(answers[-1], Unreachable):
        answers.append(await at.channel.query(order))
    assert len(answers) > 1
    assert answers[-1] == NotThere()


async def test_whoever_is_down_comes_back_when_told_to(at: World) -> None:
    for _ in range(2):
        at.host.order(Faults(down_s=3600))
    order = at.order()
    while not isinstance(await at.channel.query(order), Unreachable):
        pass
    at.host.order(Faults())
    while (said := await at.channel.query(order)) != NotThere():
        assert isinstance(said, Unreachable)


async def test_an_answer_by_another_key_is_unknown(at: World) -> None:
    """The merchant's keys are right, the host is a stranger's."""
    async with world(at.name, strange=True) as stranger:
        order = stranger.order()
        if not by_form(stranger):
            assert isinstance(await stranger.channel.create(order, NOBODY), Unknown)
        assert isinstance(await stranger.channel.query(order), Unknown)
        assert isinstance(await stranger.channel.close(order), Unknown)


@pytest.mark.parametrize("page", [(200, b"<html>"), (502, b"bad gateway"), (204, b""), (302, b"")])
async def test_a_page_in_place_of_an_answer_is_unknown(at: World, page: tuple[int, bytes]) -> None:
    channel, order = await at.instead(Response(*page)), at.order()
    refund = at.refund(order, "1", 1)
    assert by_form(at) or isinstance(await channel.create(order, NOBODY), Unknown)
    assert isinstance(await channel.query(order), Unknown)
    assert isinstance(await channel.close(order), Unknown)
    assert isinstance(await channel.refund(order, refund), Unknown)
    assert isinstance(await channel.query_refund(order, refund), Unknown)
    assert isinstance(await channel.bill(BEGIN.date()), Unknown)


async def test_notifications_repeated_forged_and_wrong(at: World) -> None:
    at.host.order(Faults(forge=100, wrong_amount=100, duplicate=3))
    order = at.order()
    await at.asked(order)
    at.pays(order)
    await at.told()
    forged, wrong, *true = at.heard
    assert forged == Rejected(Why.FORGED)
    assert isinstance(wrong, Notice)
    assert check(wrong, order) == Rejected(Why.WRONG_AMOUNT, order.no)
    assert len(true) == 4
    about = {notice.about for notice in true if isinstance(notice, Notice)}
    assert len(about) == 1 and all(isinstance(notice, Notice) for notice in true)


async def test_a_storm_of_notifications_confirms_each_order_once(at: World) -> None:
    """Each up to 50 times, shuffled, some forged, some of another amount (F-14, I-7)."""
    chance = Chance(14)
    orders = {order.no: order for order in (at.order(amount_fen=n + 1) for n in range(20))}
    storm: list[Incoming] = []
    for order in orders.values():
        await at.asked(order)
        trade = at.party.book.find(order.no)
        assert trade is not None and at.party.book.pay(trade, "payer", 100)
        make = at.party.notice(trade, None)
        false = [make(forged=True)] * 2 + [make(wrong_amount=True)] * 2
        true = [make(), make()]
        sent = false + chance.choices(true, k=chance.randint(1, 50))
        storm += [Incoming({k.lower(): v for k, v in m.headers.items()}, m.body) for m in sent]
    chance.shuffle(storm)
    states = dict.fromkeys(orders, State.CREATED)
    paid_by: dict[str, str] = {}
    effects: Counter[tuple[str, Effect]] = Counter()
    refused: Counter[Why] = Counter()
    for incoming in storm:
        said = at.channel.read(incoming)
        if isinstance(said, Notice):
            said = check(said, orders[said.order_no])
        if isinstance(said, Rejected):
            refused[said.why] += 1
            continue
        assert isinstance(said.about, Paid)
        no = said.order_no
        went = step(states[no], event_of(said.about, paid_by=paid_by.get(no), over=False))
        states[no] = went.state
        paid_by.setdefault(no, said.about.channel_no)
        effects[no, went.effect] += went.effect is not Effect.NONE
    assert +effects == Counter({(no, Effect.CONFIRM): 1 for no in orders})
    assert refused == {Why.FORGED: 40, Why.WRONG_AMOUNT: 40}
    assert set(states.values()) == {State.CONFIRMED}


async def test_what_is_altered_or_unsigned_is_refused(at: World) -> None:
    await sold(at)
    raw = at.raw[-1]
    for number in range(0, len(raw.body), 7):
        body = bytearray(raw.body)
        body[number] ^= 1
        said = at.channel.read(changed(raw, bytes(body)))
        assert isinstance(said, Rejected), bytes(body)
    ours = ("wechatpay-", "gateway-")
    bare = {k: v for k, v in raw.headers.items() if not k.startswith(ours)}
    form = raw.body.split(b"&sign")[0]
    unsigned = at.channel.read(changed(raw, form, bare))
    assert unsigned == Rejected(Why.UNSIGNED)


async def test_no_bytes_break_the_reading_of_notifications(at: World) -> None:
    for body in (b"", b"\xff\xfe", b"{}", b"[]", b"a=1&a=1", b"a", b"%ff=%ff&sign=x", b"{" * 99):
        assert isinstance(at.channel.read(Incoming({}, body)), Rejected)


async def test_a_notification_for_another_merchant_is_refused(at: World) -> None:
    await sold(at)
    other_app, other_merchant = at.others()
    if other_app is not None:
        assert why(other_app.read(at.raw[-1])) is Why.WRONG_APP
    assert why(other_merchant.read(at.raw[-1])) is Why.WRONG_MERCHANT


async def test_the_bill_of_a_day_is_what_happened(at: World) -> None:
    assert isinstance(await at.channel.bill(BEGIN.date()), NoBill)
    order, paid = await sold(at)
    for amount_fen in (1, 99, 100_000):
        await sold(at, amount_fen)
    refund = at.refund(order, paid.channel_no, 2_000)
    await at.channel.refund(order, refund)
    bill = await at.channel.bill(BEGIN.date())
    assert isinstance(bill, Bill)
    assert sorted(line.amount_fen for line in bill.lines) == [1, 99, 2_000, 12_345, 100_000]
    (back,) = [line for line in bill.lines if line.kind is LineKind.REFUND]
    assert (back.refund_no, back.amount_fen) == (refund.no, 2_000)
    (line,) = [line for line in bill.lines if line.amount_fen == 12_345]
    assert (line.order_no, line.channel_no, line.at_us) == (order.no, paid.channel_no, paid.paid_us)
    fee_mfen = 12_345 * at.party.fee_ppm // 1_000
    assert abs(line.fee_mfen - fee_mfen) < 1_000  # in some bills to the fen


@pytest.mark.parametrize("error", ["missing", "extra", "amount", "fee", "double"])
async def test_planted_errors_are_in_the_bill_and_no_others(at: World, error: str) -> None:
    for _ in range(4):
        await sold(at)
    clean = await at.channel.bill(BEGIN.date())
    at.host.planted = Planted(**{error: 1})
    bent = await at.channel.bill(BEGIN.date())
    assert isinstance(clean, Bill) and isinstance(bent, Bill)
    lines = {"missing": 3, "extra": 5, "double": 5}.get(error, 4)
    assert len(bent.lines) == lines
    assert len(set(clean.lines) & set(bent.lines)) == (4 if error in {"extra", "double"} else 3)
    (planted,) = at.host.planted_last[error]
    odd = set(clean.lines) ^ set(bent.lines)
    assert {line.order_no for line in odd} == ({planted} if odd else set())


async def test_a_truncated_bill_is_spoilt(at: World) -> None:
    for _ in range(4):
        await sold(at)
    at.host.planted = Planted(truncated=True)
    assert isinstance(await at.channel.bill(BEGIN.date()), SpoiltBill)


async def test_the_desk_orders_faults_and_lets_people_pay(at: World) -> None:
    order = at.order()
    await at.asked(order)
    async with httpx.AsyncClient(base_url=at.host.desk_url, trust_env=False) as desk:
        assert (await desk.put("/faults", json={"duplicate": 1})).json()["duplicate"] == 1
        assert (await desk.put("/faults", json={"duplicate": -1})).status_code == 400
        assert (await desk.put("/faults", content=b"{")).status_code == 400
        assert (await desk.post(f"/orders/{order.no}/pay")).json()["paid"] is True
        assert (await desk.post(f"/orders/{order.no}/pay")).status_code == 404
        assert (await desk.get("/orders")).json()[0]["state"] == "paid"
        assert (await desk.post("/codes")).json()["code"]
        assert at.party.name in (await desk.get("/")).text
        assert (await desk.get("/account")).json()["merchant_key"]
    await at.told()
    assert len(at.heard) == 2
