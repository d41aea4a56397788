"""One step of an order: what an answer or a notice does to it, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import UNAVAILABLE, KabaoError, Kind
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.answers import (
    TRANSFERRED,
    Created,
    Paid,
    Queried,
    Recalled,
    Refused,
    Scene,
    Unknown,
    Waiting,
)
from kabao.funding.model.asking import Patience
from kabao.funding.model.collections import (
    CANCELLED,
    COLLECTION,
    EXPIRED,
    OPEN,
    ORDER,
    PAYMENT_REFUSED,
    TAKEN_BACK,
    Back,
    FundingRefund,
    Held,
)
from kabao.funding.model.life import (
    Asking,
    CounterRule,
    Effect,
    Event,
    RefundState,
    State,
    event_of,
    step,
)
from kabao.funding.ops import recalls
from kabao.funding.ops.channels import Channels
from kabao.funding.ports import Purpose
from kabao.funding.sql import collections as sql
from kabao.funding.sql import refunds as refunds_sql
from kabao.org.ops import Org
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

FUNDS_CHARS = 64
PAYER = "funding.channel_order", "payer"
"""Where the payer is sealed."""
RULE = "T-20"

_TRANSIENT = frozenset({Kind.UNAVAILABLE, Kind.IN_DOUBT, Kind.INTERNAL})
"""Refusals that say nothing about the money: the step is undone and comes again."""


class Steps:
    """Moves orders. Every method takes an order that is locked with its collection."""

    def __init__(
        self,
        channels: Channels,
        cases: Cases,
        vault: Vault,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._channels = channels
        self._cases, self._vault, self._policy, self._org = cases, vault, policy, org
        self._ids, self._clock, self._days = ids, clock, days
        self._purposes: dict[str, Purpose] = {}

    def serve(self, name: str, purpose: Purpose) -> None:
        """From now on collections for this purpose are told to it."""
        self._purposes[name] = purpose

    def serves(self, name: str) -> bool:
        """Whether somebody is told of this purpose."""
        return name in self._purposes

    def purpose(self, held: Held) -> Purpose:
        """Who is told of a collection."""
        return self._purposes[held.collection.purpose]

    # Policy

    def rules(self, company: str) -> Rules:
        """What holds today where a company is at home."""
        found = self._org.company(company)
        today = self._days.of(self._clock.now_us())
        jurisdiction = "national" if found is None else found.jurisdiction
        return self._policy.rules(jurisdiction=jurisdiction, on=today)

    def patience(self, company: str) -> Patience:
        """How a company's orders are asked about."""
        rules = self.rules(company)
        return Patience(
            Asking(
                rules.int(names.FUNDING_ASK_FIRST_SECONDS),
                rules.int(names.FUNDING_ASK_GROWTH_COUNT),
                rules.int(names.FUNDING_ASK_LONGEST_SECONDS),
                rules.int(names.FUNDING_ASK_MAX_COUNT),
            ),
            CounterRule(
                rules.int(names.FUNDING_COUNTER_ASK_AFTER_SECONDS),
                rules.int(names.FUNDING_COUNTER_ASK_EVERY_SECONDS),
                rules.int(names.FUNDING_COUNTER_ASK_UNTIL_SECONDS),
                rules.int(names.FUNDING_COUNTER_NO_CANCEL_SECONDS),
                rules.int(names.FUNDING_COUNTER_CANCEL_COUNT),
            ),
            rules.int(names.FUNDING_ASK_POLL_SECONDS),
            rules.int(names.FUNDING_ASK_LAST_LOOK_SECONDS),
        )

    # Steps

    async def take(self, conn: Conn, held: Held, said: Created | Queried) -> Held:
        """What a channel said about an order."""
        if isinstance(said, Paid) and not said.given_back and self._is_being_reversed(held):
            said = Unknown("it was paid, and is being cancelled")
        over = self.patience(held.collection.company).over(held, self._clock.now_us())
        event = event_of(said, paid_by=held.order.channel_no, over=over)
        return await self.step(conn, held, event, said)

    def _is_being_reversed(self, held: Held) -> bool:
        """Whether a channel was asked, or will be, to pay back what a cancelled code paid."""
        keeps = self.patience(held.collection.company).keeps_reversing(held)
        return held.order.open and keeps and self._is_cancelled_code(held)

    def _is_cancelled_code(self, held: Held) -> bool:
        """Whether what was paid is going back, and never to the purpose."""
        return not held.collection.wanted and self.reverses(held)

    def reverses(self, held: Held) -> bool:
        """Whether a channel pays back what was paid when it ends such an order."""
        scene = held.collection.scene
        if scene is not Scene.CODE:
            return False
        adapter = self._channels.adapter(held.order.channel)
        return adapter is None or scene in adapter.capabilities.reverses_paid

    async def step(
        self, conn: Conn, held: Held, event: Event, said: Created | Queried | Recalled | None = None
    ) -> Held:
        """What an event does to an order, with all its effects; `said` is what told it."""
        before = held.order.state
        to = step(before, event)
        order = replace(held.order, state=to.state)
        if isinstance(said, Waiting) and said.show is not None and order.open:
            order = replace(order, shown=_shown(said))
        if isinstance(said, Refused) and to.state is State.FAILED:
            order = replace(order, refusal=said.code[:FUNDS_CHARS])
        if isinstance(said, Paid) and order.channel_no is None:
            order = replace(
                order,
                channel_no=said.channel_no,
                paid_us=said.paid_us,
                funds=said.funds[:FUNDS_CHARS],
            )
            await self._keep_payer(conn, order.id, said)
        if to.state is not before and not (order.open and held.collection.scene is Scene.CODE):
            order = replace(order, asked=0)
        held = await self.store(conn, Held(held.collection, order))
        return await self._bring_about(conn, held, before, to.effect, event, said)

    async def store(self, conn: Conn, held: Held) -> Held:
        """Write an order and what its collection shows of it."""
        order, collection, now_us = held.order, held.collection, self._clock.now_us()
        patience = self.patience(collection.company)
        next_us = patience.next_us if order.open else patience.last_us
        order = replace(order, ask_us=next_us(held, now_us))
        if held.is_current:
            collection = replace(collection, state=order.state)
            await sql.update(conn, collection)
        await sql.update_order(conn, order)
        return Held(collection, order)

    async def _bring_about(
        self,
        conn: Conn,
        held: Held,
        before: State,
        effect: Effect,
        event: Event,
        said: Created | Queried | Recalled | None,
    ) -> Held:
        match effect:
            case Effect.CONFIRM:
                assert isinstance(said, Paid)
                return await self._confirm(conn, held, said)
            case Effect.GIVE_UP:
                return await self.give_up(conn, held, *self._why(held, event))
            case Effect.GIVE_BACK:
                await self.give_back(conn, held, Back.LATE)
            case Effect.GIVE_BACK_SECOND:
                assert isinstance(said, Paid)
                await self._give_back_second(conn, held, said)
            case Effect.CASE:
                return await self._impossible(conn, held, before, event)
            case Effect.RECALL:
                return await recalls.book(conn, self, held, said)
            case Effect.NONE | Effect.ASK:
                pass  # it is asked when `ask_us` comes
        return held

    async def _confirm(self, conn: Conn, held: Held, paid: Paid) -> Held:
        """Call the purpose; what it cannot use goes back."""
        collection = held.collection
        if collection.settled or not held.is_current:
            return await self._return(conn, held)
        if self._is_cancelled_code(held):  # the channel could not, or would not, reverse it
            held = await self._return(conn, held)
            return await self.give_up(conn, held, CANCELLED.name, RULE)
        try:
            async with conn.transaction():
                await self.purpose(held).confirmed(conn, collection, paid)
        except KabaoError as refused:
            if refused.code.kind in _TRANSIENT:
                raise
            held = await self._return(conn, held)
            return await self.give_up(conn, held, refused.code.name, refused.rule)
        collection = replace(collection, settled=True)
        await sql.update(conn, collection)
        return Held(collection, held.order)

    async def _return(self, conn: Conn, held: Held) -> Held:
        """All of a payment that was just confirmed goes back."""
        held = await self.step(conn, held, Event.REFUND_BEGUN)
        await self.give_back(conn, held, Back.LATE)
        return held

    async def give_up(self, conn: Conn, held: Held, code: str, rule: str | None) -> Held:
        """Tell the purpose, once, that nothing comes."""
        if held.collection.settled or not held.is_current:
            return held
        collection = replace(held.collection, settled=True, code=code, rule=rule)
        await sql.update(conn, collection)
        await self.purpose(held).given_up(conn, collection, code, rule)
        return Held(collection, held.order)

    async def give_back(self, conn: Conn, held: Held, back: Back) -> None:
        """Write down that all of an order goes back; a job sends it."""
        channel_no = held.order.channel_no
        assert channel_no is not None, "paid by something"
        key, fen = f"late:{held.order.id}", held.collection.amount_fen
        await self.write_refund(conn, held, back, fen, channel_no, key, "未能入账，原路退回")

    async def _give_back_second(self, conn: Conn, held: Held, paid: Paid) -> None:
        key = f"second:{paid.channel_no}"
        earlier = await refunds_sql.of_collection(conn, held.collection.id)
        if any(refund.key == key for refund in earlier):
            return
        fen = paid.amount_fen
        reason = "重复支付，原路退回"
        await self.write_refund(conn, held, Back.SECOND, fen, paid.channel_no, key, reason)

    async def write_refund(
        self,
        conn: Conn,
        held: Held,
        back: Back,
        amount_fen: int,
        channel_no: str,
        key: str,
        reason: str,
    ) -> FundingRefund:
        """A new refund, due at once; what is recalled is not to be sent."""
        now_us = self._clock.now_us()
        refund = FundingRefund(
            id=self._ids.new(),
            collection=held.collection.id,
            order=held.order.id,
            back=back,
            amount_fen=amount_fen,
            channel_no=channel_no,
            state=RefundState.UNKNOWN,
            key=key,
            reason=reason,
            refusal=None,
            sent_us=None,
            ask_us=None if back is Back.RECALLED else now_us,
            asked=0,
            created_us=now_us,
            done_us=None,
        )
        await refunds_sql.insert(conn, refund)
        return refund

    async def recall(self, conn: Conn, held: Held, told: Recalled) -> Held:
        """The channel takes back what it had paid us, all or part; told again, it is nothing.

        Raises `unavailable` before the payment itself is known: it is to be told again then.
        """
        if held.order.open:
            raise UNAVAILABLE.error("The payment that is recalled is being asked for.")
        return await recalls.take(conn, self, held, told)

    def now_us(self) -> int:
        """The moment of a step."""
        return self._clock.now_us()

    async def _impossible(self, conn: Conn, held: Held, before: State, event: Event) -> Held:
        """What the table calls a case; some of them end a collection as well."""
        if event is Event.REFUND_REFUSED:
            return held  # its own case tells more
        came_and_went = event is Event.RECALLED and before in OPEN
        if not (came_and_went and not held.collection.wanted):
            facts = {"event": event.value, "state": before.value}
            key = f"{held.order.id}:{event.value}:{before.value}"
            await self.open_case(conn, held, "funding.impossible", key, facts)
        if came_and_went:
            return await self.give_up(conn, held, TAKEN_BACK.name, RULE)
        return held

    async def open_case(
        self, conn: Conn, held: Held, kind: str, key: str, facts: Mapping[str, Fact]
    ) -> None:
        """Have a person look at a collection."""
        collection = held.collection
        case = NewCase(
            kind=kind,
            subject=to_edge(COLLECTION, collection.id),
            company=collection.company,
            store=collection.store,
            facts={"order": to_edge(ORDER, held.order.id), **facts},
            key=key,
        )
        await self._cases.open_in(conn, case)

    async def _keep_payer(self, conn: Conn, order: str, paid: Paid) -> None:
        if paid.payer:
            sealed = self._vault.encrypt(*PAYER, order, paid.payer.encode())
            await sql.set_payer(conn, order, sealed)

    async def account_name(self, conn: Conn, ident: str) -> str | None:
        """In whose name the account is that paid an order. See `Funding.account_name`."""
        order, sealed = await sql.get_order(conn, ident), await sql.payer(conn, ident)
        if order is None or sealed is None or order.funds != TRANSFERRED:
            return None
        return self._vault.decrypt(*PAYER, ident, sealed).decode()

    def _why(self, held: Held, event: Event) -> tuple[str, str]:
        if not held.collection.wanted:
            return CANCELLED.name, RULE
        if event is Event.CLOSED:
            return EXPIRED.name, RULE
        return PAYMENT_REFUSED.name, "S-16"


def _shown(waiting: Waiting) -> str:
    return msgspec.json.encode(waiting).decode()
