"""Gathering: calls that arrive while a batch is in flight form the next batch.

No timer and no linger: under light load a call goes out alone at once, under
heavy load the batches grow by themselves (performance.md, section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from kabao.base.errors import UNAVAILABLE, KabaoError
from kabao.base.tasks import is_ending

T = TypeVar("T")
R = TypeVar("R")

Then = Callable[[R | None, Exception | None], None]
"""What to do with the outcome: called once, with the result or the failure."""


class Gather(Generic[T, R]):
    """Runs `work` over whatever has gathered, one batch at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        batch_max: int = 256,
        queue_max: int = 4096,
    ) -> None:
        self._work, self._batch_max, self._queue_max = work, batch_max, queue_max
        self._queue: deque[tuple[T, Then[R]]] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for the next batch."""
        return len(self._queue)

    async def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._run(), name="gather")

    async def stop(self) -> None:
        """Stop; whatever still waits is told `unavailable`."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._queue:
            self._queue.popleft()[1](None, UNAVAILABLE.error())

    def put(self, item: T, then: Then[R]) -> None:
        """Add a call. A full queue answers `unavailable` at once."""
        if len(self._queue) >= self._queue_max:
            then(None, UNAVAILABLE.error("The queue is full."))
            return
        self._queue.append((item, then))
        self._wake.set()

    async def _run(self) -> None:
        while not is_ending():
            await self._wake.wait()
            self._wake.clear()
            while self._queue and not is_ending():
                size = min(len(self._queue), self._batch_max)
                batch = [self._queue.popleft() for _ in range(size)]
                await self._serve(batch)

    async def _serve(self, batch: Sequence[tuple[T, Then[R]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except KabaoError as refused:
            for _, then in batch:
                then(None, refused)
        except asyncio.CancelledError:
            for _, then in batch:
                then(None, UNAVAILABLE.error())
            raise
        except Exception as failed:  # noqa: BLE001 - handed on to every caller
            for _, then in batch:
                then(None, failed)
        else:
            for (_, then), result in zip(batch, results, strict=True):
                then(result, None)
