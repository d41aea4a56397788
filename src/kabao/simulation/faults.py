"""What goes wrong on purpose, by the seed: on the wire, with processes, with the clock."""

from __future__ import annotations

import asyncio
import math
from datetime import date

import msgspec

from kabao.base.clock import US_PER_S, Clock
from kabao.simulation.chance import Chance
from kabao.simulation.ports import Backstage

FIRST_KILL_S = 3.0


class Rates(msgspec.Struct, frozen=True):
    """How often something goes wrong; shares of requests, and real seconds."""

    lost_replies: float = 0.02
    doubles: float = 0.015
    early_reversals: float = 0.004
    reversals: float = 0.006
    server_kill_every_s: float = 7.0
    postmaster_kill_every_s: float = 25.0
    jumps: float = 0.3
    """Share of days that end with a jump over midnight."""


class Faults:
    """Faults of one run. It has the shape of `doors.Mischief`."""

    def __init__(self, chance: Chance, rates: Rates | None = None) -> None:
        self._rates = rates or Rates()
        self._wire = chance.child("wire")
        self._hammer = chance.child("hammer")
        self._days = chance.child("days")
        self.lost_replies = self.doubled = self.early = self.reversed = 0
        self.server_kills = self.postmaster_kills = self.jumps = 0

    def loses_reply(self) -> bool:
        """Whether the connection is dropped once the request is sent."""
        hit = self._wire.maybe(self._rates.lost_replies)
        self.lost_replies += hit
        return hit

    def doubles(self) -> bool:
        """Whether the request arrives twice at once."""
        hit = self._wire.maybe(self._rates.doubles)
        self.doubled += hit
        return hit

    def reverses_first(self) -> bool:
        """Whether a payment's reversal arrives before the payment."""
        hit = self._wire.maybe(self._rates.early_reversals)
        self.early += hit
        return hit

    def reverses(self) -> bool:
        """Whether a till gives up on an answer and reverses the payment."""
        hit = self._wire.maybe(self._rates.reversals)
        self.reversed += hit
        return hit

    def jump_s(self, day: date) -> float | None:
        """When the clock jumps over this day's midnight: seconds of the day."""
        chance = self._days.child(day.isoformat())
        return chance.between(20 * 3_600, 23 * 3_600) if chance.maybe(self._rates.jumps) else None

    # With processes

    async def hammer(self, backstage: Backstage) -> None:
        """Kill servers and the postmaster, again and again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_servers(backstage))
            group.create_task(self._kill_postmaster(backstage))

    async def jump(
        self, backstage: Backstage, clock: Clock, day_start_us: int, at_s: float
    ) -> None:
        """At that second of the day, turn the clock to the first minutes of the next."""
        at_us = day_start_us + int(at_s * US_PER_S)
        # The clock is looked at again and again: it may have been turned meanwhile.
        while clock.now_us() < at_us:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        self.jumps += 1
        minutes = self._hammer.whole(1, 20)
        next_day_us = day_start_us + 86_400 * US_PER_S
        await backstage.jump(next_day_us + minutes * 60 * US_PER_S)

    async def _kill_servers(self, backstage: Backstage) -> None:
        while True:
            await asyncio.sleep(self._pause_s(self._rates.server_kill_every_s))
            pids = backstage.pids().servers
            if pids:
                backstage.kill(self._hammer.pick(pids))
                self.server_kills += 1

    async def _kill_postmaster(self, backstage: Backstage) -> None:
        while True:
            await asyncio.sleep(self._pause_s(self._rates.postmaster_kill_every_s))
            pid = backstage.pids().postmaster
            if pid is not None:
                backstage.kill(pid)
                self.postmaster_kills += 1

    def _pause_s(self, mean_s: float) -> float:
        """Exponential, but never so short that nothing comes back between two blows."""
        return FIRST_KILL_S + -math.log(1.0 - self._hammer.share()) * mean_s

    def summary(self) -> dict[str, int]:
        """What was done."""
        return {
            "lost_replies": self.lost_replies,
            "doubled_requests": self.doubled,
            "reversals_before_originals": self.early,
            "reversals_after_silence": self.reversed,
            "server_kills": self.server_kills,
            "postmaster_kills": self.postmaster_kills,
            "clock_jumps": self.jumps,
        }
