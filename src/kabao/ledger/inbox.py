"""The inbox of the lanes: commands that wait for the next batch.

One for all lanes of a process, so that what arrived together stays together:
the lane that is free takes everything there is. Which lane posts a card does
not matter to correctness; the row lock on its root orders them, and roots are
locked in id order by every batch of every process.

A command whose card somebody else holds for long is set aside for a moment, so
that it holds up neither the lane nor other cards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from kabao.base.errors import UNAVAILABLE
from kabao.ledger.model import Command

log = structlog.get_logger()

ASIDE_S = 0.1
"""How long a command is set aside before its card is looked at again."""

WARY_S = 1.0
"""After a batch waited for a lock in vain: so long lanes pass by cards that are held."""

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
        self._aside: list[Item] = []
        self._ripe: list[Item] = []
        self._there = asyncio.Event()
        self._wary_until = 0.0

    def __len__(self) -> int:
        return len(self._items) + len(self._aside) + len(self._ripe)

    def put(self, command: Command[Any], then: Then) -> Item:
        """Queue a command. A full queue answers `unavailable` at once."""
        item = Item(command, then, asyncio.get_running_loop().time() + self._answer_s)
        if len(self) >= self._size_max:
            item.settle(None, UNAVAILABLE.error("The queue of the ledger is full."))
        else:
            self._items.append(item)
            self._there.set()
        return item

    def take(self, most: int) -> list[Item]:
        """What waits, the oldest first. What was set aside comes by itself, so
        that it holds up nobody else.
        """
        if self._ripe:
            batch, self._ripe = self._ripe[:most], self._ripe[most:]
            return batch
        return [self._items.popleft() for _ in range(min(len(self._items), most))]

    def take_late(self, now: float) -> list[Item]:
        """What has waited too long."""
        late = [item for item in self._aside + self._ripe if now > item.deadline]
        if late:
            self._aside = [item for item in self._aside if now <= item.deadline]
            self._ripe = [item for item in self._ripe if now <= item.deadline]
        while self._items and now > self._items[0].deadline:
            late.append(self._items.popleft())
        return late

    def take_all(self) -> list[Item]:
        """Everything there is."""
        rest = [*self._items, *self._aside, *self._ripe]
        self._items.clear()
        self._aside, self._ripe = [], []
        return rest

    def set_aside(self, items: Sequence[Item]) -> None:
        """Take them back for a moment: somebody else holds their cards."""
        self._aside += items

        def ripen() -> None:
            again = [item for item in items if item in self._aside]
            self._aside = [item for item in self._aside if item not in again]
            self._ripe += again
            self._there.set()

        asyncio.get_running_loop().call_later(ASIDE_S, ripen)

    @property
    def wary(self) -> bool:
        """Whether lanes should pass by cards that somebody else holds."""
        return asyncio.get_running_loop().time() < self._wary_until

    def be_wary(self) -> None:
        """A batch has waited for a lock in vain: for a while, do not wait."""
        self._wary_until = asyncio.get_running_loop().time() + WARY_S

    async def wait(self) -> None:
        """Until there is something to take, or everybody is woken."""
        if not self._items and not self._ripe:
            self._there.clear()
            await self._there.wait()

    def wake(self) -> None:
        """Wake every lane: it is time to stop."""
        self._there.set()
