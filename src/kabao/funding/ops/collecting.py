"""Opening a collection and asking a channel for it. Channels are asked outside of transactions;
a crash between two of them leaves an order that falls due to be looked at.
"""

from __future__ import annotations

from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids
from kabao.funding.model.answers import (
    Created,
    Paid,
    Payer,
    Refused,
    Scene,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.funding.model.asking import US, outcome_of
from kabao.funding.model.collections import Ask, ChannelOrder, Collection, Held, Shown
from kabao.funding.model.life import State
from kabao.funding.model.receipts import reference_of
from kabao.funding.ops import slips
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.steps import Steps
from kabao.funding.ops.timing import timed
from kabao.funding.ports import Router
from kabao.funding.sql import collections as sql
from kabao.policy import names

ORDERS_MAX = 8
"""The most channels one collection tries."""

_SWITCHES = frozenset({Scene.PAGE, Scene.QR, Scene.TRANSFER})
"""Scenes in which another channel may be tried: what the payer brings fits them all."""


class Collecting:
    """Collections on their way to being paid."""

    def __init__(
        self,
        db: Database,
        channels: Channels,
        router: Router,
        steps: Steps,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._channels, self._router, self._steps = db, channels, router, steps
        self._ids, self._clock, self._days = ids, clock, days

    # Opening

    async def open_in(self, conn: Conn, ask: Ask) -> Collection:
        """Write down what is to be collected, and its first order. See `Funding.open_in`."""
        assert self._steps.serves(ask.purpose), f"nobody serves the purpose {ask.purpose}"
        now_us, ident = self._clock.now_us(), self._ids.new()
        expires_us = ask.expires_us or now_us + self._lives_us(ask)
        choice = await self._router.choose(conn, ask, collection=ident, tried=())
        order = self._order(ident, 1, choice.channel, ask.scene, now_us, expires_us)
        collection = Collection(
            id=ident,
            **{name: getattr(ask, name) for name in Ask.__struct_fields__ if name != "expires_us"},
            state=order.state,
            current=order.id,
            wanted=True,
            settled=False,
            code=None,
            rule=None,
            created_us=now_us,
            expires_us=expires_us,
            day=self._days.of(now_us),
        )
        await sql.insert(conn, collection)
        await sql.insert_order(conn, order)
        return collection

    def _lives_us(self, ask: Ask) -> int:
        rules = self._steps.rules(ask.company)
        if ask.scene is Scene.TRANSFER:
            return rules.int(names.FUNDING_TRANSFER_DAYS) * 86_400 * US
        return rules.int(names.FUNDING_ORDER_MINUTES) * 60 * US

    def _order(
        self, collection: str, no: int, channel: str, scene: Scene, now_us: int, expires_us: int
    ) -> ChannelOrder:
        ident = self._ids.new()
        return ChannelOrder(
            id=ident,
            collection=collection,
            no=no,
            channel=channel,
            state=State.CREATED,
            channel_no=None,
            paid_us=None,
            funds="",
            begun_us=None,
            ask_us=expires_us,
            asked=0,
            asked_us=None,
            shown=None,
            reference=reference_of(ident) if scene is Scene.TRANSFER else None,
            refusal=None,
            created_us=now_us,
            expires_us=expires_us,
        )

    # Beginning

    async def begin(self, ident: str, payer: Payer) -> Shown:
        """Ask channels for the money, one after the other. See `Funding.begin`."""
        for _ in range(ORDERS_MAX):
            async with self._db.transaction() as conn:
                held, first = await self._about_to_send(conn, ident)
            if held is None:
                break
            said, took_ms = await self._create(held, payer)
            if isinstance(said, Unreachable) and not first:
                said = Unknown(said.reason)  # the first attempt may have arrived
            async with self._db.transaction() as conn:
                if not await self._began(conn, held.order.id, said, took_ms):
                    break
        async with self._db.read() as conn:
            collection = await sql.get(conn, ident)
            order = None if collection is None else await sql.get_order(conn, collection.current)
        assert collection is not None and order is not None
        return Shown(collection, order.waiting if order.open else None)

    async def _about_to_send(self, conn: Conn, ident: str) -> tuple[Held | None, bool]:
        """The order to send now and whether it is its first time; None: nothing is to be sent."""
        held = await self._locked(conn, ident)
        order, first = held.order, held.order.begun_us is None
        now_us = self._clock.now_us()
        sendable = order.open and order.shown is None and now_us < order.expires_us
        # A payer's code is good once: who sends it again learns nothing but that it was used.
        if not sendable or not held.collection.wanted or not (first or self._resends(held)):
            return None, first
        if first:
            held = await self._steps.store(
                conn, Held(held.collection, replace(order, begun_us=now_us))
            )
        return held, first

    def _resends(self, held: Held) -> bool:
        return held.collection.scene is not Scene.CODE

    async def _create(self, held: Held, payer: Payer) -> tuple[Created, int]:
        adapter = await self._channels.reached(held.order.channel)
        if adapter is None:
            return Unreachable("there is no adapter for this channel"), 0
        notify_url = self._channels.notify_url(held.order.channel)
        order = held.order.told(held.collection, notify_url)
        return await timed(adapter.create(order, payer))

    async def _began(self, conn: Conn, order: str, said: Created, took_ms: int) -> bool:
        """Apply what came of sending. Whether another order is to be sent now."""
        held = await self._locked_order(conn, order)
        if held.order.shown is not None and not isinstance(said, Paid | Waiting):
            return False  # asked twice at once; what the payer is shown stands
        said = await slips.once(conn, held, said, self._ids.new(), self._clock.now_us())
        switches = (
            held.is_current
            and held.order.open
            and held.collection.wanted
            and held.collection.scene in _SWITCHES
            and isinstance(said, Refused | Unreachable | Unknown)
        )
        self._router.tell(
            held.order.channel,
            outcome_of(said),
            took_ms,
            sent_us=held.order.begun_us or held.order.created_us,
            begins=True,
        )
        another = await self._another(conn, held) if switches else None
        if another is None:
            await self._steps.take(conn, held, said)
            return False
        # The payer was shown nothing of the first, so nothing can have moved (S-16).
        await self._steps.take(conn, Held(another, held.order), said)
        return True

    async def _another(self, conn: Conn, held: Held) -> Collection | None:
        """A further order of the collection at another channel, if one can take it."""
        collection = held.collection
        orders = await sql.orders_of(conn, collection.id)
        tried = [order.channel for order in orders]
        if len(orders) >= ORDERS_MAX:
            return None
        try:
            choice = await self._router.choose(
                conn, collection.ask(), collection=collection.id, tried=tried
            )
        except KabaoError:
            return None
        now_us = self._clock.now_us()
        order = self._order(
            collection.id,
            len(orders) + 1,
            choice.channel,
            collection.scene,
            now_us,
            collection.expires_us,
        )
        await sql.insert_order(conn, order)
        collection = replace(collection, current=order.id, state=order.state)
        await sql.update(conn, collection)
        return collection

    async def _locked(self, conn: Conn, ident: str) -> Held:
        """A collection with its latest order, locked. Raises `not_found`."""
        collection = await sql.lock(conn, ident)
        if collection is None:
            raise NOT_FOUND.error("There is no such collection.")
        order = await sql.get_order(conn, collection.current)
        assert order is not None, "a collection without its order"
        return Held(collection, order)

    async def _locked_order(self, conn: Conn, order: str) -> Held:
        held = await sql.lock_of_order(conn, order)
        assert held is not None, "orders are never deleted"
        return held
