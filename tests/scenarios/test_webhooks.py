"""A running platform tells a merchant's receiver, by itself and soon."""

from __future__ import annotations

import asyncio

import pytest

from tests.notices.receiver import receiving

from .world import Actors

pytestmark = pytest.mark.row("T-19")

SOON_S = 20


async def test_a_payment_is_told_to_whoever_asked(actors: Actors) -> None:
    async with receiving() as receiver:
        body = {"url": receiver.url, "event_types": ["payment.captured"]}
        hook = await actors.merchant.made("/v1/webhook-endpoints", body)
        card = await actors.card(1_000)
        paid = await actors.paid(card, 321)
        async with asyncio.timeout(SOON_S):
            await receiver.until(lambda got: got.event["data"].get("payment") == paid["id"])
        assert all(got.verified_by(hook["secret"]) for got in receiver.got)
        mine = [got for got in receiver.got if got.event["data"]["card"] == card.id]
        assert [got.event["data"]["amount"] for got in mine] == [321]
        assert mine[0].event in await actors.events(type="payment.captured", card=card.id)
        await actors.merchant.made(f"/v1/webhook-endpoints/{hook['id']}/pause", {})


async def test_what_was_told_is_counted_for_prometheus(actors: Actors) -> None:
    """The workers send; any server tells of them, and of no address."""
    async with receiving() as receiver:
        body = {"url": receiver.url, "event_types": ["payment.captured"]}
        hook = await actors.merchant.made("/v1/webhook-endpoints", body)
        paid = await actors.paid(await actors.card(1_000), 1)
        async with asyncio.timeout(SOON_S):
            await receiver.until(lambda got: got.event["data"].get("payment") == paid["id"])
            text = await figures(actors, 'kabao_webhook_attempts_total{outcome="delivered"')
        assert 'process="worker-0"' in text
        for reader in ("notices", "evidence", "risk"):
            assert f'kabao_events_lag_seconds{{process="worker-0",reader="{reader}"}}' in text
        for secret in (receiver.url, hook["id"], hook["secret"], str(receiver.url).split("/")[2]):
            assert secret not in text
        await actors.merchant.made(f"/v1/webhook-endpoints/{hook['id']}/pause", {})


async def figures(actors: Actors, line: str) -> str:
    """What `/metrics` tells once it has that line."""
    while True:
        text = (await actors.http.at(None).get("/metrics")).body.decode()
        if line in text:
            return text
        await asyncio.sleep(0.1)
