"""The daily cap of a person, who is named, or told apart by the channel they pay at (CR-10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit

from .money import Money, money


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    async with money(database_url, tmp_path, "alipay", "wechat", "unionpay") as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


async def card(at: Money) -> dict[str, Any]:
    limits = {"topup.day_payer_max_fen": 1_500, "topup.credit_card_allowed": True}
    return await at.card(limits=limits)


async def paid_by(at: Money, card: dict[str, Any], fen: int, payer: str, channel: str) -> Any:
    topup = await at.opened(card, fen, channel=channel)
    host, trade = await at.trade(topup)
    assert host.pay(trade, payer)
    await at.told()
    return await at.see(topup)


@pytest.mark.row("CR-10")
@pytest.mark.parametrize("channel", ["alipay", "wechat"])
async def test_who_is_not_named_is_known_by_the_channel(at: Money, channel: str) -> None:
    one = await card(at)
    assert (await paid_by(at, one, 1_000, "a", channel))["status"] == "confirmed"
    over = await paid_by(at, one, 501, "a", channel)
    assert (over["status"], over["failure"], over["rule"]) == (
        "refunding",
        "topup_day_limit",
        "CR-10",
    ), over
    await at.passes(1)
    assert (await at.see(over))["status"] == "refunded"
    assert (await paid_by(at, one, 500, "a", channel))["status"] == "confirmed"
    assert (await paid_by(at, one, 1_500, "b", channel))["status"] == "confirmed"
    assert await at.balance(one) == (3_000, 3_000)


@pytest.mark.row("CR-10")
async def test_two_cards_at_once_stay_within_one_cap(at: Money) -> None:
    one = await card(at)
    other = await at.home.card(one["programme"])
    topups = [await at.opened(to, 1_000, channel="alipay") for to in (one, other)]
    for topup in topups:
        host, trade = await at.trade(topup)
        assert host.pay(trade, "a")
    await at.told()
    seen = await asyncio.gather(*(at.see(topup) for topup in topups))
    assert sorted(one["status"] for one in seen) == ["confirmed", "refunding"]


async def test_a_masked_number_is_nobodys(at: Money) -> None:
    """UnionPay tells no more than digits that many cards share."""
    one = await card(at)
    for _ in range(2):
        assert (await paid_by(at, one, 1_000, "a", "unionpay"))["status"] == "confirmed"


async def test_what_went_back_counts_no_more(at: Money) -> None:
    one = await card(at)
    topup = await paid_by(at, one, 1_500, "a", "alipay")
    assert (await at.refund(topup)).is_success
    await at.passes(1)
    assert (await paid_by(at, one, 1_500, "a", "alipay"))["status"] == "confirmed"
