"""A running platform opens a case by itself, a moment after it looks wrong."""

from __future__ import annotations

import asyncio

import pytest

from .world import Actors, Card

SOON_S = 20


@pytest.mark.row("CR-91")
async def test_a_top_up_spent_at_once_is_soon_a_case(actors: Actors) -> None:
    card = await actors.card(3_000)
    await actors.paid(card, 3_000)
    async with asyncio.timeout(SOON_S):
        assert await first_case(actors, card) == "risk.topup_spent"


async def first_case(actors: Actors, card: Card) -> str:
    """What kind it is, once there is one."""
    while True:
        for case in (await actors.operator.got("/v1/cases", subject=card.id))["data"]:
            return str(case["kind"])
        await asyncio.sleep(0.1)
