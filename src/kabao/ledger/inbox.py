"""The inbox of the lanes: commands that wait for the next batch.

One for all lanes of a process, so that what arrived together stays together:
the lane that is free takes everything there is. Which lane posts a card does
not matter to correctness; the row lock on its root orders them, and roots are
locked in id order by every batch of every process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from kabao.base.errors import UNAVAILABLE
from kabao.ledger.model import Command

log = structlog.get_logger()

Then = Callable[[Any, Exception | None], None]
"""What to do with an outcome: called once, with the result or the failure."""


def tell(then: Then, result: Any, error: Exception | None) -> None:
    """Hand an outcome on. A caller's defect must stop neither lane nor other callers."""
    try:
        then(result, error)
    except Exception as defect:
        log.error("ledger.caller_failed", exc_info=defect)


class Item:
    """A command and what is to be done with its outcome."""

    __slots__ = ("command", "deadline", "done", "sent", "then")

    def __init__(self, command: Command[Any], then: Then, deadline: float) -> None:
        self.command = command
        self.then = then
        self.deadline = deadline
        self.done = False
        self.sent = False
        """Whether a commit that held this item ended without an answer."""

    def withdraw(self) -> None:
        """Nobody waits any more: what has not been sent need not happen."""
        self.done = True

    def settle(self, result: Any, error: Exception | None) -> None:
        """Hand the outcome on, the first time."""
        if self.done:
            return
        self.done = True
        tell(self.then, result, error)


class Inbox:
    """A bounded queue that several lanes empty."""

    def __init__(self, size_max: int, answer_s: float) -> None:
        self._size_max, self._answer_s = size_max, answer_s
        self._items: deque[Item] = deque()
        self._there = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, command: Command[Any], then: Then) -> Callable[[], None]:
        """Queue a command; the answer withdraws it, if it is not too late for that.

        A full queue answers `unavailable` at once.
        """
        item = Item(command, then, asyncio.get_running_loop().time() + self._answer_s)
        if len(self._items) >= self._size_max:
            item.settle(None, UNAVAILABLE.error("The queue of the ledger is full."))
        else:
            self._items.append(item)
            self._there.set()
        return item.withdraw

    def take(self, most: int) -> list[Item]:
        """What waits, the oldest first."""
        return [self._items.popleft() for _ in range(min(len(self._items), most))]

    def take_late(self, now: float) -> list[Item]:
        """What has waited too long."""
        late = []
        while self._items and now > self._items[0].deadline:
            late.append(self._items.popleft())
        return late

    async def wait(self) -> None:
        """Until there is something to take, or everybody is woken."""
        if not self._items:
            self._there.clear()
            await self._there.wait()

    def wake(self) -> None:
        """Wake every lane: it is time to stop."""
        self._there.set()
