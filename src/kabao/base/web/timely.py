"""Answering in time, whatever the database does.

A server that hangs holds up cancelling for longer than a caller should wait, so
the work is left to end by itself and the caller is told what may be told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kabao.base.errors import Code

T = TypeVar("T")

ANSWER_S = 4.5
"""Within five seconds a caller knows where it stands."""

LOOK_UP_S = 4.0
"""The part of it that finding out who calls may take."""


async def timely(work: Awaitable[T], late: Code, seconds: float | None) -> T:
    """What the work comes to, or `late` if that takes too long; None: however long."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.done():
        return task.result()
    task.cancel()
    task.add_done_callback(_seen)
    raise late.error()


def _seen(task: asyncio.Future[T]) -> None:
    """Whatever work ends in that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
