"""The ledger's verbs: post, read, close a day."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import KEY_REUSED, UNAVAILABLE
from kabao.ledger import closing, house, sql, sql_reading
from kabao.ledger.inbox import Inbox, Item, Then, tell
from kabao.ledger.lane import Lane, LaneLimits
from kabao.ledger.lots import Derived, Order, derive
from kabao.ledger.model import (
    LIMIT_OF_BATCH,
    Account,
    Balances,
    Command,
    Hold,
    HouseBalance,
    HouseMove,
    HouseTransfer,
    NewRoot,
    Operation,
    OperationState,
    Purpose,
    Root,
    Transfer,
)
from kabao.ledger.sql_reading import ClosedDay, DoneBy, ShiftSum
from kabao.ledger.store import borrow_chain, decide, store

R = TypeVar("R")

ROOTS_MAX = 500
"""How many cards one cold operation may touch."""

CLOCK_SKEW = timedelta(minutes=1)
"""How far the clocks of two machines may differ."""

_OF_STORES = (Account.CASH, Account.REDEEMED)

HISTORY_PAGE = 5_000
"""How many transfers a derivation reads at a time."""


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


class Ledger:
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
        self._db, self._clock, self._days = db, clock, days
        limits = limits or LaneLimits()
        self._inbox = Inbox(limits.queue_max * lanes, limits.answer_s)
        self._lanes = [Lane(self._inbox, db.connect, clock, days, limits) for _ in range(lanes)]
        self._in_flight: dict[tuple[str, str], _Running] = {}
        self._months: set[date] = set()
        self._running = False

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

    # Reading

    async def root(self, conn: Conn, root_id: str) -> Root | None:
        """A root as it is now, unlocked."""
        return await sql.root(conn, root_id)

    async def holds(self, conn: Conn, ids: Sequence[str]) -> dict[str, Hold]:
        """Holds by id."""
        return await sql.holds(conn, ids)

    async def expired_holds(self, conn: Conn, limit: int) -> list[Hold]:
        """Open holds whose time is over, for the job that releases them."""
        return await sql.expired_holds(conn, self._clock.now_us(), limit)

    async def transfers(
        self, conn: Conn, root_id: str, *, before_seq: int | None = None, limit: int = 50
    ) -> list[Transfer]:
        """A root's transfers, newest first."""
        return await sql.transfers(conn, root_id, before_seq, limit)

    async def balance_at(self, conn: Conn, root_id: str, at_us: int) -> Balances:
        """A root's balances at a past moment."""
        return await sql.balance_at(conn, root_id, at_us)

    async def house_transfers(
        self, conn: Conn, account: Account, owner: str, day: date, limit: int = 200
    ) -> list[Transfer]:
        """What moved on a house account on a business day."""
        return await sql.house_transfers(conn, account, owner, day, limit)

    async def house_balance(
        self, conn: Conn, account: Account, owner: str, currency: str, at_us: int | None = None
    ) -> HouseBalance:
        """A house account's sums, now or at a past moment."""
        return await sql.house_balance(conn, account, owner, currency, at_us)

    async def house_moved(self, conn: Conn, company: str, key: str) -> list[HouseTransfer]:
        """What the operation of `move_in` with this key moved, in order; nothing if none was."""
        return await house.moved(conn, company, key)

    async def lots(self, conn: Conn, root_id: str, order: Order) -> Derived:
        """Which load each fen of a root came from, and what is left of each."""
        history: list[Transfer] = []
        while page := await sql.transfers_ascending(
            conn, root_id, history[-1].seq if history else 0, HISTORY_PAGE
        ):
            history += page
        return derive(await sql.lots(conn, root_id), history, order)

    async def sub_accounts(
        self, conn: Conn, root_id: str, at_us: int | None = None
    ) -> dict[Account, tuple[int, int]]:
        """What a root's sub-accounts were debited and credited, ever or up to a moment."""
        sums = await sql_reading.sub_accounts(conn, root_id, at_us)
        return {account: sums.get(account, (0, 0)) for account in Account if account < Account.CASH}

    async def house_page(
        self,
        conn: Conn,
        account: Account,
        owner: str,
        day: date,
        *,
        after: tuple[int, str, int] | None = None,
        limit: int = 50,
    ) -> list[Transfer]:
        """What moved on a house account on a business day, from (recorded_us, root, seq) on."""
        return await sql_reading.house_page(conn, account, owner, day, after, limit)

    async def shift_sums(self, conn: Conn, shift: str, opened_at: datetime) -> list[ShiftSum]:
        """What a shift has brought its store, by purpose: in cash, and paid with cards."""
        since = opened_at - CLOCK_SKEW
        return await sql_reading.shift_sums(
            conn, shift, _OF_STORES, since, self._days.of(to_us(since))
        )

    async def about(
        self, conn: Conn, roots: Collection[str], operations: Collection[str], since: date
    ) -> list[Transfer]:
        """What was moved on roots by operations, and by what completed or undid those,
        from a business day on; each root's in its order.
        """
        return await sql_reading.about(conn, roots, operations, since)

    async def done_by(
        self, conn: Conn, roots: Collection[str], purposes: Collection[Purpose], from_day: date
    ) -> list[DoneBy]:
        """What cashiers credited to these roots for these purposes, from a business day on."""
        return await sql_reading.done_by(conn, roots, purposes, from_day)

    async def carriers(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The card that carries each root now."""
        return await sql_reading.carriers(conn, roots)

    async def issuers(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The company that owes what is on each root."""
        return await sql_reading.issuers(conn, roots)

    async def programmes(self, conn: Conn, roots: Collection[str]) -> dict[str, str]:
        """The programme each root is of."""
        return await sql_reading.programmes(conn, roots)

    async def closed_days(
        self, conn: Conn, *, before: date | None = None, limit: int = 50
    ) -> list[ClosedDay]:
        """Closed business days, newest first."""
        return await sql_reading.closed_days(conn, before, limit)

    # Days

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
