"""Plays a day: starts what was planned at its time, and waits until all is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

from kabao.base.clock import US_PER_S
from kabao.simulation.acts_crime import CrimeActs
from kabao.simulation.intents import (
    AnyIntent,
    Ask,
    Buy,
    ChangePin,
    Combine,
    Drain,
    Give,
    Guess,
    Load,
    Lose,
    Pause,
    Reserve,
    SelfRefund,
    Steal,
    VoidAfterCash,
)

UNDER_WAY_MAX = 2_000
"""With more acts under way than this, no new one begins: the platform is slower
than the day, and the queue must not grow."""


class Player(CrimeActs):
    """Plays the intents of a day."""

    async def play(
        self,
        plan: Sequence[AnyIntent],
        day_start_us: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        """Play a whole day. Raises what an act raised, which is a defect of ours."""
        self.day_start_us = day_start_us
        under_way: set[asyncio.Task[None]] = set()
        failed: list[BaseException] = []
        done = 0

        def ended(task: asyncio.Task[None]) -> None:
            nonlocal done
            under_way.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                failed.append(error)
            done += 1
            progress(done)

        try:
            for intent in plan:
                await self.until(day_start_us + int(intent.at_s * US_PER_S))
                if len(under_way) > UNDER_WAY_MAX:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                if failed:
                    break
                task = asyncio.ensure_future(self._act(intent))
                under_way.add(task)
                task.add_done_callback(ended)
            while under_way and not failed:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in under_way:
                task.cancel()
        if failed:
            raise failed[0]

    async def _act(self, intent: AnyIntent) -> None:  # noqa: C901, PLR0912 -- one line each
        match intent:
            case Buy():
                await self.buy(intent)
            case Reserve():
                await self.reserve(intent)
            case Load():
                await self.top_up(intent)
            case Ask():
                await self.ask(intent)
            case Lose():
                await self.lose(intent)
            case Pause():
                await self.pause(intent)
            case Give():
                await self.give(intent)
            case Combine():
                await self.combine(intent)
            case ChangePin():
                await self.change_pin(intent)
            case Guess():
                await self.guess(intent)
            case Steal():
                await self.steal(intent)
            case Drain():
                await self.drain(intent)
            case SelfRefund():
                await self.self_refund(intent)
            case VoidAfterCash():
                await self.void_after_cash(intent)
            case _:
                assert_never(intent)
