"""News: a look at the database because somebody asks for what a snapshot does not know.

Snapshots are brought up to date every second. What a sibling process has just
set up is found by one more look, shared by all who ask at the same time, and
looks have a pause between them: a flood of names that do not exist costs a few
small reads a second, however large it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PAUSE_S = 0.2


class News:
    """Looks on demand, one at a time."""

    def __init__(
        self, refresh: Callable[[], Awaitable[object]], *, pause_s: float = PAUSE_S
    ) -> None:
        self._refresh, self._pause_s = refresh, pause_s
        self._turn = asyncio.Lock()
        self._last = float("-inf")
        self._next: asyncio.Future[None] | None = None

    async def look(self) -> None:
        """Wait for a look that begins from now on; it sees what is committed by now."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._look())
        await asyncio.shield(self._next)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(self._last + self._pause_s - loop.time())
            self._next, self._last = None, loop.time()
            await self._refresh()
