"""Asking channels what became of orders, and ending orders that are wanted no more."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from kabao.base import logs
from kabao.base.clock import Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.funding.model.answers import (
    Closed,
    Order,
    Paid,
    Queried,
    Refused,
    Scene,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.funding.model.asking import US, Look, outcome_of
from kabao.funding.model.collections import Collection, Held
from kabao.funding.model.life import Event, State
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.crew import LEASE_S, Crew
from kabao.funding.ops.steps import Steps
from kabao.funding.ops.timing import timed
from kabao.funding.ports import Router
from kabao.funding.sql import collections as sql

log = logs.get("funding")


class Looking:
    """Looks at orders that were sent."""

    def __init__(
        self,
        db: Database,
        channels: Channels,
        router: Router,
        steps: Steps,
        clock: Clock,
    ) -> None:
        self._db, self._channels, self._router, self._steps = db, channels, router, steps
        self._clock = clock
        self._crew = Crew(channels)

    async def due(self) -> int:
        """Look at every order whose time has come; for a tick. Gives how many."""

        async def claim(room: Mapping[str, int], most: int) -> list[tuple[str, str]]:
            now_us = self._clock.now_us()
            async with self._db.transaction() as conn:
                return await sql.claim_due(conn, room, most, now_us, now_us + LEASE_S * US)

        return await self._crew.work(claim, self._look_safely)

    async def _look_safely(self, order: str) -> None:
        """A look that fails counts as one in vain, and stops no other."""
        try:
            await self.look(order)
        except Exception as wrong:  # noqa: BLE001 -- a purpose's defect: it comes again, then a case
            log.error("funding.look_failed", order=order, reason=type(wrong).__name__)
            try:
                async with self._db.transaction() as conn:
                    await self._again(conn, await self._locked(conn, order))
            except Exception as gone:  # noqa: BLE001 -- it falls due again when its lease is over
                log.error("funding.look_uncounted", order=order, reason=type(gone).__name__)

    async def look(self, order: str) -> None:
        """Do what is due with an order: ask the channel, or end it."""
        async with self._db.read() as conn:
            held = await sql.held(conn, order)
        if held is None or held.order.ask_us is None:
            return
        if not held.order.open:  # it ended unpaid a while ago: did money come all the same?
            await self._looked(order, *await timed(self._channels.query(*self._of(held))))
            return
        now_us = self._clock.now_us()
        match self._steps.patience(held.collection.company).due(held, now_us):
            case Look.WAIT:
                await self._later(order)
            case Look.DROP:
                await self._drop(order)
            case Look.ASK:
                await self._looked(order, *await timed(self._asked(held)))
            case Look.CLOSE:
                await self._end(held)

    async def ask(self, ident: str) -> Collection:
        """Ask the channel now. See `Funding.ask`."""
        async with self._db.read() as conn:
            collection = _there(await sql.get(conn, ident))
            held = await sql.held(conn, collection.current)
        assert held is not None, "a collection without its order"
        patience = self._steps.patience(collection.company)
        sent = held.order.open and held.order.begun_us is not None
        if sent and patience.may_poll(held, self._clock.now_us()):
            said, took_ms = await timed(self._asked(held))
            await self._looked(held.order.id, said, took_ms, counts=False)
        return await self._as_it_is(ident)

    async def ask_about(self, order: str) -> Queried:
        """Ask about one order, however it ended, and do what follows. What the channel said."""
        async with self._db.read() as conn:
            held = await sql.held(conn, order)
        assert held is not None, "orders are never deleted"
        said, took_ms = await timed(self._asked(held))
        await self._looked(order, said, took_ms)
        return said

    async def cancel(self, ident: str) -> Collection:
        """End a collection. See `Funding.cancel`."""
        async with self._db.transaction() as conn:
            collection = _there(await sql.lock(conn, ident))
            held = await self._locked(conn, collection.current)
            if held.order.open and held.collection.wanted:
                held = await self._want_no_more(conn, held)
            if held.order.open and held.order.begun_us is None:
                held = await self._steps.step(conn, held, Event.UNSENT)
        if held.order.open:
            await self.look(held.order.id)
        return await self._as_it_is(ident)

    # Asking and ending

    async def _asked(self, held: Held) -> Queried:
        """Ask; what still waits when its time is over is closed."""
        channel, order = self._of(held)
        said = await self._channels.query(channel, order)
        over = self._clock.now_us() >= held.order.expires_us
        if isinstance(said, Waiting) and over:
            return await self._channels.close(channel, order)
        return said

    async def _end(self, held: Held) -> None:
        """End an order. A code that nobody gave up is asked about first: where nobody has
        looked for a while its payer may have paid in time.
        """
        if held.collection.scene is Scene.CODE and held.collection.wanted:
            said, took_ms = await timed(self._channels.query(*self._of(held)))
            if isinstance(said, Paid | Closed | Refused):
                await self._looked(held.order.id, said, took_ms)
                return
        if await self._unwanted(held.order.id):
            await self._looked(held.order.id, *await timed(self._closed(held)))

    async def _closed(self, held: Held) -> Queried:
        """End it; a channel that cannot is asked what became of it."""
        channel, order = self._of(held)
        said = await self._channels.close(channel, order)
        if isinstance(said, Waiting | Unknown):
            return await self._channels.query(channel, order)
        return said

    def _of(self, held: Held) -> tuple[str, Order]:
        channel = held.order.channel
        return channel, held.order.told(held.collection, self._channels.notify_url(channel))

    async def _looked(
        self, order: str, said: Queried, took_ms: int, *, counts: bool = True
    ) -> None:
        async with self._db.transaction() as conn:
            held = await self._locked(conn, order)
            if not held.order.open and not isinstance(said, Paid | Closed):
                await self._again(conn, held)
                return  # it was overtaken
            self._router.tell(
                held.order.channel,
                outcome_of(said),
                took_ms,
                sent_us=held.order.begun_us or held.order.created_us,
                begins=False,
            )
            if isinstance(said, Unreachable) and held.order.state is State.CREATED:
                # Only the question did not get out. The order is being sent, and may arrive.
                said = Unknown(said.reason)
            was_open = held.order.open
            held = await self._steps.take(conn, held, said)
            if held.order.open or not was_open:  # what ends now is asked about a last time later
                await self._again(conn, held, counts=counts)

    async def _again(self, conn: Conn, held: Held, *, counts: bool = True) -> None:
        """One more question was asked; when too many were, a person looks.

        `counts`: it was our turn to ask, so that the next pause is longer.
        """
        if held.order.ask_us is None:
            return
        asked = held.order.asked + int(counts)
        order = replace(held.order, asked=asked, asked_us=self._clock.now_us())
        held = await self._steps.store(conn, Held(held.collection, order))
        patience = self._steps.patience(held.collection.company)
        if held.order.open and patience.worn_out(held, self._clock.now_us()):
            await self._steps.open_case(conn, held, "funding.unknown", held.order.id, {})

    async def _unwanted(self, order: str) -> bool:
        """Before a code is cancelled nobody wants it any more: its money is going back, so
        a payment told meanwhile must not be confirmed. False: it has ended meanwhile.
        """
        async with self._db.transaction() as conn:
            held = await self._locked(conn, order)
            code = held.collection.scene is Scene.CODE
            if held.order.open and held.collection.wanted and code:
                await self._want_no_more(conn, held)
            return held.order.open

    async def _want_no_more(self, conn: Conn, held: Held) -> Held:
        """From now on it is only to be ended, and attempts to are counted."""
        collection = replace(held.collection, wanted=False)
        await sql.update(conn, collection)
        return await self._steps.store(conn, Held(collection, replace(held.order, asked=0)))

    async def _later(self, order: str) -> None:
        async with self._db.transaction() as conn:
            held = await self._locked(conn, order)
            if held.order.open:
                await self._steps.store(conn, held)

    async def _drop(self, order: str) -> None:
        """End an order that was never sent."""
        async with self._db.transaction() as conn:
            held = await self._locked(conn, order)
            if held.order.open and held.order.begun_us is None:
                await self._steps.step(conn, held, Event.CLOSED)

    # Reading

    async def _locked(self, conn: Conn, order: str) -> Held:
        held = await sql.lock_of_order(conn, order)
        assert held is not None, "orders are never deleted"
        return held

    async def _as_it_is(self, ident: str) -> Collection:
        async with self._db.read() as conn:
            return _there(await sql.get(conn, ident))


def _there(collection: Collection | None) -> Collection:
    if collection is None:
        raise NOT_FOUND.error("There is no such collection.")
    return collection
