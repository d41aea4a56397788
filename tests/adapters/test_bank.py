"""What only an account at a bank has: whatever somebody transfers, statements, payouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pyiso20022.camt.camt_053_001_08 import camt_053_001_08 as camt053
from pyiso20022.camt.camt_054_001_08 import camt_054_001_08 as camt054
from pyiso20022.pain.pain_001_001_09 import pain_001_001_09 as pain001
from pyiso20022.pain.pain_002_001_10 import pain_002_001_10 as pain002
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from kabao.adapters.bank import meaning, payout
from kabao.adapters.bank.channel import BankChannel
from kabao.adapters.bank.payout import Holder, Payout, written
from kabao.adapters.blame import unsent
from kabao.funding.model.answers import (
    Bill,
    Closed,
    LineKind,
    NoBill,
    Notice,
    NotThere,
    Order,
    Paid,
    Payer,
    Recalled,
    Refund,
    Refunded,
    Refused,
    Rejected,
    Scene,
    Show,
    SpoiltBill,
    Unknown,
    Waiting,
    Why,
    check,
)
from kabao.funding.model.receipts import Expected, Nobodys, Receipts, owner, reference_of
from kabao_sandbox.bank import camt, pain
from kabao_sandbox.bank.model import ACCOUNT, HOLDER, PREFIX, booked
from kabao_sandbox.party.bills import Planted
from kabao_sandbox.party.faults import Faults

from .world import BEGIN, World, world

DAY = BEGIN.date()
ORACLE = XmlParser(config=ParserConfig(fail_on_unknown_properties=True))


@pytest.fixture
async def at() -> AsyncIterator[World]:
    async with world("bank") as made:
        yield made


def bank(at: World, **other: object) -> BankChannel:
    channel = at.channel if not other else at._channel(at.account() | other)
    assert isinstance(channel, BankChannel)
    return channel


async def transfer(at: World, **what: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=at.host.desk_url, trust_env=False) as desk:
        done = await desk.post("/transfers", json=what)
    await at.told()
    return done


async def opened(at: World, **more: Any) -> tuple[Order, dict[str, str]]:
    order = at.order(**more)
    shown = await at.asked(order)
    assert isinstance(shown, Waiting) and shown.show is Show.ACCOUNT
    return order, dict(shown.fields)


async def test_what_the_payer_is_shown(at: World) -> None:
    order, fields = await opened(at)
    reference = reference_of(order.no)
    assert fields == {
        "account": PREFIX + reference,
        "name": HOLDER,
        "bank": "示范银行",
        "bank_no": "301290000007",
        "reference": reference,
        "amount": "123.45",
    }
    qr = at.order(Scene.QR)
    assert await at.channel.create(qr, Payer()) == unsent("scene_not_offered")


@pytest.mark.parametrize("words", ["{}", "充值 {} 谢谢", "NO:{}/2026-11-22"])
async def test_a_transfer_to_the_account_itself_is_known_by_its_reference(
    at: World, words: str
) -> None:
    order, fields = await opened(at)
    words = words.format(fields["reference"])
    done = await transfer(at, amount=12_345, words=words, name="张三")
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid)
    assert (paid.channel_no, paid.payer) == (done.json()["no"], "张三")


@pytest.mark.parametrize("amount", [12_344, 12_346])
@pytest.mark.parametrize("by", ["account", "reference"])
async def test_another_sum_is_nobodys(at: World, amount: int, by: str) -> None:
    order, fields = await opened(at)
    where = {"to": fields["account"]} if by == "account" else {"words": fields["reference"]}
    await transfer(at, amount=amount, **where)
    assert await at.channel.query(order) == Waiting()
    if by == "account":  # the bank tells of what comes to a virtual account
        (notice,) = at.heard
        assert isinstance(notice, Notice)
        assert check(notice, order) == Rejected(Why.WRONG_AMOUNT, order.no)
    told = await bank(at).receipts(DAY)
    assert isinstance(told, Receipts)
    (one,) = told.items
    expected = {fields["reference"]: [Expected(order.no, order.amount_fen)]}
    assert (one.amount_fen, one.reference) == (amount, fields["reference"])
    assert owner(one, expected) is Nobodys.WRONG_AMOUNT


async def test_money_without_a_reference_or_with_two_is_nobodys(at: World) -> None:
    one, first = await opened(at)
    two, second = await opened(at)
    await transfer(at, amount=12_345, words="房租")
    await transfer(at, amount=12_345, words=f"{first['reference']} {second['reference']}")
    await transfer(at, amount=12_345, words=first["reference"] + "0")
    for order in (one, two):
        assert await at.channel.query(order) == Waiting()
    told = await bank(at).receipts(DAY)
    assert isinstance(told, Receipts)
    assert [item.reference for item in told.items] == ["", "", ""]
    bill = await at.channel.bill(DAY)
    assert isinstance(bill, Bill)
    assert [(line.kind, line.order_no) for line in bill.lines] == [(LineKind.PAYMENT, "")] * 3


async def test_a_second_transfer_is_told_apart_from_the_first(at: World) -> None:
    order, fields = await opened(at)
    at.pays(order)
    await transfer(at, to=fields["account"], amount=12_345, name="张三")
    first, second = at.heard
    assert isinstance(first, Notice) and isinstance(first.about, Paid)
    assert isinstance(second, Notice) and isinstance(second.about, Paid)
    assert first.about.channel_no != second.about.channel_no
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid) and paid.channel_no == first.about.channel_no
    told = await bank(at).receipts(DAY)
    assert isinstance(told, Receipts)
    expected = {fields["reference"]: [Expected(order.no, 12_345)]}
    assert [owner(item, expected) for item in told.items] == [Expected(order.no, 12_345)] * 2


async def test_a_closed_account_takes_nothing_and_what_came_before_is_told(at: World) -> None:
    order, fields = await opened(at)
    assert await at.channel.close(order) == Closed()
    assert (await transfer(at, to=fields["account"], amount=12_345)).status_code == 409
    assert await at.channel.query(order) == Closed()
    paid, _ = await opened(at)
    at.pays(paid)
    assert isinstance(await at.channel.close(paid), Paid)
    late, _ = await opened(at)
    at.clock.advance(timedelta(minutes=16))
    assert await at.channel.query(late) == Closed()
    assert await at.channel.close(at.order()) == NotThere()


async def test_a_number_that_is_another_orders_is_not_used(at: World) -> None:
    order, _ = await opened(at)
    shift = 10**11
    twin = at.order(no=f"{int(order.no, 16) + shift:032x}")
    assert reference_of(twin.no) == reference_of(order.no)
    assert await at.channel.create(twin, Payer()) == Refused("ACCOUNT_TAKEN")
    assert isinstance(await at.channel.query(twin), Unknown)


async def paid_back(at: World, amount_fen: int = 5_000) -> tuple[Order, Paid, Refund]:
    order, _ = await opened(at)
    at.pays(order)
    await at.told()
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid)
    return order, paid, at.refund(order, paid.channel_no, amount_fen)


async def test_a_refund_goes_to_the_account_it_came_from(at: World) -> None:
    order, fields = await opened(at)
    done = await transfer(at, amount=12_345, words=fields["reference"], name="欧阳 <&> 克里斯")
    refund = at.refund(order, done.json()["no"], 12_345)
    assert await at.channel.refund(order, refund) == Waiting()
    (asked, code, _) = at.party._payouts[refund.no]  # type: ignore[attr-defined] # its own
    assert (asked.name, asked.amount_fen, asked.order) == ("欧阳 <&> 克里斯", 12_345, order.no)
    assert asked.account.startswith("6222") and code == "ACSC"
    assert await at.channel.query_refund(order, refund) == Refunded(12_345)
    after = await at.channel.query(order)
    assert isinstance(after, Paid) and after.given_back


async def test_what_a_bank_may_say_of_a_payout(at: World) -> None:
    order, paid, refund = await paid_back(at)
    too_much = at.refund(order, paid.channel_no, 20_000)
    assert await at.channel.refund(order, too_much) == Refused("AM04")
    assert await at.channel.refund(order, refund) == Waiting()
    again = Refund(refund.no, 4_000, 12_345, paid.channel_no, refund.created_us, "")
    assert isinstance(await at.channel.refund(order, again), Unknown)  # its number is taken
    nobodys = Refund("f" * 32, 1, 12_345, "no such entry", refund.created_us, "")
    assert isinstance(await at.channel.refund(order, nobodys), Unknown)
    said = pain.Asked(refund.no, order.no, 5_000, "", "")
    now_us = at.clock.now_us()
    for code, reason, meant in (
        ("RCVD", "", Waiting()),
        ("PDNG", "", Waiting()),
        ("ACSC", "", Refunded(5_000)),
        ("RJCT", "AC04", Refused("AC04")),
        ("CANC", "", Refused("CANC")),
        ("RJCT", "AM05", Unknown("AM05")),
        ("????", "", Unknown("????")),
    ):
        status = payout.read(pain.status(said, code, reason, now_us))
        assert (status.no, status.amount_fen) == (refund.no, 5_000)
        assert meaning.of_status(status, refund) == meant


async def test_money_that_is_taken_back_is_told(at: World) -> None:
    order, paid, _ = await paid_back(at)
    trade = at.party.book.find(order.no)
    assert trade is not None and at.host.recall(trade, 345)
    await at.told()
    news = at.heard[-1]
    assert isinstance(news, Notice) and isinstance(news.about, Recalled)
    assert (news.order_no, news.about.amount_fen) == (order.no, 345)
    assert news.about.channel_no == paid.channel_no
    bill = await at.channel.bill(DAY)
    assert isinstance(bill, Bill)
    assert [line.kind for line in bill.lines] == [LineKind.PAYMENT, LineKind.RECALL]


async def test_a_table_says_what_the_statement_says(at: World) -> None:
    tables = bank(at, tables=True)
    assert isinstance(await tables.bill(DAY), NoBill)
    order, _, refund = await paid_back(at)
    await at.channel.refund(order, refund)
    await transfer(at, amount=77, words='a,"b"\n李', name="王, 五")
    at.clock.advance(timedelta(days=1))
    await transfer(at, amount=88, name="次日")
    for day in (DAY, DAY + timedelta(days=1)):  # the second opens where the first closed
        assert await tables.bill(day) == await at.channel.bill(day)
    bill = await tables.bill(DAY)
    assert isinstance(bill, Bill) and len(bill.lines) == 3
    at.host.planted = Planted(truncated=True)
    assert isinstance(await tables.bill(DAY), SpoiltBill)
    assert isinstance(await bank(at, account="1").bill(DAY), SpoiltBill)
    assert isinstance(await bank(at, account="1", tables=True).bill(DAY), SpoiltBill)


async def test_a_lost_answer_to_a_payout_is_unknown_and_it_is_paid_once(at: World) -> None:
    order, _, refund = await paid_back(at)
    at.host.order(Faults(lose=50))
    said = [await at.channel.refund(order, refund) for _ in range(20)]
    assert {type(one) for one in said} >= {Unknown}
    at.host.order(Faults())
    assert await at.channel.refund(order, refund) == Unknown("AM05"), "it takes a number once"
    assert await at.channel.query_refund(order, refund) == Refunded(5_000)
    trade = at.party.book.find(order.no)
    assert trade is not None and trade.refunded_fen == 5_000


async def test_the_oracle_reads_what_both_sides_write(at: World) -> None:
    """pyiso20022's classes are made from the standard's schemas."""
    order, _, refund = await paid_back(at)
    await at.channel.refund(order, refund)
    await transfer(at, amount=1, words="<&>", name="a&b")
    party: Any = at.party
    statement = party._rows(DAY)
    assert len(statement) == 3
    day = ORACLE.from_bytes(camt.statement(booked(statement), 0, DAY, 7), camt053.Document)
    (one,) = day.bk_to_cstmr_stmt.stmt
    assert [str(balance.amt.value) for balance in one.bal] == ["0.00", "73.46"]
    assert [entry.sts.cd for entry in one.ntry] == ["BOOK"] * 3
    told = ORACLE.from_bytes(camt.notification(booked(statement), 7, DAY), camt054.Document)
    assert len(told.bk_to_cstmr_dbt_cdt_ntfctn.ntfctn[0].ntry) == 3
    asked = pain.Asked(refund.no, order.no, 5_000, "n", "a")
    status = ORACLE.from_bytes(pain.status(asked, "RJCT", "AM04", 1), pain002.Document)
    assert status.cstmr_pmt_sts_rpt.orgnl_grp_inf_and_sts.orgnl_msg_id == refund.no
    assert status.cstmr_pmt_sts_rpt.orgnl_pmt_inf_and_sts[0].tx_inf_and_sts[0].tx_sts == "RJCT"


def test_a_payout_is_what_the_standard_says_byte_for_byte() -> None:
    one = Payout(
        no="ab" * 16,
        order_no="cd" * 16,
        amount_fen=1_234_567_890_105,
        created_us=1_790_000_000_000_000,
        words="退货 <&>\x00\x0b\ud800",
        us=Holder(HOLDER, ACCOUNT, "301290000007"),
        to=Holder("李" * 200, "6222000000000000001", "102100099996"),
    )
    file = written(one)
    assert file == written(one)
    document = ORACLE.from_bytes(file, pain001.Document).cstmr_cdt_trf_initn
    assert (document.grp_hdr.msg_id, document.grp_hdr.nb_of_txs) == (one.no, "1")
    assert str(document.grp_hdr.ctrl_sum) == "12345678901.05"
    (paying,) = document.pmt_inf
    assert (paying.dbtr.nm, paying.dbtr_acct.id.othr.id) == (HOLDER, ACCOUNT)
    (to,) = paying.cdt_trf_tx_inf
    assert (to.pmt_id.instr_id, to.pmt_id.end_to_end_id) == (one.order_no, one.no)
    assert (str(to.amt.instd_amt.value), to.amt.instd_amt.ccy) == ("12345678901.05", "CNY")
    assert to.cdtr.nm == "李" * 140
    assert to.cdtr_agt.fin_instn_id.clr_sys_mmb_id.clr_sys_id.cd == "CNAPS"
    assert to.rmt_inf.ustrd == ["退货 <&>"]
    same_bank = written(Payout(**{**_fields(one), "to": Holder("n", "a", ""), "words": " "}))
    short = ORACLE.from_bytes(same_bank, pain001.Document).cstmr_cdt_trf_initn
    assert short.pmt_inf[0].cdt_trf_tx_inf[0].cdtr_agt is None
    assert short.pmt_inf[0].cdt_trf_tx_inf[0].rmt_inf is None
    assert pain.read(same_bank).amount_fen == one.amount_fen


def _fields(one: Payout) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}
