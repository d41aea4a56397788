"""A world on a stage: built through the doors, then played day by day."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from kabao.app.simulate_stage import Stage
from kabao.base.clock import US_PER_S, to_us
from kabao.simulation.chain import Chain
from kabao.simulation.chance import Chance
from kabao.simulation.client import Client
from kabao.simulation.doors import Doors
from kabao.simulation.faults import Faults
from kabao.simulation.journal import Journal
from kabao.simulation.plan import plan_day
from kabao.simulation.run import DayDone, Run
from kabao.simulation.setup import Builder
from kabao.simulation.tally import Tally
from kabao.simulation.verbs import Verbs
from kabao.simulation.world import make_world

SETUP_HOUR = 14
"""When the world is built, on a day before the first."""

SETUP_DAYS = 3
"""So long before: at a fast rate, starting the processes takes simulated days."""

OPENS_HOUR = 6
"""When the first day begins; what little there is before is left out."""

DAY_S = 86_400
HOUR_US = 3_600 * US_PER_S


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played."""

    seed: int
    stores: int
    cards: int
    first_day: date
    lively: float = 1.5
    """How often people come; 1.75 visits a day each, at 1."""
    spare: int = 0
    """Cards that nobody trades with."""
    faults: bool = False


class Show(Protocol):
    """Tells a person how far it is."""

    def begin(self, what: str, total: int | None = None) -> None:
        """Something new begins; `total` None: nobody knows how much of it there is."""
        ...

    def step(self, done: int, note: str = "") -> None:
        """So much of it is done."""
        ...


class Campaign:
    """Everything of one scenario. Use as an asynchronous context."""

    def __init__(self, stage: Stage, scenario: Scenario, journal: Path, show: Show) -> None:
        self._stage, self.scenario, self._show = stage, scenario, show
        self._journal_path = journal
        self.tally = Tally()
        self.built_per_s = 0.0
        """Requests a second while the world was built: what this machine can do."""
        self.faults = Faults(Chance(scenario.seed).child("faults")) if scenario.faults else None
        self._ends = contextlib.ExitStack()

    async def __aenter__(self) -> Campaign:
        self._client = Client(address(self._stage))
        self._ends.callback(self._client.close)
        self.journal = self._ends.enter_context(Journal(self._journal_path))
        self._doors = Doors(
            self._client,
            self.journal,
            self.tally,
            self._stage.clock,
            run=secrets.token_hex(5),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ends.close()

    async def build(self) -> Chain:
        """Found the company, start the platform, and build the world through its doors."""
        it, stage = self.scenario, self._stage
        self._show.begin("Starting the platform")
        setup_day = it.first_day - timedelta(days=SETUP_DAYS)
        await stage.set_clock(to_us(stage.days.start(setup_day)) + SETUP_HOUR * HOUR_US, 1.0)
        company, self.keys = await stage.found()
        await asyncio.to_thread(stage.start_processes)
        self._builder = Builder(self._doors, self.keys, company, step=self._building)
        self._building_what = ""
        begun = time.monotonic()
        world = make_world(it.seed, it.stores, it.cards, lively=it.lively)
        self.chain = await self._builder.build(world, spare=it.spare)
        self._verbs = Verbs(self._doors, self.keys, self.chain)
        await self._builder.close_shifts(self.chain)
        self.built_per_s = self.tally.run.answered / (time.monotonic() - begun)
        self.tally.latencies.clear()
        self.tally.new_day()
        return self.chain

    def _building(self, what: str, done: int, total: int) -> None:
        if what != self._building_what:
            self._building_what = what
            self._show.begin(f"Setting up: {what}", total)
        self._show.step(done)

    def rate_for(self, per_s: float) -> float:
        """The clock's rate at which that many intents of a usual day fall into a second."""
        usual = plan_day(self.chain.world, self.scenario.first_day)
        return DAY_S * per_s / max(1, len(usual))

    async def open(self, rate: float) -> None:
        """The night before the first day passes; then the clock runs at `rate`."""
        self._show.begin("Turning the clock to the first morning")
        stage = self._stage
        opens_us = to_us(stage.days.start(self.scenario.first_day)) + OPENS_HOUR * HOUR_US
        await stage.turn(opens_us, rate)
        if self.faults is not None:
            self._doors.mischief = self.faults
        self._run = Run(
            self.chain,
            self._doors,
            self._builder,
            self._verbs,
            stage,
            stage.clock,
            stage.days,
            rate=rate,
            faults=self.faults,
        )

    async def trade(self, day: date) -> None:
        """Play a day until its midnight."""
        await self._run.begin_day()
        from_s = OPENS_HOUR * 3_600.0 if day == self.scenario.first_day else 0.0
        plan = [i for i in plan_day(self.chain.world, day) if i.at_s >= from_s]
        self._show.begin(f"{day:%A} {day.day} {day:%B %Y}", len(plan))
        days, clock = self._stage.days, self._stage.clock
        start_us = to_us(days.start(day))

        def progress(done: int) -> None:
            at_s = max(0, clock.now_us() - start_us) // US_PER_S
            self._show.step(done, f"{at_s // 3_600 % 24:02}:{at_s // 60 % 60:02}")

        await self._run.trade(day, plan, progress)

    async def close(self, day: date) -> DayDone:
        """Close a day whose midnight has passed, and compare the books with the answers."""
        self._show.begin("Closing the day, adding up every card")
        done = await self._run.close(day)
        self.journal.flush()
        return done


def address(stage: Stage) -> str:
    """Where the platform's doors are, for clients on this machine."""
    host = stage.settings.http_host
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 -- compared, not bound
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{stage.settings.http_port}"
