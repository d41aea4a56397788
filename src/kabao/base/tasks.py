"""Tasks that go on until they are cancelled.

A cancellation can get lost: `asyncio.wait_for` of Python 3.11, with which psycopg
waits, swallows one that comes in the moment its own wait is over. The loop would then
go on for ever, and whoever stops it would wait for ever. So loops ask, every round.
"""

from __future__ import annotations

import asyncio


def is_ending() -> bool:
    """Whether the task that asks was told to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def pause(seconds: float) -> None:
    """Wait between two rounds of a loop. Raises CancelledError, also for what got lost."""
    if is_ending():
        raise asyncio.CancelledError
    await asyncio.sleep(seconds)
