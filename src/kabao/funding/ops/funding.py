"""The verbs of funding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.base.web.metrics import Counts
from kabao.cases.ops import Cases
from kabao.funding.model.answers import Incoming, Paid, Payer, Reply
from kabao.funding.model.bills import Matched
from kabao.funding.model.collections import Ask, ChannelOrder, Collection, FundingRefund, Shown
from kabao.funding.model.life import State
from kabao.funding.ops.billing import Billing
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.collecting import Collecting
from kabao.funding.ops.looking import Looking
from kabao.funding.ops.notices import Notices
from kabao.funding.ops.receiving import Receiving
from kabao.funding.ops.refunding import Refunding
from kabao.funding.ops.router import Router, RulesOf
from kabao.funding.ops.steps import Steps
from kabao.funding.ops.watch import Watch
from kabao.funding.ports import Claims, MakeChannel, Purpose
from kabao.funding.sql import bills as bills_sql
from kabao.funding.sql import collections as sql
from kabao.funding.sql import refunds as refunds_sql
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault


class Funding:
    """Money from outside, and back."""

    def __init__(
        self,
        db: Database,
        cases: Cases,
        vault: Vault,
        policy: Policy,
        org: Org,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        *,
        makers: Mapping[str, MakeChannel],
        direct: AbstractSet[str],
        rules_of: RulesOf,
        notify_base: str,
    ) -> None:
        """Bind the collaborators.

        Args:
            makers: how the adapter of each kind of channel is made.
            direct: the kinds at which banks take money directly (T-09).
            rules_of: what holds for a programme on a day.
            notify_base: where channels reach us, such as `https://pay.example.com`.
        """
        self._vault = vault
        self.channels = Channels(db, vault, policy, makers, ids, clock, days, notify_base)
        self.watch = Watch(db, self.channels, cases, policy, ids, clock, days)
        self.router = Router(db, self.channels, self.watch, rules_of, direct, ids, clock, days)
        self._steps = Steps(self.channels, cases, vault, policy, org, ids, clock, days)
        self._collecting = Collecting(db, self.channels, self.router, self._steps, ids, clock, days)
        self._looking = Looking(db, self.channels, self.router, self._steps, clock)
        self._refunding = Refunding(db, self.channels, self._steps, clock)
        self._receiving = Receiving(db, self.channels, self._steps, cases, vault, ids, clock, days)
        self.billing = Billing(
            db,
            self.channels,
            self._steps,
            self._looking,
            self._refunding,
            cases,
            clock,
            days,
        )
        self._notices = Notices(
            db, self.channels, self.router, self._steps, self._refunding, cases, clock, days
        )

    @property
    def refused(self) -> Counts:
        """Notifications that changed nothing, by channel and why."""
        return self._notices.refused

    def serve(self, name: str, purpose: Purpose) -> None:
        """From now on whoever asks in this name is told what becomes of it."""
        self._steps.serve(name, purpose)

    def ask_also(self, claims: Claims) -> None:
        """From now on they are asked about money at banks that is for no order."""
        self._receiving.ask_also(claims)

    async def refresh(self) -> None:
        """Follow what other processes did to channels, and tell them how channels did."""
        await self.channels.refresh()
        await self.watch.refresh()
        await self.router.hand_on()

    # Money in

    async def open_in(self, conn: Conn, ask: Ask) -> Collection:
        """Write down what is to be collected, in the caller's transaction.

        After the commit `begin` asks the channel. Raises `channel_not_configured`,
        `channel_not_available`, `channel_limit_exceeded`, `source_not_allowed`.
        """
        return await self._collecting.open_in(conn, ask)

    async def begin(self, collection: str, payer: Payer) -> Shown:
        """Ask the channel for the money, outside of any transaction.

        A channel that refuses, cannot be reached or does not answer before the payer was
        shown anything is passed by for the next one (S-16). Called again it gives what was
        shown before, or asks again for the same order; a payer's code is sent once only.
        """
        return await self._collecting.begin(collection, payer)

    async def ask(self, collection: str) -> Collection:
        """Ask the channel now what became of it. Raises `not_found`."""
        return await self._looking.ask(collection)

    async def cancel(self, collection: str) -> Collection:
        """Want it no more. Raises `not_found`.

        It is not over before the channel has said so; look at the state of what comes back.
        An order that was paid in the meantime is confirmed. A code that was scanned is
        cancelled 15 s after it was at the earliest, and what it paid goes back with that.
        """
        return await self._looking.cancel(collection)

    def payer_key(self, kind: str, paid: Paid) -> bytes | None:
        """By which payments of one payer are found at channels of a kind, keyed so that nobody
        reads it back; None where the channel does not tell payers apart.
        """
        if not paid.payer_id:
            return None
        return self._vault.blind_index("funding.payer", f"{kind}:{paid.payer_id}")

    async def notify(self, channel: str, incoming: Incoming) -> Reply:
        """Take a notification of a channel and answer in its way.

        Raises `not_found` for a channel there is not, `too_many_requests` for whoever sends
        too much that is false, `unavailable` where it should be sent again.
        """
        return await self._notices.notify(channel, incoming)

    # Money back

    async def refund_in(
        self, conn: Conn, collection: str, amount_fen: int, *, key: str, reason: str
    ) -> FundingRefund:
        """Write down that part or all goes back; a job sends it, `Purpose.refunded` tells.

        Call it before the card is locked: a step locks the collection first, then the
        card. The same key again is the same refund. `reason` is what the payer reads.
        Raises `not_found`, `not_collected`, `more_than_collected`, `idempotency_key_reused`.
        """
        return await self._refunding.refund_in(conn, collection, amount_fen, key=key, reason=reason)

    async def refund_again_in(self, conn: Conn, refund: str) -> FundingRefund:
        """Send money back once more that did not arrive.

        What came late or twice and was refused, what came back to us after it had arrived, and
        late money of which the channel does not tell that it is here, gets a new refund with a
        number of its own in its place. A refund that was asked for and refused is not touched:
        whoever asked was told, and asks anew. Raises `not_found`, `refund_not_open`.
        """
        return await self._refunding.again_in(conn, refund)

    async def recall_in(
        self, conn: Conn, collection: str, amount_fen: int | None, *, key: str, reason: str
    ) -> Collection:
        """Book that a channel took back what it had paid; None: all of it.

        Refunds that were not sent yet are held back; what a recall takes beyond what is left
        waits for those that were. Raises `not_found`, `not_collected`.
        """
        return await self._refunding.recall_in(conn, collection, amount_fen, key=key, reason=reason)

    async def recall_won_in(self, conn: Conn, collection: str, refund: str) -> None:
        """Book that what a recall took came back to us, so that it may be refunded.

        `refund`: what `Purpose.recalled` was told. Call it before the card is locked.
        Raises `not_found`.
        """
        await self._refunding.recall_won_in(conn, collection, refund)

    async def rest_fen(self, conn: Conn, collection: str) -> int:
        """How much of a collection may go back to its payer: what came, and neither went nor
        is on its way.
        """
        return await self._refunding.rest_fen(conn, collection)

    async def account_name(self, conn: Conn, collection: str) -> str | None:
        """In whose name the account is that paid, and that a refund goes to; personal data.
        None where the channel tells no name. Raises `not_found`.
        """
        return await self._steps.account_name(conn, (await self.get(conn, collection)).current)

    # Ticks

    async def look(self) -> int:
        """Ask about every order that is due."""
        return await self._looking.due()

    async def send_refunds(self) -> int:
        """Send and ask about every refund that is due."""
        return await self._refunding.due()

    async def receive(self) -> int:
        """See what came to our bank accounts: for an order, or nobody's and a case."""
        return await self._receiving.look()

    async def forget_nonces(self) -> int:
        """Drop nonces that are too old to come again."""
        return await self._notices.forget()

    async def settle_shares(self) -> None:
        """Give back what unpaid orders took of the daily limits of channels."""
        await self.router.settle_shares()

    async def forget_minutes(self) -> None:
        """Drop figures of channels, and refused choices, that nobody looks at any more."""
        await self.watch.forget()
        await self.router.forget_refused()

    # Reading

    async def get(self, conn: Conn, ident: str) -> Collection:
        """A collection as it is. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such collection.")
        return found

    async def orders(self, conn: Conn, ident: str) -> list[ChannelOrder]:
        """The orders of a collection, first to last."""
        return await sql.orders_of(conn, ident)

    async def refunds(self, conn: Conn, ident: str) -> list[FundingRefund]:
        """What went back of a collection, or goes, oldest first."""
        return await refunds_sql.of_collection(conn, ident)

    async def bills(
        self, conn: Conn, channel: str, *, before: date | None = None, limit: int = 50
    ) -> list[Matched]:
        """A channel's bills, newest first."""
        return await bills_sql.of_channel(conn, channel, before, limit)

    async def search(
        self,
        conn: Conn,
        *,
        companies: Sequence[str] | None,
        stores: Sequence[str] | None,
        subject: str | None = None,
        state: State | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Collection]:
        """Collections, newest first; None: not filtered."""
        return await sql.search(
            conn,
            companies=companies,
            stores=stores,
            subject=subject,
            state=state,
            before=before,
            limit=limit,
        )
