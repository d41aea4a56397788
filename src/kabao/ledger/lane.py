"""A lane: one connection, one batch at a time.

Requests that arrive while a batch is in flight form the next batch; there is
no timer. A batch that fails is decided again or halved until the culprit
stands alone; a lost connection is met by connecting again and asking the
database, by key, what had been committed. A card that somebody else holds for
long is passed by, and its commands are set aside for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import psycopg
import structlog
from psycopg import errors as pg
from psycopg.pq import TransactionStatus

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import HOT_SETTINGS, Conn
from kabao.base.errors import IN_DOUBT, INTERNAL, UNAVAILABLE, KabaoError
from kabao.base.pipe import Pipe
from kabao.ledger import sql
from kabao.ledger.inbox import Inbox, Item
from kabao.ledger.model import Command, Loader
from kabao.ledger.posting import Played, play
from kabao.ledger.store import (
    Chain,
    Locked,
    held_elsewhere,
    load,
    lock,
    moment,
    open_chain,
    store,
)

log = structlog.get_logger()

_UNFINISHED = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})
"""States of a connection whose transaction has certainly not been committed."""


CAREFUL_S = 1.0
"""After a repetition more are likely: so long keys are read before deciding."""


class LaneLimits(msgspec.Struct, frozen=True):
    """Bounds of a lane. Times in seconds of real time."""

    queue_max: int = 4096
    batch_max: int = 96
    answer_s: float = 4.5
    """How long a caller waits for an answer before it is told that there is none."""
    watch_s: float = 0.2
    """How often a lane looks for callers who have waited that long."""
    lock_s: float = 0.3
    """How long a batch waits for a card that somebody else holds."""
    retries_max: int = 6


class _GoneMeanwhileError(Exception):
    """A caller was told that nothing happened while the batch was being decided."""


class Lane:
    """Gathers commands and posts them through its own connection."""

    def __init__(
        self,
        inbox: Inbox,
        connect: Callable[[], Awaitable[Conn]],
        clock: Clock,
        days: BusinessDays,
        limits: LaneLimits,
    ) -> None:
        self._connect, self._clock, self._days, self._limits = connect, clock, days, limits
        self._inbox = inbox
        self._flight: Sequence[Item] = ()
        self._stopping = False
        self._conn: Conn | None = None
        self._pipe: Pipe | None = None
        self._chain: Chain | None = None
        self._read_keys = False
        self._careful_until = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect and begin to serve."""
        await self._reconnect()
        self._tasks = [
            asyncio.create_task(self._run(), name="ledger lane"),
            asyncio.create_task(self._watch(), name="ledger lane watch"),
        ]

    async def stop(self) -> None:
        """Finish what is in flight, refuse the rest, disconnect."""
        self._stopping = True
        self._inbox.wake()
        self._refuse_all()
        if self._tasks:
            # What is in flight ends by itself; a dead server must not hold us up for ever.
            await asyncio.wait(self._tasks[:1], timeout=2 * self._limits.answer_s)
        self._refuse_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._drop()

    def _refuse_all(self) -> None:
        for item in self._inbox.take_all():
            _fail(item, UNAVAILABLE.error())

    async def _run(self) -> None:
        while not self._stopping:
            await self._inbox.wait()
            while batch := self._inbox.take(self._limits.batch_max):
                self._flight = batch
                try:
                    await self._post(batch)
                except BaseException as defect:
                    # Whatever it is: nobody is left without an answer.
                    for item in batch:
                        _fail(item, IN_DOUBT.error())
                    if not isinstance(defect, Exception):
                        raise
                    log.error("ledger.lane_failed", exc_info=defect)
                    await self._drop()
                self._flight = ()

    async def _watch(self) -> None:
        """Answer in time, also while the database does not: a server that hangs
        holds up connecting and cancelling for longer than a caller should wait.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.watch_s)
            now = loop.time()
            for item in self._inbox.take_late(now):
                _fail(item, UNAVAILABLE.error())
            self._give_up_late(self._flight)

    async def _post(self, batch: Sequence[Item]) -> None:
        """Bring a batch to an end: every item gets its outcome."""
        retries = 0
        self._read_keys = asyncio.get_running_loop().time() < self._careful_until
        while batch := self._give_up_late(batch):
            wary = self._inbox.wary
            try:
                held = await self._attempt(batch, wary=wary)
            except _GoneMeanwhileError:
                continue
            except pg.LockNotAvailable:
                log.warning("ledger.lock_held", items=len(batch))
                self._inbox.be_wary()
                if wary:
                    return await self._isolate(batch)
            except (pg.UniqueViolation, pg.SerializationFailure, pg.DeadlockDetected):
                # One of the keys was there already, or the server asks to try again:
                # decided once more, the batch sees what is there now.
                self._read_keys = True
                self._careful_until = asyncio.get_running_loop().time() + CAREFUL_S
                retries += 1
                if retries > self._limits.retries_max:
                    return await self._halve(batch)
            except pg.CheckViolation as defect:
                # Not one of our constraints: the journal has no partition for the day.
                retries += 1
                if defect.diag.constraint_name or retries > self._limits.retries_max:
                    return await self._halve(batch, defect)
                await self._add_month()
            except (OSError, TimeoutError, psycopg.OperationalError, psycopg.InterfaceError):
                await self._reconnect_for(batch)
            except Exception as defect:  # noqa: BLE001 - isolate whatever it is
                return await self._halve(batch, defect)
            else:
                return self._inbox.set_aside(held) if held else None
        return None

    async def _attempt(self, batch: Sequence[Item], *, wary: bool) -> Sequence[Item]:
        """One transaction of two round trips; raises when it was rolled back or lost.

        When wary, one more: it passes by cards that somebody else holds, and
        returns their items.
        """
        conn, pipe = self._conn, self._pipe
        if conn is None or pipe is None or conn.closed or self._chain is None:
            raise psycopg.OperationalError("not connected")
        held: Sequence[Item] = ()
        try:
            async with asyncio.timeout(self._limits.answer_s):
                pipe.command(b"BEGIN")
                if wary:
                    batch, held = await _part(pipe, batch)
                played, locked = await self._decide(pipe, [item.command for item in batch])
                if played.stores_nothing:
                    pipe.command(b"ROLLBACK")
                    await pipe.flush()
                    chain = self._chain
                else:
                    if any(item.done for item in batch):
                        raise _GoneMeanwhileError
                    for item in batch:
                        item.sent = True
                    chain = await store(pipe, played, locked, self._chain)
                    pipe.command(b"COMMIT")
                    await pipe.flush()
        except Exception as failed:
            await self._abandon(conn, failed, batch)
            raise
        self._chain = chain
        _answer(batch, played)
        return held

    async def _decide(self, pipe: Pipe, commands: Sequence[Command[Any]]) -> tuple[Played, Locked]:
        """The first round trip; a second one only for commands that need more read."""
        read_keys = self._read_keys or not all(c.always_kept for c in commands)
        locked = await lock(
            pipe, pipe.flush, commands, self._clock, self._days, read_keys=read_keys
        )
        loaded: dict[Loader, dict[Any, Any]] = {}
        if any(c.loader is not None for c in commands):
            pipe.leave()
            assert self._conn is not None
            loaded = await load(self._conn, commands)
        return play(commands, locked.roots, locked.known, loaded, locked.moment), locked

    async def _abandon(self, conn: Conn, failed: Exception, batch: Sequence[Item]) -> None:
        """End the transaction of a failed attempt, whatever failed: left open, the
        next commit would store the half of it that had been written.
        """
        lost = isinstance(failed, OSError | TimeoutError)
        if isinstance(failed, psycopg.Error) and failed.sqlstate is not None:
            lost = failed.sqlstate[:2] in {"57", "08"}
        if lost or conn.closed or conn.broken:
            await self._drop()
            return
        unfinished = conn.info.transaction_status in _UNFINISHED
        try:
            assert self._pipe is not None
            self._pipe.leave()
            await conn.rollback()
        except psycopg.Error:
            await self._drop()
            return
        if unfinished:
            for item in batch:
                item.sent = False

    async def _halve(self, batch: Sequence[Item], defect: Exception | None = None) -> None:
        """Split a failing batch until the culprit stands alone."""
        if len(batch) == 1:
            log.error("ledger.item_failed", key=batch[0].command.key, exc_info=defect)
            _fail(batch[0], INTERNAL.error())
            return
        middle = len(batch) // 2
        await self._post(batch[:middle])
        await self._post(batch[middle:])

    async def _isolate(self, batch: Sequence[Item]) -> None:
        """Something is held by somebody else, and it is not a card: find who needs it."""
        if len(batch) == 1:
            self._inbox.set_aside(batch)
        else:
            await self._halve(batch)

    def _give_up_late(self, batch: Sequence[Item]) -> list[Item]:
        """Answer those who have waited too long; the others stay."""
        now = asyncio.get_running_loop().time()
        stay = []
        for item in batch:
            if item.done:
                continue
            if now > item.deadline:
                _fail(item, IN_DOUBT.error() if item.sent else UNAVAILABLE.error())
            else:
                stay.append(item)
        return stay

    async def _reconnect_for(self, batch: Sequence[Item]) -> None:
        """Connect again, as long as somebody waits for it."""
        await self._drop()
        while self._give_up_late(batch):
            with contextlib.suppress(OSError, TimeoutError, psycopg.Error, KabaoError):
                async with asyncio.timeout(self._limits.answer_s):
                    await self._reconnect()
                    return
            await asyncio.sleep(0.05)

    async def _reconnect(self) -> None:
        """A fresh connection and, with it, a fresh writer and chain."""
        conn = await self._connect()
        try:
            await conn.execute(HOT_SETTINGS)
            await conn.commit()
            await self._ensure_month(conn)
            self._chain = await open_chain(conn)
            await sql.limit_lock_wait(conn, self._limits.lock_s)
            await conn.commit()
        except BaseException:
            await conn.close()
            raise
        self._conn, self._pipe = conn, Pipe(conn)

    async def _add_month(self) -> None:
        """The journal has no partition yet for the day at hand."""
        try:
            assert self._conn is not None and self._pipe is not None
            self._pipe.leave()
            await self._ensure_month(self._conn)
        except (OSError, psycopg.Error) as failed:
            log.warning("ledger.month_not_added", exc_info=failed)
            await self._drop()

    async def _ensure_month(self, conn: Conn) -> None:
        """A partition for the day a batch would post into now."""
        day = moment(self._clock, self._days, await sql.last_closed(conn)).day
        await sql.ensure_month(conn, day)
        await conn.commit()

    async def _drop(self) -> None:
        conn, self._conn, self._pipe = self._conn, None, None
        if conn is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                await conn.close()


async def _part(pipe: Pipe, batch: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    """Items that can be decided now, and those whose card somebody else holds."""
    wanted = {item.command.root for item in batch if item.command.root is not None}
    held = await held_elsewhere(pipe, pipe.flush, wanted)
    return (
        [item for item in batch if item.command.root not in held],
        [item for item in batch if item.command.root in held],
    )


def _answer(batch: Sequence[Item], played: Played) -> None:
    for index, defect in played.defects:
        log.error("ledger.decide_failed", key=batch[index].command.key, exc_info=defect)
    for item, outcome, error in zip(batch, played.outcomes, played.errors, strict=True):
        item.settle(outcome, error)


def _fail(item: Item, error: KabaoError) -> None:
    item.settle(None, error)
