"""Looking cards up before the lane: gathered, on a connection of its own.

A pooled connection would be checked, borrowed and given back for every batch,
and could keep a plan that was made while the tables were empty.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psycopg

from kabao.base.db import HOT_SETTINGS, Conn, Database
from kabao.base.errors import UNAVAILABLE
from kabao.base.gather import Gather, Then
from kabao.cards.model import Resolved, Source
from kabao.cards.ops import Cards

TRIES = 2
"""A connection that turns out to be gone is replaced once; then nobody is there."""


class LookUp:
    """Sources in, cards out, as many at a time as have gathered."""

    def __init__(self, db: Database, cards: Cards) -> None:
        self._db, self._cards = db, cards
        self._conn: Conn | None = None
        self._gather: Gather[Source, Resolved | None] = Gather(self._resolve)

    async def start(self) -> None:
        """Begin to gather."""
        await self._gather.start()

    async def stop(self) -> None:
        """Stop; whoever still waits is told `unavailable`."""
        await self._gather.stop()
        await self._drop()

    def put(self, source: Source, then: Then[Resolved | None]) -> None:
        """Look a source up, and go on with what it is."""
        self._gather.put(source, then)

    async def _resolve(self, sources: Sequence[Source]) -> list[Resolved | None]:
        for _ in range(TRIES):
            try:
                return await self._cards.resolve(await self._connection(), sources)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError):
                await self._drop()
        raise UNAVAILABLE.error()

    async def _connection(self) -> Conn:
        if self._conn is None:
            conn = await self._db.connect()
            await conn.set_autocommit(True)
            await conn.execute(HOT_SETTINGS)
            self._conn = conn
        return self._conn

    async def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()
