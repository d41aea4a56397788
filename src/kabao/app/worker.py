"""A worker process: deferred jobs and ticks, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from kabao.app.settings import Settings
from kabao.base.db import Database
from kabao.base.jobs import Jobs
from kabao.base.process import Child


def run(settings: Settings, child: Child) -> None:
    """The entry point of `kabao.app.child`."""
    asyncio.run(_work(settings, child))


async def _work(settings: Settings, child: Child) -> None:
    assert settings.database_url is not None, "the parent has found the database"
    db = Database(settings.database_url, max_size=settings.database_connections)
    await db.open()
    try:
        jobs = Jobs(db)
        work = asyncio.create_task(jobs.run(child.ready))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        await db.close()
