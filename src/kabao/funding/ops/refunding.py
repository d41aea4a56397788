"""Money on its way back to payers, and money that channels take back from us."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from kabao.base import logs
from kabao.base.clock import Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, KEY_REUSED, NOT_FOUND
from kabao.base.ids import to_edge
from kabao.cases.model import Fact
from kabao.funding.model.answers import (
    Closed,
    NotThere,
    Paid,
    Queried,
    Recalled,
    RefundAnswer,
    Refunded,
    Refused,
    Unknown,
    Unreachable,
    Waiting,
)
from kabao.funding.model.asking import US
from kabao.funding.model.collections import (
    HELD,
    MORE_THAN_COLLECTED,
    NOT_COLLECTED,
    REFUND,
    REFUND_NOT_OPEN,
    Back,
    Collection,
    FundingRefund,
    Held,
)
from kabao.funding.model.life import Event, RefundState, State, refund_state
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.crew import LEASE_S, Crew
from kabao.funding.ops.steps import FUNDS_CHARS, RULE, Steps, gone_fen
from kabao.funding.sql import collections as sql
from kabao.funding.sql import refunds as refunds_sql

log = logs.get("funding")


class Refunding:
    """Refunds: written in the caller's transaction, sent by a job until the channel tells."""

    def __init__(self, db: Database, channels: Channels, steps: Steps, clock: Clock) -> None:
        self._db, self._channels, self._steps, self._clock = db, channels, steps, clock
        self._crew = Crew(channels)

    async def refund_in(
        self, conn: Conn, ident: str, amount_fen: int, *, key: str, reason: str
    ) -> FundingRefund:
        """Write down that part or all goes back. See `Funding.refund_in`."""
        if amount_fen <= 0:
            raise INVALID.error("A refund is more than zero.", field="amount")
        held = await self._paid(conn, ident)
        earlier = await refunds_sql.of_collection(conn, ident)
        for refund in earlier:
            if refund.key == f"asked:{key}":
                if refund.amount_fen != amount_fen:
                    raise KEY_REUSED.error()
                return refund
        rest_fen = held.collection.amount_fen - gone_fen(earlier, held.order)
        if held.order.state not in HELD or held.collection.code is not None:
            raise NOT_COLLECTED.error(rule=RULE)
        if amount_fen > rest_fen:
            raise MORE_THAN_COLLECTED.error(rule=RULE, field="amount")
        paid_by = held.order.channel_no
        assert paid_by is not None, "held money was paid by something"
        refund = await self._steps.write_refund(
            conn, held, Back.ASKED, amount_fen, paid_by, f"asked:{key}", reason
        )
        if amount_fen == rest_fen:
            await self._steps.step(conn, held, Event.REFUND_BEGUN)
        return refund

    async def recall_in(
        self, conn: Conn, ident: str, amount_fen: int | None, *, key: str, reason: str
    ) -> Collection:
        """A channel took back what it had paid. See `Funding.recall_in`."""
        held = await self._paid(conn, ident)
        paid_by = held.order.channel_no
        if paid_by is None or held.order.state not in (*HELD, State.REFUNDING):
            raise NOT_COLLECTED.error(rule=RULE)
        whole_fen = held.collection.amount_fen
        told = Recalled(key, paid_by, whole_fen if amount_fen is None else amount_fen, reason)
        return (await self._steps.recall(conn, held, told)).collection

    async def again_in(self, conn: Conn, ident: str) -> FundingRefund:
        """Try a refused refund once more. See `Funding.refund_again_in`."""
        found = await self.find(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such refund.")
        held, refund = found
        if refund.back is Back.ASKED or refund.state is not RefundState.REFUSED:
            raise REFUND_NOT_OPEN.error(rule=RULE)
        now_us = self._clock.now_us()
        refund = replace(
            refund, state=RefundState.UNKNOWN, sent_us=None, ask_us=now_us, asked=0, done_us=None
        )
        await refunds_sql.update(conn, refund)
        if refund.back is Back.LATE and held.order.state in HELD:
            await self._steps.step(conn, held, Event.REFUND_BEGUN)
        return refund

    async def _paid(self, conn: Conn, ident: str) -> Held:
        collection = await sql.lock(conn, ident)
        if collection is None:
            raise NOT_FOUND.error("There is no such collection.")
        order = await sql.get_order(conn, collection.current)
        assert order is not None, "a collection without its order"
        return Held(collection, order)

    # Sending

    async def due(self) -> int:
        """Send or ask about every refund whose time has come; for a tick. Gives how many."""

        async def claim(room: Mapping[str, int], most: int) -> list[tuple[str, str]]:
            now_us = self._clock.now_us()
            async with self._db.transaction() as conn:
                return await refunds_sql.claim_due(conn, room, most, now_us, now_us + LEASE_S * US)

        return await self._crew.work(claim, self._look_safely)

    async def _look_safely(self, ident: str) -> None:
        """One that fails stops no other; it falls due again when its lease is over."""
        try:
            await self.look(ident)
        except Exception as wrong:  # noqa: BLE001 -- a purpose's defect: it comes again
            log.error("funding.refund_failed", refund=ident, reason=type(wrong).__name__)

    async def look(self, ident: str) -> None:
        """Send a refund, or ask what became of it; the same number is the same refund."""
        async with self._db.transaction() as conn:
            held, refund = await self._locked(conn, ident)
            if refund.state is not RefundState.UNKNOWN:
                return
            first = refund.sent_us is None
            if first:
                sent = replace(refund, sent_us=self._clock.now_us())
                await refunds_sql.update(conn, sent)
        said = await self._said(held, refund, first=first)
        async with self._db.transaction() as conn:
            held, refund = await self._locked(conn, ident)
            unsent = first and isinstance(said, Unreachable)
            await self.told(conn, held, refund, said, unsent=unsent)

    async def _said(self, held: Held, refund: FundingRefund, *, first: bool) -> RefundAnswer:
        channel = held.order.channel
        order = held.order.told(held.collection, self._channels.notify_url(channel))
        told = refund.told(held.collection.amount_fen)
        if first and refund.back is Back.LATE:
            gone = _gone_already(await self._channels.query(channel, order), refund)
            if gone is not None:
                return gone
        if not first:
            said = await self._channels.query_refund(channel, order, told)
            if not isinstance(said, NotThere):
                return said
        return await self._channels.refund(channel, order, told)

    async def find(self, conn: Conn, ident: str) -> tuple[Held, FundingRefund] | None:
        """A refund with its order, locked; None if there is none."""
        refund = await refunds_sql.get(conn, ident)
        return None if refund is None else await self._locked(conn, ident)

    async def _locked(self, conn: Conn, ident: str) -> tuple[Held, FundingRefund]:
        seen = await refunds_sql.get(conn, ident)
        assert seen is not None, "refunds are never deleted"
        held = await sql.lock_of_order(conn, seen.order)
        refund = await refunds_sql.get(conn, ident)
        assert held is not None and refund is not None
        return held, refund

    async def told(
        self,
        conn: Conn,
        held: Held,
        refund: FundingRefund,
        said: RefundAnswer,
        *,
        unsent: bool = False,
    ) -> None:
        """What a channel said about a refund; both are locked.

        `unsent`: it certainly never went out, so that it is sent next time, not asked about.
        """
        if refund.state is not RefundState.UNKNOWN:
            return
        now_us = self._clock.now_us()
        patience = self._steps.patience(held.collection.company)
        state = refund_state(said)
        refund = replace(
            refund,
            state=state,
            refusal=said.code[:FUNDS_CHARS] if isinstance(said, Refused) else None,
            sent_us=None if unsent else refund.sent_us,
            asked=refund.asked + 1,
            ask_us=None,
        )
        if state is RefundState.UNKNOWN:
            refund = replace(refund, ask_us=patience.refund_next_us(refund.asked, now_us))
            await refunds_sql.update(conn, refund)
            if patience.asking.pause_s(refund.asked) is None:
                await self._case(conn, held, refund, "funding.refund_unknown")
            return
        refund = replace(refund, done_us=now_us)
        await refunds_sql.update(conn, refund)
        if state is RefundState.REFUSED:
            await self._case(conn, held, refund, "funding.refund_refused")
        held = await self._move(conn, held, state)
        if refund.back is Back.ASKED:
            await self._steps.purpose(held).refunded(conn, refund)

    async def _move(self, conn: Conn, held: Held, state: RefundState) -> Held:
        """The order is refunded when all of it is back, and not when some of it is refused."""
        if held.order.state is not State.REFUNDING:
            return held
        if state is RefundState.REFUSED:
            return await self._steps.step(conn, held, Event.REFUND_REFUSED)
        done_fen = sum(
            refund.amount_fen
            for refund in await refunds_sql.of_collection(conn, held.collection.id)
            if refund.order == held.order.id
            and refund.back is not Back.SECOND
            and refund.state is RefundState.DONE
        )
        if done_fen >= held.collection.amount_fen:
            return await self._steps.step(conn, held, Event.REFUND_DONE)
        return held

    async def _case(self, conn: Conn, held: Held, refund: FundingRefund, kind: str) -> None:
        facts: dict[str, Fact] = {
            "refund": to_edge(REFUND, refund.id),
            "amount": refund.amount_fen,
        }
        if refund.refusal is not None:
            facts["refusal"] = refund.refusal
        await self._steps.open_case(conn, held, kind, refund.id, facts)


def _gone_already(said: Queried, refund: FundingRefund) -> RefundAnswer | None:
    """Whether money that came late has gone back: the notice of a payment can be slower than
    its cancellation. None: it is there, and is to be given back.
    """
    match said:
        case Paid() if not said.given_back:
            return None
        case Paid() | Closed() | Refused():
            return Refunded(refund.amount_fen)
        case Waiting() | NotThere() | Unknown():
            return Unreachable("the channel does not know it as paid")
        case Unreachable():
            return said
