"""What `/metrics` tells of webhooks and texts: figures, and nobody's address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from kabao.base.web.metrics import Figures, Traffic
from tests.app.world import World, all_told, made, world

from .receiver import receiving


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, webhooks_private=True) as w:
        yield w


async def figures(w: World) -> list[str]:
    """The lines that a worker leaves."""
    shown = Figures(Traffic(), process="worker-0")
    for each in w.kabao.telling.figures:
        shown.registry.register(each)
    await all_told(w.kabao.db)
    await w.kabao.telling.backlog.look()
    lines = shown.render().decode().replace('process="worker-0"', "").splitlines()
    return [line for line in lines if line.startswith("kabao_")]


async def sent(w: World) -> None:
    while await w.kabao.telling.sender.round():
        await w.kabao.telling.sender.settle()


async def test_deliveries_by_how_they_went_and_what_waits(w: World) -> None:
    async with receiving() as receiver:
        receiver.answer = lambda _: (500, 0.0)
        body = {"url": receiver.url, "event_types": ["topup.confirmed"]}
        hook = await made(w.operator.post("/v1/webhook-endpoints", body))
        await all_told(w.kabao.db)
        await w.kabao.telling.relay.round()
        card = await w.card(await w.programme(), 1_000)
        await w.top_up(card["id"], 2_000)
        await all_told(w.kabao.db)
        await w.kabao.telling.relay.round()
        lines = await figures(w)
        assert "kabao_webhook_waiting{} 2.0" in lines
        assert 'kabao_events_lag_seconds{,reader="notices"} 0.0' in lines
        for _ in range(20):
            await sent(w)
            w.clock.advance(timedelta(hours=1.2))
        receiver.answer = lambda _: (204, 0.0)
        await sent(w)
        lines = await figures(w)
        assert 'kabao_webhook_attempts_total{outcome="refused",} 20.0' in lines
        assert 'kabao_webhook_attempts_total{outcome="delivered",} 1.0' in lines
        assert "kabao_webhook_dead_total{} 1.0" in lines
        assert "kabao_webhook_waiting{} 0.0" in lines
        told = "\n".join(lines)
        assert hook["id"] not in told and str(receiver.port) not in told


async def test_the_lag_is_the_age_of_the_first_event_that_is_not_read(w: World) -> None:
    body = {"url": "http://127.0.0.1:9/hooks"}
    await made(w.operator.post("/v1/webhook-endpoints", body))
    card = await w.card(await w.programme(), 1_000)
    await all_told(w.kabao.db)
    await w.kabao.telling.relay.round()
    await w.pay(card, 1)
    w.clock.advance(timedelta(seconds=90))
    await w.pay(card, 2)
    assert 'kabao_events_lag_seconds{,reader="notices"} 90.0' in await figures(w)
    await all_told(w.kabao.db)
    await w.kabao.telling.relay.round()
    assert 'kabao_events_lag_seconds{,reader="notices"} 0.0' in await figures(w)
