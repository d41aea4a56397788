"""Refunds as channels take them: what each of them insists on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from .platform import Platform, platform

PARTIES = ("alipay", "wechat", "unionpay")


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(database_url, tmp_path, PARTIES) as made:
        yield made


async def ask_back(at: Platform, name: str, fen: int) -> str:
    """The collection of a payment, part of which is to go back."""
    begun = (await at.begun(10_000, name)).collection
    assert at.hosts[name].pay(at.trade(begun, name))
    await at.told()
    async with at.at.kabao.db.transaction() as conn:
        await at.funding.refund_in(conn, begun.id, fen, key="1", reason="不想要了" * 60)
    return begun.id


async def sent(at: Platform, collection: str) -> tuple[str, str | None]:
    """What became of the refund, after a look at it."""
    at.at.clock.advance(timedelta(minutes=20))
    await at.funding.send_refunds()
    await at.told()
    async with at.at.kabao.db.read() as conn:
        (refund,) = await at.funding.refunds(conn, collection)
    return refund.state.value, refund.refusal


@pytest.mark.row("T-20")
@pytest.mark.parametrize("name", PARTIES)
async def test_a_refund_is_taken_by_the_channel(at: Platform, name: str) -> None:
    collection = await ask_back(at, name, 4_000)
    assert await sent(at, collection) == ("done", None)
    (trade,) = at.hosts[name].party.book
    assert trade.refunded_fen == 4_000
    assert not await at.cases()


@pytest.mark.row("T-20")
@pytest.mark.parametrize("name", PARTIES)
async def test_an_empty_account_at_the_channel_refuses_nobody(at: Platform, name: str) -> None:
    book = at.hosts[name].party.book
    book.short = True
    collection = await ask_back(at, name, 4_000)
    for _ in range(3):
        assert await sent(at, collection) == ("unknown", None)
    book.short = False
    assert await sent(at, collection) == ("done", None)
