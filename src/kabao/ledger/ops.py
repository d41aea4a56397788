"""The ledger's verbs: post, move, cut, close a day; what it tells is in `reading`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import KEY_REUSED, UNAVAILABLE
from kabao.ledger import closing, cutting, house, sql
from kabao.ledger.daybook import DayBook
from kabao.ledger.inbox import Inbox, Item, Then, tell
from kabao.ledger.lane import Lane, LaneLimits
from kabao.ledger.model import (
    LIMIT_OF_BATCH,
    Command,
    Cut,
    HouseMove,
    NewRoot,
    Operation,
    OperationState,
    Root,
)
from kabao.ledger.reading import Reading
from kabao.ledger.store import borrow_chain, decide, store

R = TypeVar("R")

ROOTS_MAX = 500
"""How many cards one cold operation may touch."""


class _Running:
    """A command in flight, and everybody who waits for it."""

    __slots__ = ("_flight", "_name", "callers", "item", "mac")

    def __init__(
        self, flight: dict[tuple[str, str], _Running], name: tuple[str, str], mac: bytes
    ) -> None:
        self._flight, self._name, self.mac = flight, name, mac
        self.callers: list[Then] = []
        self.item: Item | None = None

    def settle(self, result: Any, error: Exception | None) -> None:
        """Hand the outcome on to all of them."""
        self._flight.pop(self._name, None)
        # The item holds on to us as well: a circle would wait for the collector.
        self.item = None
        for one in self.callers:
            tell(one, result, error)

    def leave(self, then: Then) -> None:
        """One waits no more; when nobody does, what was not sent need not happen."""
        self.callers.remove(then)
        if not self.callers and self._flight.get(self._name) is self:
            del self._flight[self._name]
            item, self.item = self.item, None
            if item is not None:
                item.withdraw()


class Ledger(Reading):
    """The only writer of money. One per process."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        days: BusinessDays,
        *,
        lanes: int = 2,
        limits: LaneLimits | None = None,
    ) -> None:
        super().__init__(clock, days)
        self._db = db
        limits = limits or LaneLimits()
        self._inbox = Inbox(limits.queue_max * lanes, limits.answer_s)
        self._lanes = [Lane(self._inbox, db.connect, clock, days, limits) for _ in range(lanes)]
        self._in_flight: dict[tuple[str, str], _Running] = {}
        self._months: set[date] = set()
        self._running = False
        self.daybook = DayBook()

    async def start(self) -> None:
        """Start the lanes."""
        for lane in self._lanes:
            await lane.start()
        self._running = True

    async def stop(self) -> None:
        """Stop the lanes; what still waits is answered `unavailable`."""
        self._running = False
        for lane in self._lanes:
            await lane.stop()

    @property
    def waiting(self) -> int:
        """How many commands wait in all lanes, for readiness and metrics."""
        return len(self._inbox)

    def post(self, command: Command[R]) -> asyncio.Future[R]:
        """Post through a lane: gathered with others, in its own transaction.

        The future ends in the command's result or in a KabaoError:
        `unavailable` (nothing happened), `in_doubt` (repeat with the same key),
        `idempotency_key_reused`, or what `decide` raised.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def settle(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        joined = self._join(command, settle)

        def gone(future: asyncio.Future[R]) -> None:
            if not future.cancelled():
                return
            if isinstance(joined, _Running):
                joined.leave(settle)
            elif joined is not None:
                joined.withdraw()

        future.add_done_callback(gone)
        return future

    def submit(self, command: Command[Any], then: Then) -> None:
        """As `post`, for callers that need no future: `then` gets the outcome."""
        self._join(command, then)

    def _join(self, command: Command[Any], then: Then) -> _Running | Item | None:
        """Requests in flight with the same key share the first one's outcome."""
        if not self._running:
            then(None, UNAVAILABLE.error("The ledger is not running."))
            return None
        if not command.key:
            return self._inbox.put(command, then)
        name = (command.company, command.key)
        running = self._in_flight.get(name)
        if running is None:
            running = self._in_flight[name] = _Running(self._in_flight, name, command.mac)
            running.callers.append(then)
            running.item = self._inbox.put(command, running.settle)
        elif running.mac == command.mac:
            running.callers.append(then)
        else:
            then(None, KEY_REUSED.error())
            return None
        return running

    async def post_in(self, conn: Conn, commands: Sequence[Command[Any]]) -> list[Any]:
        """Post in the caller's transaction: all of it or, when anything is refused, none.

        Roots are locked in id order. Raises the first KabaoError of any command.
        """
        if len(commands) > ROOTS_MAX:
            raise LIMIT_OF_BATCH.error(f"At most {ROOTS_MAX} cards at a time.")
        await self._ensure_months()
        played, locked = await decide(conn, commands, self._clock, self._days)
        if played.defects:
            raise played.defects[0][1]
        for error in played.errors:
            if error is not None:
                raise error
        if not played.stores_nothing:
            await store(conn, played, locked, await borrow_chain(conn))
        return played.outcomes

    async def move_in(
        self, conn: Conn, moves: Sequence[HouseMove], *, company: str, key: str
    ) -> str:
        """Move money between house accounts, in the caller's transaction. No card is touched.

        Idempotent by (company, key): the same moves again move nothing. Returns the
        operation's id, which follows from the key. What else the transaction locks, cards
        above all, it locks first: the journal is one writer's until the commit.
        Raises `idempotency_key_reused` when the key had other moves, and `invalid`.
        """
        return await house.move_in(conn, moves, company, key, self._clock, self._days)

    async def _ensure_months(self) -> None:
        """Partitions for today and, if the clocks of two processes differ,
        tomorrow. On a connection of its own: the caller's transaction may be long.
        """
        today = self._days.of(self._clock.now_us())
        for day in (today, today + timedelta(days=1)):
            month = day.replace(day=1)
            if month in self._months:
                continue
            own = await self._db.connect()
            try:
                await sql.ensure_month(own, month)
                await own.commit()
            finally:
                await own.close()
            self._months.add(month)

    async def lock(self, conn: Conn, roots: Sequence[str]) -> dict[str, Root]:
        """Lock roots in id order; unknown ones are absent from the answer.

        The day's fence comes first, as in every batch: whoever holds a root never
        waits for the fence, so that closing a day ends.
        """
        await conn.execute(sql.LOCK_FENCE)
        return await sql.lock_roots(conn, roots)

    async def open_roots(self, conn: Conn, roots: Sequence[NewRoot]) -> None:
        """Open empty root accounts, with COPY."""
        await sql.open_roots(conn, roots, self._clock.now_us())

    async def bar(
        self,
        conn: Conn,
        company: str,
        key: str,
        operation: str,
        result: str,
        taken_by: bytes = b"",
    ) -> None:
        """Bar a key whose original never came: it is refused when it does (F-7).

        `taken_by` is the MAC of another request that the key belongs to: then what
        comes is told that the key was used before, not that it was reversed.
        Raises psycopg's UniqueViolation when the original was first after all.
        """
        state = OperationState.TOMBSTONE
        barred = Operation(company, key, operation, None, taken_by, state, result)
        await sql.store_operations(conn, [barred], self._clock.now_us())

    async def operation(self, conn: Conn, company: str, key: str) -> Operation | None:
        """What became of a key."""
        return (await sql.known_operations(conn, [(company, key)])).get((company, key))

    # Days

    async def cut(self, conn: Conn, until_us: int) -> Cut:
        """How far every writer had come at a moment that is over: the edge of a window.

        What was decided before it is waited for (the fence is held for no longer than
        that), and a clock that runs behind posts into the next window. So every
        transfer is in exactly one, and a window once cut never changes.
        Raises `invalid` for a moment to come, `unavailable` when a posting does not end.
        """
        return await cutting.cut(conn, until_us, self._clock)

    async def close_day(self, conn: Conn, day: date) -> int:
        """Close a business day: from the commit on, no batch can post into it.

        The house accounts are summed while postings go on; then batches in
        flight are waited for (they hold the fence) and new ones wait for the
        commit, which should follow at once. Days close in order and none is
        left out: open ones before it are closed with it. Returns the number of
        transfers of the day. Raises `day_closed`, `day_not_over`, `unavailable`
        (a posting does not end), and `invalid` for a day before the first
        transfer: every day since would have to be closed as well.
        """
        return await closing.close_day(conn, day, self._clock, self._days)
