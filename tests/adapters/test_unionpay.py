"""What only UnionPay does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from msgspec import structs

from kabao.funding.model.answers import (
    Closed,
    NotThere,
    Order,
    Paid,
    Payer,
    Refunded,
    Refused,
    Scene,
    Waiting,
)

from .world import World, world


@pytest.fixture
async def at() -> AsyncIterator[World]:
    async with world("unionpay") as made:
        yield made


async def sold(at: World) -> tuple[Order, Paid]:
    order = at.order()
    await at.channel.create(order, Payer())
    assert at.pays(order)
    paid = await at.channel.query(order)
    assert isinstance(paid, Paid)
    return order, paid


async def test_a_refund_needs_an_address_to_be_told_at(at: World) -> None:
    order, paid = await sold(at)
    refund = at.refund(order, paid.channel_no, 5_000)
    await at.channel.refund(structs.replace(order, notify_url=""), refund)
    assert await at.channel.query_refund(order, refund) == NotThere()
    assert await at.channel.refund(order, refund) == Waiting()
    assert await at.channel.query_refund(order, refund) == Refunded(5_000)


@pytest.mark.parametrize("scene", [Scene.QR, Scene.CODE])
async def test_our_numbers_of_tills_are_not_sent_as_theirs(at: World, scene: Scene) -> None:
    order = at.order(scene, terminal="a" * 32, subject="储值卡充值" * 20)
    said = await at.channel.create(order, Payer(at.code()))
    assert isinstance(said, Waiting) or not isinstance(said, Refused)
    assert at.party.book.find(order.no) is not None


async def test_what_is_under_way_at_the_end_of_its_time_is_not_closed(at: World) -> None:
    order = at.order()
    await at.channel.create(order, Payer())
    trade = at.party.book.find(order.no)
    assert trade is not None
    trade.scene, trade.expires_us = "code", order.expires_us + 10**12  # the payer is at it
    at.clock.advance(timedelta(minutes=30))
    assert await at.channel.close(order) == Waiting()
    assert at.pays(order)
    assert isinstance(await at.channel.close(order), Paid)


async def test_what_is_not_known_is_closed_some_minutes_after_its_time(at: World) -> None:
    order = at.order()
    at.clock.advance(timedelta(minutes=20))
    assert await at.channel.close(order) == Waiting()
    at.clock.advance(timedelta(seconds=1))
    assert await at.channel.close(order) == Closed()
