"""Callers of the hot verbs, and how long they wait at most.

Look-up and lane have bounds of their own; together they would keep a till
waiting for longer than it may be. One task looks after everybody, instead of a
timer for each.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from kabao.base.errors import IN_DOUBT, UNAVAILABLE

ANSWER_S = 4.7
"""How long a caller waits: answers come within five seconds, whatever is broken."""

WATCH_S = 0.2


class Caller:
    """One who waits. A class of its own costs less than a tuple that must be changed."""

    __slots__ = ("answer", "deadline", "posted")

    def __init__(self, answer: asyncio.Future[Any], deadline: float) -> None:
        self.answer, self.deadline = answer, deadline
        self.posted = False
        """Whether it was handed to the ledger, so that it may have happened."""


class Waiting:
    """Everybody who waits now, oldest first."""

    def __init__(self) -> None:
        self._callers: dict[Caller, None] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look after them."""
        self._task = asyncio.create_task(self._watch(), name="payments waiting")

    async def stop(self) -> None:
        """Stop; nobody is left without an answer."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for caller in list(self._callers):
            self._give_up(caller)

    def enter(self) -> Caller:
        """Somebody begins to wait."""
        loop = asyncio.get_running_loop()
        caller = Caller(loop.create_future(), loop.time() + ANSWER_S)
        self._callers[caller] = None
        return caller

    def leave(self, caller: Caller, result: Any, failed: Exception | None) -> None:
        """There is an answer; it counts unless the caller was told something before."""
        self._callers.pop(caller, None)
        if caller.answer.done():
            return
        if failed is not None:
            caller.answer.set_exception(failed)
        else:
            caller.answer.set_result(result)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WATCH_S)
            now = loop.time()
            for caller in list(self._callers):
                if caller.deadline > now:
                    break
                self._give_up(caller)

    def _give_up(self, caller: Caller) -> None:
        self.leave(caller, None, (IN_DOUBT if caller.posted else UNAVAILABLE).error())
