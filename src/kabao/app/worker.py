"""A worker process: deferred jobs and ticks, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from kabao.app.composition import composed
from kabao.app.pos import add_pos_jobs
from kabao.app.settings import Settings
from kabao.base.jobs import Jobs
from kabao.base.process import Child

NICENESS = 15
"""A job can wait for the processor; a payment cannot. On a machine with nothing to
spare jobs fall behind, signing receipts first of all, and catch up afterwards.
"""


def run(settings: Settings, child: Child) -> None:
    """The entry point of `kabao.app.child`."""
    os.nice(NICENESS)
    asyncio.run(_work(settings, child))


async def _work(settings: Settings, child: Child) -> None:
    async with composed(settings) as kabao:
        jobs = Jobs(kabao.db)
        kabao.add_jobs(jobs)
        add_pos_jobs(kabao, jobs)
        work = asyncio.create_task(jobs.run(child.ready))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
