"""Bank cards at terminals that are not connected: slips, and the file they are matched with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO

import httpx
import pytest

from kabao.adapters.acquirer import bill
from kabao.adapters.bills import whole
from kabao.adapters.blame import unsent
from kabao.funding.model.answers import (
    Bill,
    Closed,
    Incoming,
    LineKind,
    NoBill,
    NotThere,
    Paid,
    Payer,
    Refused,
    Rejected,
    Scene,
    Slip,
    SpoiltBill,
    Why,
)
from kabao.reconciliation.model.lines import Expected
from kabao_sandbox.party.bills import Planted

from .world import BEGIN, World, world

DAY = BEGIN.date()


@pytest.fixture
async def at() -> AsyncIterator[World]:
    async with world("acquirer") as made:
        yield made


async def charged(at: World, amount: int = 12_345) -> Slip:
    async with httpx.AsyncClient(base_url=at.host.desk_url, trust_env=False) as desk:
        done = await desk.post("/sales", json={"amount": amount})
        assert done.status_code == 200
        return Slip(**done.json())


async def test_a_slip_is_believed_and_its_file_knows_it(at: World) -> None:
    assert at.channel.capabilities.recorded
    assert isinstance(await at.channel.bill(DAY), NoBill)
    slip, order = await charged(at), at.order(Scene.TERMINAL)
    paid = await at.channel.create(order, Payer(slip=slip))
    assert isinstance(paid, Paid)
    assert (paid.amount_fen, paid.paid_us) == (order.amount_fen, at.clock.now_us())
    assert paid.channel_no == f"{slip.terminal}-{slip.reference}"
    async with httpx.AsyncClient(base_url=at.host.desk_url, trust_env=False) as desk:
        back = await desk.post(f"/sales/{slip.reference}/refund", json={"amount": 345})
        assert back.status_code == 200
        much = await desk.post(f"/sales/{slip.reference}/refund", json={"amount": 12_001})
        assert much.status_code == 409
        assert (await desk.post("/sales", json={"amount": 1, "terminal": "x"})).status_code == 404
    told = await at.channel.bill(DAY)
    assert isinstance(told, Bill)
    assert [(line.kind, line.amount_fen, line.channel_no) for line in told.lines] == [
        (LineKind.PAYMENT, 12_345, paid.channel_no),
        (LineKind.REFUND, 345, paid.channel_no),
    ]
    assert told.lines[0].fee_mfen == 74_070


@pytest.mark.parametrize(
    ("slip", "why"),
    [
        (None, "slip_unreadable"),
        (Slip("10000001", "1" * 11, "123456"), "slip_unreadable"),
        (Slip("10000001", "1" * 12, "12345"), "slip_unreadable"),
        (Slip("10000001", "１" * 12, "123456"), "slip_unreadable"),
        (Slip("1000001", "1" * 12, "123456"), "slip_unreadable"),
        (Slip("10000003", "1" * 12, "123456"), "terminal_unknown"),
    ],
)
async def test_a_slip_that_cannot_be_ours_is_refused(
    at: World, slip: Slip | None, why: str
) -> None:
    order = at.order(Scene.TERMINAL)
    assert await at.channel.create(order, Payer(slip=slip)) == unsent(why)


async def test_what_a_terminal_does_not_offer(at: World) -> None:
    slip = await charged(at)
    assert await at.channel.create(at.order(Scene.QR), Payer(slip=slip)) == (
        unsent("scene_not_offered")
    )
    barred = at.order(Scene.TERMINAL, no_credit=True)
    assert await at.channel.create(barred, Payer(slip=slip)) == unsent("no_credit_not_offered")
    order = at.order(Scene.TERMINAL)
    assert await at.channel.query(order) == NotThere()
    assert await at.channel.close(order) == Closed()
    refund = at.refund(order, "n", 1)
    assert await at.channel.refund(order, refund) == Refused("refund_at_the_terminal")
    assert await at.channel.query_refund(order, refund) == Refused("refund_at_the_terminal")
    assert at.channel.read(Incoming({}, b"{}")) == Rejected(Why.UNREADABLE)


@pytest.mark.parametrize("error", ["missing", "extra", "amount", "fee", "double"])
async def test_planted_errors_are_in_the_file(at: World, error: str) -> None:
    for amount in (100, 200, 300):
        await charged(at, amount)
    clean = await at.channel.bill(DAY)
    at.host.planted = Planted(**{error: 1})
    bent = await at.channel.bill(DAY)
    assert isinstance(clean, Bill) and isinstance(bent, Bill) and clean != bent
    at.host.planted = Planted(truncated=True)
    assert isinstance(await at.channel.bill(DAY), SpoiltBill)


def test_files_that_are_none() -> None:
    for file in (b"", b"\xff\xff", b"a,b\r\n", "合计,20261122,0,0.00,0.00".encode("gbk")):
        assert isinstance(whole(bill.read(BytesIO(file), Expected("m", DAY)), DAY), SpoiltBill)
