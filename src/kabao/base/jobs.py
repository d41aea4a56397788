"""Work for later: deferred in our own transaction, or done every few seconds.

A *task* is work with arguments. A slice defers it on its own connection, so it
comes about exactly when its transaction commits; `kabao worker` runs it at
least once, again after a failure, again after a worker was killed. Arguments
are ids and numbers, never secrets.

A *tick* looks every few seconds for what has fallen due. Due times are columns
of the slice, compared with the clock that is handed in; the runner never waits
for a moment itself. One worker runs a tick at a time.

Both must be safe to repeat. The queue is procrastinate's; nothing else in
Kabao knows that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job
from psycopg_pool import AsyncConnectionPool

from kabao.base import logs
from kabao.base.db import POOL_TIMEOUT_S, Conn, Database
from kabao.base.errors import UNAVAILABLE, KabaoError, Kind
from kabao.base.tasks import pause

Json = str | int | bool | None
Work = Callable[..., Awaitable[object]]

CONCURRENCY = 4
ATTEMPTS = 10
LONGEST_PAUSE_S = 300
FAILED_KEPT_HOURS = 24 * 30
STALLED_AFTER_S = 30.0
OPEN_LIMIT_S = 4.0

_log = logs.get("jobs")


class _Tick(msgspec.Struct, frozen=True):
    name: str
    every: timedelta
    work: Callable[[], Awaitable[object]]


class Jobs:
    """The queue. A server only defers; a worker registers all work and runs it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._app = App(
            connector=PsycopgConnector(
                pool_factory=_Pool,
                conninfo=db.url,
                min_size=1,
                max_size=CONCURRENCY + 2,
                timeout=POOL_TIMEOUT_S,
                kwargs={"connect_timeout": 4, "application_name": "kabao jobs"},
            )
        )
        self._ticks: list[_Tick] = []
        self._turns = _Turns(db)
        self.tick("jobs.revive", timedelta(seconds=10), self._revive)
        self.tick("jobs.prune", timedelta(hours=1), self._prune)

    def task(self, name: str, work: Work, *, attempts: int = ATTEMPTS) -> None:
        """Say who does the work of that name (`slice.verb`).

        `work` is called with the deferred arguments, and again after an error,
        with growing pauses, `attempts` times in all.
        """

        async def run(**arguments: Json) -> None:
            await work(**arguments)

        self._app.task(name=name, retry=_Patience(attempts))(run)

    def tick(self, name: str, every: timedelta, work: Callable[[], Awaitable[object]]) -> None:
        """Call `work` every so many real seconds, in one worker at a time."""
        self._ticks.append(_Tick(name, every, work))

    async def defer(
        self,
        conn: Conn,
        name: str,
        *,
        lock: str | None = None,
        once: str | None = None,
        **arguments: Json,
    ) -> bool:
        """Have the work done after the transaction of `conn` commits.

        Jobs with one `lock` run one after the other: lock on a card or a
        merchant, never on everything. With `once`, a second job of that key is
        not added while the first still waits; False then.
        """
        deferrer = self._app.configure_task(name, lock=lock, queueing_lock=once, connection=conn)
        if once is None:
            await deferrer.defer_async(**arguments)
            return True
        try:
            async with conn.transaction():
                await deferrer.defer_async(**arguments)
        except AlreadyEnqueued:
            return False
        return True

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Work until cancelled; jobs under way get ten seconds to finish.

        A database that goes away is waited for.
        """
        async with await self._open():
            ready()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._work())
                    for tick in self._ticks:
                        group.create_task(self._repeat(tick))
            finally:
                await self._turns.close()

    async def drain(self) -> None:
        """Do everything that waits now, then return: for tests and the demo."""
        async with await self._open():
            await self._app.run_worker_async(**self._options(wait=False))

    async def tick_once(self, name: str) -> None:
        """Run one tick now: for tests and the demo."""
        async with await self._open():
            await next(tick for tick in self._ticks if tick.name == name).work()

    async def _open(self) -> AbstractAsyncContextManager[object]:
        """The connections of the queue. Raises `unavailable`."""
        try:
            await self._app.open_async()
        except (ConnectorException, psycopg.OperationalError) as gone:
            raise UNAVAILABLE.error("The database cannot be reached.") from gone
        stack = contextlib.AsyncExitStack()
        stack.push_async_callback(self._app.close_async)
        return stack

    async def _work(self) -> None:
        while True:
            try:
                await self._app.run_worker_async(**self._options(wait=True))
            except (ConnectorException, psycopg.Error) as gone:
                _log.warning("the queue cannot be reached", reason=str(gone.__cause__ or gone))
            await pause(1.0)

    def _options(self, *, wait: bool) -> Any:
        return {
            "wait": wait,
            "concurrency": CONCURRENCY,
            "install_signal_handlers": False,
            "delete_jobs": "successful",
            "listen_notify": wait,
            "shutdown_graceful_timeout": 10.0,
        }

    async def _repeat(self, tick: _Tick) -> None:
        while True:
            try:
                await self._turn(tick)
            except KabaoError as refused:
                level = _log.warning if refused.code.kind is Kind.UNAVAILABLE else _log.error
                level("tick failed", tick=tick.name, reason=refused.detail)
            except Exception:  # noqa: BLE001 -- a tick comes again, whatever befell it
                _log.exception("tick failed", tick=tick.name)
            await pause(tick.every.total_seconds())

    async def _turn(self, tick: _Tick) -> None:
        """Run a tick unless another worker is at it."""
        if not await self._turns.take(tick.name):
            return
        try:
            await tick.work()
        finally:
            await self._turns.give_back(tick.name)

    async def _revive(self) -> None:
        """Give the jobs of killed workers to others."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
            await manager.retry_job(job)
            _log.warning("job revived", job=job.id, task=job.task_name)

    async def _prune(self) -> None:
        """Forget failed jobs after a month."""
        await self._app.job_manager.delete_old_jobs(nb_hours=FAILED_KEPT_HOURS, include_failed=True)


class _Turns:
    """Which ticks are this worker's now: advisory locks, all on one connection.

    It is not of the pool: were every tick to hold one of the pool's while its
    work asks for another, a handful of ticks would wait for themselves. Locks
    go with a lost connection; another worker may then run a tick at the same
    time, which ticks bear.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._conn: Conn | None = None
        self._one_at_a_time = asyncio.Lock()

    async def take(self, name: str) -> bool:
        """Whether it is our turn. Raises `unavailable`."""
        async with self._one_at_a_time:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = await self._db.connect()
                    await self._conn.set_autocommit(True)
                taken = await self._conn.execute("select pg_try_advisory_lock(%s)", [_key(name)])
                return await taken.fetchone() == (True,)
            except psycopg.OperationalError as gone:
                raise UNAVAILABLE.error("The database cannot be reached.") from gone

    async def give_back(self, name: str) -> None:
        """Let another worker have it; a lost connection has given it back already."""
        async with self._one_at_a_time:
            if self._conn is not None:
                with contextlib.suppress(psycopg.OperationalError):
                    await self._conn.execute("select pg_advisory_unlock(%s)", [_key(name)])

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


class _Pool(AsyncConnectionPool):
    """Gives up sooner than half a minute on a database that is not there."""

    # The signature is psycopg's.
    async def open(self, wait: bool = False, timeout: float = OPEN_LIMIT_S) -> None:  # noqa: ASYNC109, FBT001, FBT002
        """Open the pool and, when told to, wait for the first connection."""
        await super().open(wait, timeout)


class _Patience(BaseRetryStrategy):
    """Try again after 1, 2, 4, … seconds, up to five minutes."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if job.attempts + 1 >= self._attempts:
            return None
        return RetryDecision(retry_in={"seconds": min(2**job.attempts, LONGEST_PAUSE_S)})
