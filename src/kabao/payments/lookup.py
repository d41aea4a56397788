"""Looking cards up before the lane: gathered, on a connection of its own.

A pooled connection would be checked, borrowed and given back for every batch,
and could keep a plan that was made while the tables were empty.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import psycopg

from kabao.base.db import HOT_SETTINGS, Conn, Database
from kabao.base.errors import UNAVAILABLE
from kabao.base.gather import Gather, Then
from kabao.base.pipe import Pipe
from kabao.cards.model import Resolved
from kabao.paycodes.model import Payable
from kabao.paycodes.ops import PayCodes

ANSWER_S = 4.0
"""How long a look-up may take before whoever waits is told `unavailable`."""

BATCH_MAX = 96
"""Sources in one look-up: while one batch is looked up, another is being posted."""

TRIES = 2
"""A connection that turns out to be gone is replaced once; then nobody is there."""


class LookUp:
    """Sources in, cards out, as many at a time as have gathered."""

    def __init__(self, db: Database, codes: PayCodes) -> None:
        self._db, self._codes = db, codes
        self._conn: Conn | None = None
        self._pipe: Pipe | None = None
        self._gather: Gather[Payable, Resolved | None] = Gather(self._resolve, batch_max=BATCH_MAX)

    async def start(self) -> None:
        """Begin to gather."""
        await self._gather.start()

    async def stop(self) -> None:
        """Stop; whoever still waits is told `unavailable`."""
        await self._gather.stop()
        await self._drop()

    def put(self, source: Payable, then: Then[Resolved | None]) -> None:
        """Look a source up, and go on with what it is."""
        self._gather.put(source, then)

    async def _resolve(self, sources: Sequence[Payable]) -> list[Resolved | None]:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._ask(sources)
        except TimeoutError:
            await self._drop()
            raise UNAVAILABLE.error() from None

    async def _ask(self, sources: Sequence[Payable]) -> list[Resolved | None]:
        for _ in range(TRIES):
            try:
                pipe = await self._connected()
                return await self._codes.resolve(pipe, sources, pipe.flush)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError):
                await self._drop()
        raise UNAVAILABLE.error()

    async def _connected(self) -> Pipe:
        if self._conn is None or self._pipe is None:
            conn = await self._db.connect()
            await conn.set_autocommit(True)
            await conn.execute(HOT_SETTINGS)
            self._conn, self._pipe = conn, Pipe(conn)
        return self._pipe

    async def _drop(self) -> None:
        conn, self._conn, self._pipe = self._conn, None, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()
