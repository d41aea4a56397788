"""The whole platform in the test's own process, served over a socket, on a clock the test moves.

For everything that hangs on time: a real process would keep the test waiting
for half an hour, a day, or three years.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from kabao.app.composition import Kabao
from kabao.app.server import build_web
from kabao.app.settings import Settings
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.jobs import Jobs
from kabao.base.web.server import Server, Tls, listen
from kabao.vault.model import Suite
from kabao.vault.ops import FileKeys

from .http import Http
from .world import Actors, found, seed

START = datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai"))


class Clocked:
    """A platform, its clock, its worker's ticks, and everybody in it."""

    def __init__(self, kabao: Kabao, clock: FixedClock, actors: Actors, port: int) -> None:
        self.kabao, self.clock, self.actors, self.port = kabao, clock, actors, port
        self._jobs = Jobs(kabao.db)
        kabao.add_jobs(self._jobs)

    def later(self, **by: float) -> None:
        """Time goes on."""
        self.clock.advance(timedelta(**by))

    async def tick(self, name: str) -> None:
        """What a worker does every few seconds, once, now."""
        await self._jobs.tick_once(name)


@contextlib.asynccontextmanager
async def clocked(
    db: Database, folder: Path, *, suite: Suite = Suite.SM4_GCM
) -> AsyncIterator[Clocked]:
    """A seeded platform at 10:00 in Shanghai on 22 November 2026."""
    clock = FixedClock(START)
    settings = Settings(data=folder, database_url=db.url)
    FileKeys(settings.keys_file, clock, create_if_missing=True, suite=suite)
    kabao = Kabao(settings, db, clock)
    await kabao.start()
    async with served(kabao) as port:
        http = Http(port)
        world = await seed(http, await found(kabao))
        yield Clocked(kabao, clock, Actors(http, world), port)
        await http.close()
    await kabao.stop()


@contextlib.asynccontextmanager
async def served(kabao: Kabao, tls: Tls | None = None) -> AsyncIterator[int]:
    """The doors of a platform, at a port."""
    server = Server(build_web(kabao), tls=tls, signals=False)
    sock = listen("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve_on(sock))
    while not server.started:  # noqa: ASYNC110 -- it has no event for it
        await asyncio.sleep(0.01)
    try:
        yield sock.getsockname()[1]
    finally:
        server.stop()
        await serving
