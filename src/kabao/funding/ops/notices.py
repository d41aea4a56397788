"""Notifications: verified, taken once, answered in the channel's own way."""

from __future__ import annotations

from typing import assert_never

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, TOO_MANY
from kabao.base.ids import is_id, to_edge
from kabao.base.web.metrics import Counts
from kabao.cases.model import Fact, NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.answers import (
    Closed,
    Incoming,
    Notice,
    Paid,
    Recalled,
    Refunded,
    RefundNews,
    Rejected,
    Reply,
    Why,
    check,
)
from kabao.funding.model.asking import US
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.funding.model.collections import (
    HELD,
    ORDER,
    ChannelOrder,
    FundingRefund,
    Held,
    Outcome,
)
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.gate import Allowance, Gate
from kabao.funding.ops.refunding import Refunding
from kabao.funding.ops.steps import Steps
from kabao.funding.ports import Router
from kabao.funding.sql import collections as sql
from kabao.funding.sql import notices as notices_sql
from kabao.policy import names
from kabao.policy.model import Rules

TAKEN, REPLAYED, STRANGE, THROTTLED = "taken", "replayed", "unknown_order", "throttled"
"""What is said of a notification besides the reasons of `Why`."""

log = logs.get("funding")


class Notices:
    """What channels send by themselves."""

    def __init__(
        self,
        db: Database,
        channels: Channels,
        router: Router,
        steps: Steps,
        refunding: Refunding,
        cases: Cases,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._channels, self._router = db, channels, router
        self._steps, self._refunding, self._cases = steps, refunding, cases
        self._clock, self._days = clock, days
        self._gate = Gate()
        self.refused = Counts(
            "kabao_funding_notices_refused",
            "Notifications of payment channels that changed nothing.",
            ("channel", "why"),
        )

    async def notify(self, ident: str, incoming: Incoming) -> Reply:
        """Take a notification. See `Funding.notify`."""
        adapter = await self._channels.reached(ident)
        channel = self._channels.get(ident)
        if channel is None or adapter is None:
            raise NOT_FOUND.error("There is no such channel.")
        allowed = Allowance.of(self._national())
        if not self._gate.admits(ident, incoming.peer, allowed, self._clock.now_us()):
            self.refused.add(channel.name, THROTTLED)
            raise TOO_MANY.error(rule=allowed.row)
        said = adapter.read(incoming)
        if isinstance(said, Rejected) and said.order_no is None:
            self._gate.false(ident, incoming.peer)
            word: str = said.why  # anybody can send that: it does not touch the database
        else:
            self._gate.true(ident, incoming.peer)
            async with self._db.transaction() as conn:
                word = await self._said(conn, channel, said)
        if word != TAKEN:
            self.refused.add(channel.name, word)
            log.warning("funding.notice_refused", channel=channel.id, why=word)
        return adapter.reply(taken=word in (TAKEN, REPLAYED))

    async def _said(self, conn: Conn, channel: Channel, said: Notice | Rejected) -> str:
        if isinstance(said, Notice):
            return await self._take(conn, channel, said)
        return await self._reject(conn, channel, said)

    async def forget(self) -> int:
        """Drop old nonces; for a tick. Gives how many."""
        kept_us = self._national().int(names.FUNDING_NONCE_KEPT_MINUTES) * 60 * US
        async with self._db.transaction() as conn:
            return await notices_sql.forget_nonces(conn, self._clock.now_us() - kept_us)

    def _national(self) -> Rules:
        return self._steps.rules("")

    async def _take(self, conn: Conn, channel: Channel, notice: Notice) -> str:
        held, refund = await self._found(conn, notice)
        if held is None or held.order.channel != channel.id:
            # Well signed, and of nothing that we ask for: somebody else uses the account.
            await self._case(conn, channel, "funding.unknown_order", notice.order_no, None)
            return STRANGE
        told = check(notice, held.order.told(held.collection, ""))
        if refund is not None and _is_of_another_amount(notice.about, refund):
            told = Rejected(Why.WRONG_AMOUNT, held.order.id)
        if isinstance(told, Rejected):
            return await self._reject(conn, channel, told)
        if _tells_nothing_new(notice.about, held.order):
            return TAKEN
        now_us = self._clock.now_us()
        if notice.nonce is not None and not await notices_sql.take_nonce(
            conn, channel.id, notice.nonce, now_us
        ):
            return REPLAYED
        await self._apply(conn, held, notice)
        return TAKEN

    async def _found(self, conn: Conn, notice: Notice) -> tuple[Held | None, FundingRefund | None]:
        """The order a notice is about, locked, and the refund if it is about one."""
        if isinstance(notice.about, RefundNews):
            no = notice.about.no
            found = await self._refunding.find(conn, no) if is_id(no) else None
            return (None, None) if found is None else found
        no = notice.order_no
        return (await sql.lock_of_order(conn, no) if is_id(no) else None), None

    async def _apply(self, conn: Conn, held: Held, notice: Notice) -> None:
        about = notice.about
        match about:
            case Paid():
                first = held.order.open
                held = await self._steps.take(conn, held, about)
                if first:
                    self._router.tell(
                        held.order.channel,
                        Outcome.SUCCESS,
                        0,
                        sent_us=held.order.begun_us or held.order.created_us,
                        begins=False,
                    )
            case Closed():
                await self._steps.take(conn, held, about)
            case Recalled():
                await self._steps.recall(conn, held, about)
            case RefundNews():
                found = await self._refunding.find(conn, about.no)
                assert found is not None
                await self._refunding.told(conn, *found, about.answer)
            case _:
                assert_never(about)

    async def _reject(self, conn: Conn, channel: Channel, rejected: Rejected) -> str:
        """Change nothing. The signature held, so a person looks."""
        assert rejected.order_no is not None, "else nobody knows what it is about"
        await self._case(conn, channel, "funding.wrong_notice", rejected.order_no, rejected.why)
        return rejected.why.value

    async def _case(
        self, conn: Conn, channel: Channel, kind: str, order_no: str, why: Why | None
    ) -> None:
        held = await sql.held(conn, order_no) if is_id(order_no) else None
        facts: dict[str, Fact] = {"channel": to_edge(CHANNEL, channel.id)}
        if why is not None:
            facts["why"] = why.value
        if held is not None and held.order.channel == channel.id:
            await self._steps.open_case(conn, held, kind, f"{order_no}:{why}", facts)
            return
        # Numbers of orders that are not ours are anybody's: one case a day, however many come.
        shown = "".join(c for c in order_no if c.isalnum())[:64]
        day = self._days.of(self._clock.now_us())
        case = NewCase(
            kind=kind,
            subject=to_edge(CHANNEL, channel.id),
            company=channel.company,
            facts=facts | {"order": to_edge(ORDER, shown)},
            key=f"{channel.id}:{why}:{day}",
        )
        await self._cases.open_in(conn, case)


def _is_of_another_amount(about: object, refund: FundingRefund) -> bool:
    """Whether a refund is told to be done, and was for another sum than we asked for."""
    done = about.answer if isinstance(about, RefundNews) else None
    return isinstance(done, Refunded) and done.amount_fen != refund.amount_fen


def _tells_nothing_new(about: object, order: ChannelOrder) -> bool:
    """Whether it repeats the payment that an order is confirmed by: nothing is written then."""
    return (
        isinstance(about, Paid)
        and not about.given_back
        and order.state in HELD
        and order.channel_no == about.channel_no
    )
