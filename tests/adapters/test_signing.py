"""What is signed, read and written: laws, and what only one channel has."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import BinaryIO
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kabao.adapters import figures, rsa
from kabao.adapters.alipay import bill as alipay_bill
from kabao.adapters.alipay import signing as alipay
from kabao.adapters.bills import whole
from kabao.adapters.unionpay import bill as unionpay_bill
from kabao.adapters.unionpay import signing as unionpay
from kabao.adapters.unionpay.stamps import us_near
from kabao.adapters.wechat import bill as wechat_bill
from kabao.base.clock import FixedClock, from_us, to_us
from kabao.funding.model.answers import (
    Bill,
    LineKind,
    Notice,
    Order,
    Paid,
    Payer,
    Refused,
    Rejected,
    Scene,
    Show,
    SpoiltBill,
    Waiting,
    Why,
)
from kabao.reconciliation.model.lines import BillReader, Expected
from kabao_sandbox.alipay import bill as alipay_writes
from kabao_sandbox.party import keys, moment
from kabao_sandbox.party.bills import Row
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.http import Request, Response
from kabao_sandbox.unionpay import bill as unionpay_writes
from kabao_sandbox.unionpay import server as unionpay_party
from kabao_sandbox.unionpay.certificates import pem
from kabao_sandbox.wechat import bill as wechat_writes
from kabao_sandbox.wechat.server import Wechat

from .world import AGE_S, BEGIN, S, World, pool, trust, world

KEY = pool()()
TEXTS = st.text(st.sampled_from("a1=+% /{}\"'\n充值é😀"), max_size=12)
FIELDS = st.dictionaries(
    st.sampled_from([*"abAB_", "sign_type", "version", "biz_content"]), TEXTS, max_size=8
)


@settings(max_examples=20)
@given(FIELDS)
def test_alipay_reads_what_we_sign(fields: dict[str, str]) -> None:
    """As a form on the wire; empty values are not signed, and come to nothing."""
    fields = {name: value for name, value in fields.items() if name != "sign"}
    wire = dict(parse_qsl(urlencode(alipay.signed(KEY, fields)), keep_blank_values=True))
    names = sorted(name for name, value in wire.items() if value and name != "sign")
    text = "&".join(f"{name}={wire[name]}" for name in names).encode()
    assert keys.check(KEY.public_key(), text, wire["sign"])
    if names:
        wire[names[0]] += "x"
        assert not rsa.holds(KEY.public_key(), alipay.content(wire), wire["sign"])


@settings(max_examples=20)
@given(FIELDS)
def test_unionpay_reads_what_we_sign(fields: dict[str, str]) -> None:
    whole = unionpay.signed(KEY, "1", {k: v for k, v in fields.items() if k != "signature"})
    wire = dict(parse_qsl(urlencode(whole), keep_blank_values=True))
    assert keys.check(KEY.public_key(), unionpay_party.digest(wire), wire["signature"])


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z]{1,9}", fullmatch=True),
        st.from_regex(
            r"[a-zA-Z0-9+/=\r\n -]{0,20}|\{([a-z]{1,3}=[a-z]{0,3}&?){0,3}\}", fullmatch=True
        ),
        min_size=1,
    )
)
def test_unionpays_answers_are_read_as_they_were_joined(fields: dict[str, str]) -> None:
    joined = "&".join(f"{name}={value}" for name, value in fields.items())
    assert unionpay.fields_of(joined) == fields


@pytest.mark.parametrize("text", ["", "a", "a=1&a=2", "a=1&", "a={b=1", "&"])
def test_what_is_no_answer_of_unionpays(text: str) -> None:
    with pytest.raises(ValueError, match=r"field|brace"):
        unionpay.fields_of(text)


@given(st.integers(-(10**12), 10**12))
def test_yuan_and_back(fen: int) -> None:
    assert figures.fen_of(figures.yuan(fen)) == fen


@pytest.mark.parametrize(
    ("text", "mfen"),
    [
        ("0.00", 0),
        ("1", 100_000),
        ("0.01", 1_000),
        ("-0.60", -60_000),
        ("0.00006", 6),
        ("1.5", 150_000),
    ],
)
def test_fees_have_five_decimals(text: str, mfen: int) -> None:
    assert figures.mfen_of(text) == mfen


@pytest.mark.parametrize(
    "text", ["", ".", "1.", "1,000.00", "1.000001", "1e3", "٣", "--1", "0x1", "nan"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="yuan"):
        figures.mfen_of(text)


def test_less_than_a_fen_is_no_amount() -> None:
    with pytest.raises(ValueError, match="less than a fen"):
        figures.fen_of("0.001")


@given(st.datetimes(moment.at(0).replace(tzinfo=None, year=2001), timezones=st.just(moment.CHINA)))
def test_a_time_without_year_is_the_nearest(at: object) -> None:
    us = to_us(at) // S * S  # type: ignore[arg-type] # a datetime
    for days in (-150, 0, 150):
        near_us = us + days * 86_400 * S
        assert us_near(f"{from_us(us).astimezone(figures.LOCAL):%m%d%H%M%S}", near_us) == us


@pytest.mark.parametrize(
    "text", ["", "123", "1340000000", "0230000000", "1122246000", "112210300x"]
)
def test_what_is_no_time_without_year(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        us_near(text, to_us(BEGIN))


NUMBER = st.integers(0, 10**20 - 1).map(lambda number: f"{number:020d}")
HEX = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
MOMENT = to_us(BEGIN)
SUBJECT = st.text(st.sampled_from("百货卡充值, 100 元ab`"), max_size=20).map(str.strip)
ROWS = st.lists(
    st.builds(
        Row,
        no=HEX,
        number=NUMBER,
        amount_fen=st.integers(1, 10**9),
        fee_mfen=st.integers(0, 10**6).map(lambda fen: fen * 1000),
        at_us=st.integers(0, 43_000).map(lambda s: MOMENT + s * S),
        subject=SUBJECT.filter(lambda text: ",`" not in text),
        refund_no=st.just("") | HEX,
        refund_number=NUMBER,
    ),
    max_size=8,
)


def told(row: Row, *, by_itself: bool) -> tuple[object, ...]:
    """What a bill must tell of a row. UnionPay names a refund by its own number alone."""
    kind = LineKind.REFUND if row.refund else LineKind.PAYMENT
    no = "" if by_itself and row.refund else row.no
    return kind, no, row.refund_no or None, row.number, row.amount_fen, row.fee_mfen, row.at_us


def read(reads: Callable[[BinaryIO, Expected], BillReader], file: bytes, merchant: str) -> object:
    """What the reader makes of a file, as a channel answers it."""
    day = BEGIN.date()
    return whole(reads(io.BytesIO(file), Expected(merchant, day)), day)


def cells(bill: object) -> list[tuple[object, ...]]:
    assert isinstance(bill, Bill), bill
    return [
        (x.kind, x.order_no, x.refund_no, x.channel_no, x.amount_fen, x.fee_mfen, x.at_us)
        for x in bill.lines
    ]


@settings(max_examples=20)
@given(ROWS)
def test_bills_are_read_as_they_were_written(rows: list[Row]) -> None:
    day = BEGIN.date()
    alipays = alipay_writes.written(rows, day, "2088", truncated=False)
    assert cells(read(alipay_bill.read, alipays, "2088")) == [
        told(row, by_itself=False) for row in rows
    ]
    wechats = wechat_writes.written(rows, "wx1", "1900")
    assert cells(read(wechat_bill.read, wechats, "1900")) == [
        told(row, by_itself=False) for row in rows
    ]
    unionpays = unionpay_writes.written(rows, day, "777", truncated=False)
    assert cells(read(unionpay_bill.read, unionpays, "777")) == [
        told(row, by_itself=True) for row in rows
    ]


@settings(max_examples=25)
@given(ROWS.filter(bool), st.floats(0.1, 0.99))
def test_a_wechat_bill_cut_anywhere_is_spoilt(rows: list[Row], where: float) -> None:
    text = wechat_writes.written(rows, "wx1", "1900").rstrip()
    assert not isinstance(read(wechat_bill.read, text[: int(len(text) * where)], "1900"), Bill)


def test_an_alipay_bill_that_ends_after_any_line_is_spoilt() -> None:
    """It has no totals of its table but the counts behind it."""
    rows = [Row(f"{n:032x}", f"{n:020d}", 100 + n, 1_000, MOMENT, "", "") for n in range(3)]
    file = alipay_writes.written(rows, BEGIN.date(), "2088", truncated=False)
    with zipfile.ZipFile(io.BytesIO(file), metadata_encoding="gbk") as archive:
        (name,) = [one for one in archive.namelist() if "汇总" not in one]
        lines = archive.read(name).split(b"\r\n")
    foot = next(n for n, line in enumerate(lines) if line.startswith("#退款合计".encode("gbk")))
    for kept in range(foot):
        cut = io.BytesIO()
        with zipfile.ZipFile(cut, "w") as archive:
            archive.writestr("detail.csv", b"\r\n".join(lines[:kept]))
        assert not isinstance(read(alipay_bill.read, cut.getvalue(), "2088"), Bill), kept


@pytest.mark.parametrize("gone", [1, 2, 3, 4, 5])
def test_a_wechat_bill_without_one_of_its_lines_is_spoilt(gone: int) -> None:
    rows = [Row(f"{n:032x}", f"{n:020d}", 100 + n, 1_000, MOMENT, "", "") for n in range(3)]
    lines = wechat_writes.written(rows, "wx1", "1900").decode("utf-8-sig").split("\r\n")
    assert isinstance(read(wechat_bill.read, "\r\n".join(lines).encode(), "1900"), Bill)
    del lines[gone]
    assert isinstance(read(wechat_bill.read, "\r\n".join(lines).encode(), "1900"), SpoiltBill)


async def test_a_wechat_bill_must_be_the_file_that_was_announced() -> None:
    """Its address and digest are signed, the file is not: another whole one is refused."""
    async with world("wechat") as at:
        assert isinstance(at.party, Wechat)
        await _sold(at)
        other = gzip.compress(wechat_writes.written([], "wx1", "1900"))
        said = at.party.answer

        def swapped(request: Request) -> Response:
            response = said(request)
            assert isinstance(at.party, Wechat)
            at.party.files = dict.fromkeys(at.party.files, other)
            return response

        at.party.answer = swapped  # type: ignore[method-assign] # somebody between
        assert isinstance(await at.channel.bill(BEGIN.date()), SpoiltBill)


@pytest.mark.parametrize("file", [b"", b"PK", b"\xff" * 100, b"PK\x03\x04" + b"0" * 60])
def test_no_bytes_break_the_reading_of_bills(file: bytes) -> None:
    for module in (alipay_bill, wechat_bill, unionpay_bill):
        assert not isinstance(module.read(file, BEGIN.date()), Bill)


async def test_wechat_notifications_grow_old() -> None:
    """The time of sending is signed: five minutes, to both sides."""
    async with world("wechat") as at:
        await _sold(at)
        raw, begun = at.raw[-1], at.clock.now_us()
        for seconds, fresh in (
            (AGE_S, True),
            (AGE_S + 1, False),
            (-AGE_S, True),
            (-AGE_S - 1, False),
        ):
            at.clock.advance(timedelta(microseconds=begun + seconds * S - at.clock.now_us()))
            said = at.channel.read(raw)
            assert isinstance(said, Notice) is fresh
            assert fresh or said == Rejected(Why.STALE)


async def test_wechat_sends_each_notification_with_a_nonce_of_its_own() -> None:
    async with world("wechat") as at:
        await _sold(at)
        await _sold(at)
        nonces = {notice.nonce for notice in at.heard if isinstance(notice, Notice)}
        assert len(nonces) == 2 and None not in nonces


@pytest.mark.parametrize("name", ["alipay", "unionpay"])
async def test_where_no_sending_time_is_signed_age_is_not_judged(name: str) -> None:
    """Such channels repeat the same notification for a day: the order's state decides."""
    async with world(name) as at:
        await _sold(at)
        at.clock.advance(timedelta(hours=23))
        assert isinstance(at.channel.read(at.raw[-1]), Notice)
        assert not at.channel.capabilities.notice_age_signed


async def test_wechats_key_must_be_the_one_we_know() -> None:
    async with world("wechat") as at:
        await _sold(at)
        raw = at.raw[-1]
        headers = {**raw.headers, "wechatpay-serial": "PUB_KEY_ID_0000000000000000000000000000"}
        assert at.channel.read(type(raw)(headers, raw.body)) == Rejected(Why.WRONG_KEY)


async def test_credit_is_barred_where_it_can_be_and_else_refused() -> None:
    for name in ("alipay", "wechat", "unionpay"):
        async with world(name) as at:
            said = await at.channel.create(at.order(no_credit=True), Payer())
            assert isinstance(said, Waiting if at.channel.capabilities.no_credit else Refused)


async def test_a_page_is_gone_to_and_paid() -> None:
    async with world("alipay") as at:
        order = at.order(Scene.PAGE)
        said = await at.channel.create(order, Payer())
        assert isinstance(said, Waiting) and said.show is Show.REDIRECT
        await at.client.get(said.text)
        await _pays(at, order)
    async with world("unionpay") as at:
        order = at.order(Scene.PAGE)
        said = await at.channel.create(order, Payer())
        assert isinstance(said, Waiting) and said.show is Show.FORM
        await at.client.post(said.text, data=dict(said.fields))
        await _pays(at, order)


async def test_wechats_app_begins_a_payment_with_our_signature() -> None:
    async with world("wechat") as at:
        order = at.order(Scene.APP)
        said = await at.channel.create(order, Payer(openid="o-1"))
        assert isinstance(said, Waiting) and said.show is Show.APP
        fields = dict(said.fields)
        text = "".join(f"{fields[n]}\n" for n in ("appId", "timeStamp", "nonceStr", "package"))
        public = rsa.private_key(at.account()["merchant_key"].encode()).public_key()
        assert keys.check(public, text.encode(), fields["paySign"])
        await _pays(at, order)


def test_a_payer_shows_nothing_of_itself() -> None:
    assert "281" not in repr(Payer("2812345"))


def test_a_certificate_of_somebody_else_is_not_believed() -> None:
    """Under UnionPay's own root, valid, but not in its name; and one that is over."""
    clock = FixedClock(BEGIN)
    party = unionpay_party.Unionpay(clock.now_us, Chance(1), pool())
    ours, forged = party.whole({"a": "1"}), party.whole({"a": "1"}, forged=True)
    believed = trust(
        {"root": pem(party.certificates.root), "between": [pem(party.certificates.between)]}
    )
    now = from_us(clock.now_us())
    assert believed.holds(ours, now)
    assert not believed.holds(forged, now)
    assert not believed.holds(ours, now + timedelta(days=3651))
    assert not believed.holds(ours, now - timedelta(days=3651))
    assert not believed.holds({**ours, "signPubKeyCert": "none"}, now)


async def _sold(at: World) -> Order:
    order = at.order()
    await at.channel.create(order, Payer())
    assert at.pays(order)
    await at.told()
    return order


async def _pays(at: World, order: Order) -> None:
    assert at.pays(order)
    await at.told()
    assert isinstance(await at.channel.query(order), Paid)
