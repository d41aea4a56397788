"""A worker process: deferred jobs and ticks, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import psycopg

from kabao.app.composition import Kabao, composed
from kabao.app.pos import add_pos_jobs
from kabao.app.settings import Settings
from kabao.base import logs
from kabao.base.errors import KabaoError
from kabao.base.jobs import Jobs
from kabao.base.process import Child
from kabao.base.tasks import pause
from kabao.base.web.metrics import SNAPSHOT_S, Figures, Traffic

log = logs.get("worker")

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
        telling = asyncio.create_task(_leave_figures(kabao, f"worker-{child.index}"))
        work = asyncio.create_task(jobs.run(child.ready))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _leave_figures(kabao: Kabao, process: str) -> None:
    """Leave figures where the servers of this machine find them, until cancelled."""
    folder = kabao.settings.figures
    folder.mkdir(parents=True, exist_ok=True)
    figures = Figures(Traffic(), process=process, folder=folder)
    for each in kabao.telling.figures:
        figures.registry.register(each)
    while True:
        try:
            await kabao.telling.backlog.look()
            figures.leave()
        except (KabaoError, psycopg.Error, OSError) as away:
            log.warning("worker.figures_not_left", reason=type(away).__name__)
        await pause(SNAPSHOT_S)
