"""Money on its way back to payers, and money that channels take back from us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
)
from kabao.funding.model.asking import US
from kabao.funding.model.collections import (
    AGAIN,
    HELD,
    MORE_THAN_COLLECTED,
    NOT_COLLECTED,
    REFUND,
    REFUND_NOT_OPEN,
    Back,
    Collection,
    FundingRefund,
    Held,
    gone_fen,
)
from kabao.funding.model.life import Event, RefundState, State, refund_state
from kabao.funding.ops import recalls
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.crew import LEASE_S, Crew
from kabao.funding.ops.steps import FUNDS_CHARS, RULE, Steps
from kabao.funding.sql import collections as sql
from kabao.funding.sql import refunds as refunds_sql

SENT_AGAIN = "sent_again"
"""Why a refund ended that another took the place of."""

ARRIVED = "arrived"
"""Why a refund was not sent: the one whose place it took has arrived."""

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
        ours = [one for one in earlier if one.order == held.order.id]
        rest_fen = held.collection.amount_fen - gone_fen(ours)
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
        whole_fen, paid_by = held.collection.amount_fen, held.order.channel_no or ""
        told = Recalled(key, paid_by, whole_fen if amount_fen is None else amount_fen, reason)
        known = await refunds_sql.of_order(conn, held.order.id)
        if any(recalls.is_of(refund, told) for refund in known):
            return held.collection
        if not paid_by or held.order.state not in (*HELD, State.REFUNDING):
            raise NOT_COLLECTED.error(rule=RULE)
        return (await self._steps.recall(conn, held, told)).collection

    async def recall_won_in(self, conn: Conn, ident: str, refund: str) -> None:
        """What a recall took is here again. See `Funding.recall_won_in`."""
        await recalls.won(conn, self._steps, await self._paid(conn, ident), refund)

    async def rest_fen(self, conn: Conn, ident: str) -> int:
        """What of a collection is here, and on no way back."""
        collection = await sql.get(conn, ident)
        assert collection is not None, "collections are never deleted"
        if collection.state not in HELD or collection.code is not None:
            return 0
        return collection.amount_fen - gone_fen(
            await refunds_sql.of_order(conn, collection.current)
        )

    async def again_in(self, conn: Conn, ident: str) -> FundingRefund:
        """Try one once more that did not arrive. See `Funding.refund_again_in`."""
        found = await self.find(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such refund.")
        held, refund = found
        refunds = await refunds_sql.of_order(conn, held.order.id)
        last = _latest(refund, refunds)
        if last is refund or last.state is RefundState.REFUSED:
            last = await self._in_place_of(conn, held, last, refunds)
        await recalls.settled(conn, self._steps, held)
        return last

    async def _in_place_of(
        self, conn: Conn, held: Held, refund: FundingRefund, refunds: Sequence[FundingRefund]
    ) -> FundingRefund:
        """Another refund with a number of its own, which banks take once, instead of one that was
        refused for good, that came back, or of late money that the channel does not tell is
        here: a person has looked. One whose outcome is unknown may arrive, and is never replaced.
        """
        doubtful = refund.state is RefundState.UNKNOWN and refund.back is Back.LATE
        if doubtful and refund.sent_us is None and refund.asked:
            ended = replace(refund, state=RefundState.REFUSED, ask_us=None, refusal=SENT_AGAIN)
            await refunds_sql.update(conn, replace(ended, done_us=self._clock.now_us()))
        elif refund.state is not RefundState.RETURNED and not _is_refused(held, refund, refunds):
            raise REFUND_NOT_OPEN.error(rule=RULE)
        key, fen, paid_by = AGAIN + refund.id, refund.amount_fen, refund.channel_no
        return await self._steps.write_refund(
            conn, held, refund.back, fen, paid_by, key, refund.reason
        )

    async def _was_looked_at(self, conn: Conn, refund: FundingRefund) -> bool:
        """Whether a person has said that money is here of which its channel tells otherwise."""
        while refund.is_again:
            before = await refunds_sql.get(conn, refund.key.removeprefix(AGAIN))
            assert before is not None, "refunds are never deleted"
            refund = before
            if refund.state is RefundState.RETURNED or refund.refusal == SENT_AGAIN:
                return True
        return False

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
            is_late = first and refund.back is Back.LATE
            looks = is_late and not await self._was_looked_at(conn, refund)
        said = await self._said(held, refund, first=first, looks=looks)
        async with self._db.transaction() as conn:
            held, refund = await self._locked(conn, ident)
            unsent = first and isinstance(said, Unreachable)
            await self.told(conn, held, refund, said, unsent=unsent)

    async def _said(
        self, held: Held, refund: FundingRefund, *, first: bool, looks: bool
    ) -> RefundAnswer:
        """`looks`: first, whether the money is there."""
        channel = held.order.channel
        order = held.order.told(held.collection, self._channels.notify_url(channel))
        told = refund.told(held.collection.amount_fen)
        if looks:
            said = await self._channels.query(channel, order)
            gone = _gone_already(said, refund, reverses=self._steps.reverses(held))
            if gone is not None:
                return gone
        if first:
            return await self._channels.refund(channel, order, told)
        answer = await self._channels.query_refund(channel, order, told)
        if not isinstance(answer, NotThere):
            return answer
        answer = await self._channels.refund(channel, order, told)
        patience = self._steps.patience(held.collection.company)
        if isinstance(answer, Refused) and patience.asking.pause_s(refund.asked) is not None:
            return Unknown(
                answer.code
            )  # the first may have been taken, and this one refused for it
        return answer

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
            await self._contradicted(conn, held, refund, said)
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
        if refund.is_told:
            await self._steps.purpose(held).refunded(conn, refund)
        await recalls.follow(conn, self._steps, held, refund)
        await recalls.settled(conn, self._steps, held)

    async def _contradicted(
        self, conn: Conn, held: Held, refund: FundingRefund, said: RefundAnswer
    ) -> None:
        """A channel says otherwise than it did: what had arrived came back, or what it had
        refused has arrived. A person looks at both.
        """
        if refund.back is Back.RECALLED:
            return
        if refund.state is RefundState.DONE and isinstance(said, Refused):
            refusal = said.code[:FUNDS_CHARS]
            refund = replace(refund, state=RefundState.RETURNED, refusal=refusal)
            await refunds_sql.update(conn, refund)
            await self._case(conn, held, refund, "funding.refund_returned")
            if refund.back is not Back.SECOND:
                await self._steps.step(conn, held, Event.REFUND_RETURNED)
        elif refund.state is RefundState.REFUSED and isinstance(said, Refunded):
            now_us = self._clock.now_us()
            refund = replace(refund, state=RefundState.DONE, refusal=None, done_us=now_us)
            await refunds_sql.update(conn, refund)
            await self._case(conn, held, refund, "funding.refund_contradicted")
            await self._not_again(conn, refund)
            held = await recalls.settled(conn, self._steps, held)
            if refund.is_told:  # the payer has the money, and what it was for: that is taken back
                purpose = self._steps.purpose(held)
                await purpose.recalled(conn, held.collection, refund)

    async def _not_again(self, conn: Conn, refund: FundingRefund) -> None:
        """It has arrived: what was to take its place is not sent, unless it was already."""
        last = _latest(refund, await refunds_sql.of_order(conn, refund.order))
        if last is not refund and last.state is RefundState.UNKNOWN and last.sent_us is None:
            ended = replace(last, state=RefundState.REFUSED, refusal=ARRIVED, ask_us=None)
            await refunds_sql.update(conn, replace(ended, done_us=self._clock.now_us()))

    async def _case(self, conn: Conn, held: Held, refund: FundingRefund, kind: str) -> None:
        facts: dict[str, Fact] = {
            "refund": to_edge(REFUND, refund.id),
            "amount": refund.amount_fen,
        }
        if refund.refusal is not None:
            facts["refusal"] = refund.refusal
        await self._steps.open_case(conn, held, kind, refund.id, facts)


def _latest(refund: FundingRefund, refunds: Sequence[FundingRefund]) -> FundingRefund:
    """What took the place of a refund, and of that, and so on."""
    after = {one.key: one for one in refunds}
    while (found := after.get(AGAIN + refund.id)) is not None:
        refund = found
    return refund


def _is_refused(held: Held, refund: FundingRefund, refunds: Sequence[FundingRefund]) -> bool:
    """Whether the other side has refused it for good, nobody above was told so, and its money
    is here still.
    """
    ours = {recalls.HELD_BACK, SENT_AGAIN, ARRIVED}
    refused = refund.state is RefundState.REFUSED and refund.refusal not in ours
    rest_fen = held.collection.amount_fen - gone_fen(refunds)
    here = refund.back is Back.SECOND or refund.amount_fen <= rest_fen
    return refused and here and refund.back is not Back.RECALLED and not refund.is_told


def _gone_already(said: Queried, refund: FundingRefund, *, reverses: bool) -> RefundAnswer | None:
    """Whether money that came late has gone back: the notice of a payment can be slower than
    its cancellation. None: it is there, and is to be given back.

    Some channels say of any part that it is gone. Only of a code that was cancelled it is
    known to be all of it; else nothing is sent, and in the end a person looks.
    """
    match said:
        case Paid() if not said.given_back:
            return None
        case Closed() if said.given_back or reverses:
            return Refunded(refund.amount_fen)
        case Paid() if reverses:
            return Refunded(refund.amount_fen)
        case Unreachable():
            return said
        case _:
            return Unreachable("the channel does not tell that it is there")
