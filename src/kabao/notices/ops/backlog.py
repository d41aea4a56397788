"""How far telling is behind."""

from __future__ import annotations

from kabao.base import outbox
from kabao.base.clock import Clock, now
from kabao.base.db import Database
from kabao.notices.sql import queue, texts


class Backlog:
    """What waits, as it was when it was last looked at."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.deliveries, self.texts = 0, 0
        self.lags_s: dict[str, float] = {}
        """For each reader of events, how old the first one is that it has not read."""

    async def look(self) -> None:
        """See what waits by now."""
        async with self._db.read() as conn:
            unread = await outbox.unread_since(conn)
            self.deliveries, self.texts = await queue.waiting(conn), await texts.waiting(conn)
        at = now(self._clock)
        self.lags_s = {
            reader: 0.0 if since is None else max(0.0, (at - since).total_seconds())
            for reader, since in unread.items()
        }
