"""A lane: one connection, one batch at a time.

Requests that arrive while a batch is in flight form the next batch; there is
no timer. A batch that fails is decided again or halved until the culprit
stands alone; a lost connection is met by connecting again and asking the
database, by key, what had been committed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg import errors as pg

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import IN_DOUBT, INTERNAL, UNAVAILABLE, KabaoError
from kabao.ledger import sql
from kabao.ledger.model import Command
from kabao.ledger.posting import Played
from kabao.ledger.store import Chain, decide, open_chain, store

log = structlog.get_logger()

Outcome = "asyncio.Future[Any]"


class LaneLimits(msgspec.Struct, frozen=True):
    """Bounds of a lane. Times in seconds of real time."""

    queue_max: int = 4096
    batch_max: int = 256
    answer_s: float = 4.5
    """How long a caller waits for an answer before it is told that there is none."""
    retries_max: int = 6


class _Item:
    """A command and whoever waits for its outcome."""

    __slots__ = ("command", "deadline", "future", "sent")

    def __init__(self, command: Command[Any], future: asyncio.Future[Any], deadline: float) -> None:
        self.command = command
        self.future = future
        self.deadline = deadline
        self.sent = False
        """Whether a commit that held this item ended without an answer."""


class Lane:
    """Gathers commands and posts them through its own connection."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Conn]],
        clock: Clock,
        days: BusinessDays,
        limits: LaneLimits,
    ) -> None:
        self._connect, self._clock, self._days, self._limits = connect, clock, days, limits
        self._queue: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._conn: Conn | None = None
        self._chain: Chain | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many commands wait for the next batch."""
        return len(self._queue)

    async def start(self) -> None:
        """Connect and begin to serve."""
        await self._reconnect()
        self._task = asyncio.create_task(self._run(), name="ledger lane")

    async def stop(self) -> None:
        """Finish what is in flight, refuse the rest, disconnect."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        while self._queue:
            _fail(self._queue.popleft(), UNAVAILABLE.error())
        await self._drop()

    def put(self, command: Command[Any], future: asyncio.Future[Any]) -> None:
        """Queue a command. A full queue answers `unavailable` at once."""
        if len(self._queue) >= self._limits.queue_max:
            future.set_exception(UNAVAILABLE.error("The queue of this lane is full."))
            return
        deadline = asyncio.get_running_loop().time() + self._limits.answer_s
        self._queue.append(_Item(command, future, deadline))
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                size = min(len(self._queue), self._limits.batch_max)
                batch = [self._queue.popleft() for _ in range(size)]
                try:
                    await asyncio.shield(self._post(batch))
                except asyncio.CancelledError:
                    for item in batch:
                        _fail(item, IN_DOUBT.error())
                    raise

    async def _post(self, batch: list[_Item]) -> None:
        """Bring a batch to an end: every item gets its outcome."""
        retries = 0
        while batch:
            batch = self._give_up_late(batch)
            if not batch:
                return None
            try:
                await self._attempt(batch)
            except (pg.UniqueViolation, pg.SerializationFailure, pg.DeadlockDetected):
                # Somebody else was first with one of the keys, or the server asks
                # to try again: decided once more, the batch sees what is there now.
                retries += 1
                if retries > self._limits.retries_max:
                    return await self._halve(batch)
            except pg.CheckViolation as defect:
                if "no partition of relation" in str(defect):
                    await self._add_month()
                    continue
                return await self._halve(batch, defect)
            except (OSError, TimeoutError, psycopg.OperationalError, psycopg.InterfaceError):
                await self._reconnect_for(batch)
            except Exception as defect:  # noqa: BLE001 - isolate whatever it is
                return await self._halve(batch, defect)
            else:
                return None
        return None

    async def _attempt(self, batch: Sequence[_Item]) -> None:
        """One transaction of two round trips; raises when it was rolled back or lost."""
        if self._conn is None or self._conn.closed or self._chain is None:
            raise psycopg.OperationalError("not connected")
        conn = self._conn
        commands = [item.command for item in batch]
        try:
            async with asyncio.timeout(self._limits.answer_s):
                played = await decide(conn, commands, self._clock, self._days)
                if played.stores_nothing:
                    await conn.rollback()
                    chain = self._chain
                else:
                    for item in batch:
                        item.sent = True
                    async with conn.pipeline():
                        chain = await store(conn, played, self._chain)
                        await conn.commit()
        except psycopg.Error as failed:
            await self._rolled_back(conn, failed, batch)
            raise
        self._chain = chain
        _answer(batch, played)

    async def _rolled_back(self, conn: Conn, failed: psycopg.Error, batch: Sequence[_Item]) -> None:
        """After a refusal by a server that is still there, nothing was committed."""
        if conn.closed or conn.broken or failed.sqlstate is None:
            return
        if isinstance(failed, pg.OperationalError) and failed.sqlstate[:2] in {"57", "08"}:
            return
        await conn.rollback()
        for item in batch:
            item.sent = False

    async def _halve(self, batch: list[_Item], defect: Exception | None = None) -> None:
        """Split a failing batch until the culprit stands alone."""
        if len(batch) == 1:
            log.error("ledger.item_failed", key=batch[0].command.key, exc_info=defect)
            _fail(batch[0], INTERNAL.error())
            return
        middle = len(batch) // 2
        await self._post(batch[:middle])
        await self._post(batch[middle:])

    def _give_up_late(self, batch: list[_Item]) -> list[_Item]:
        """Answer those who have waited too long; the others stay."""
        now = asyncio.get_running_loop().time()
        stay = []
        for item in batch:
            if item.future.done():
                continue
            if now > item.deadline:
                _fail(item, IN_DOUBT.error() if item.sent else UNAVAILABLE.error())
            else:
                stay.append(item)
        return stay

    async def _reconnect_for(self, batch: list[_Item]) -> None:
        """Connect again while somebody waits. Meanwhile the queue's late ones are told."""
        await self._drop()
        while batch:
            with contextlib.suppress(OSError, TimeoutError, psycopg.Error, KabaoError):
                async with asyncio.timeout(self._limits.answer_s):
                    await self._reconnect()
                    return
            await asyncio.sleep(0.05)
            batch[:] = self._give_up_late(batch)
            self._queue = deque(self._give_up_late(list(self._queue)))

    async def _reconnect(self) -> None:
        """A fresh connection and, with it, a fresh writer and chain."""
        conn = await self._connect()
        await conn.execute(sql.LANE_SETTINGS)
        await conn.commit()
        await sql.ensure_month(conn, self._days.of(self._clock.now_us()))
        self._chain = await open_chain(conn)
        await conn.commit()
        self._conn = conn

    async def _add_month(self) -> None:
        """The journal has no partition yet for the day at hand."""
        assert self._conn is not None
        await self._conn.rollback()
        last = await sql.last_closed(self._conn)
        day = self._days.of(self._clock.now_us())
        await sql.ensure_month(self._conn, max(day, last) if last else day)
        await self._conn.commit()

    async def _drop(self) -> None:
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await self._conn.close()
        self._conn = None


def _answer(batch: Sequence[_Item], played: Played) -> None:
    for index, defect in played.defects:
        log.error("ledger.decide_failed", key=batch[index].command.key, exc_info=defect)
    for item, outcome, error in zip(batch, played.outcomes, played.errors, strict=True):
        if item.future.done():
            continue
        if error is not None:
            item.future.set_exception(error)
        else:
            item.future.set_result(outcome)


def _fail(item: _Item, error: KabaoError) -> None:
    if not item.future.done():
        item.future.set_exception(error)
