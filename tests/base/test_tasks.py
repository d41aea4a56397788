"""A loop ends although its cancellation got lost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from kabao.base.db import Database
from kabao.base.gather import Gather
from kabao.base.jobs import Jobs
from kabao.base.tasks import pause

TIMEOUT_S = 20


class Deaf:
    """Work that swallows the cancellation it is met by, as `wait_for` can."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def work(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


async def ended(task: asyncio.Task[None], deaf: Deaf) -> None:
    """Cancel a task once while it works, and wait for its end."""
    await asyncio.wait_for(deaf.begun.wait(), TIMEOUT_S)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=TIMEOUT_S)
    assert done


async def test_a_loop_that_pauses() -> None:
    deaf = Deaf()

    async def loop() -> None:
        while True:
            await deaf.work()
            await pause(3600)

    task = asyncio.create_task(loop())
    await ended(task, deaf)
    assert task.cancelled()


async def test_a_worker(db: Database) -> None:
    deaf, jobs = Deaf(), Jobs(db)
    jobs.tick("deaf.tick", timedelta(hours=1), deaf.work)
    await ended(asyncio.create_task(jobs.run()), deaf)


async def test_what_gathers() -> None:
    deaf = Deaf()

    async def work(items: object) -> list[None]:
        await deaf.work()
        return [None]

    gather: Gather[int, None] = Gather(work, batch_max=1)
    await gather.start()
    gather.put(1, lambda _result, _failed: None)
    gather.put(2, lambda _result, _failed: None)
    await asyncio.wait_for(deaf.begun.wait(), TIMEOUT_S)
    await asyncio.wait_for(gather.stop(), TIMEOUT_S)
