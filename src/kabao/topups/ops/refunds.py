"""Money of a top-up that goes back to its payer (ruling 18)."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import msgspec

from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.cards.model import APPROVAL_NEEDED
from kabao.cards.ops import Cards
from kabao.customers.ops import Customers
from kabao.funding.model.collections import FundingRefund
from kabao.funding.model.life import RefundState as ChannelState
from kabao.funding.ops import Funding
from kabao.ledger.lots import LotLeft, Order
from kabao.ledger.model import Act, Dimensions
from kabao.ledger.ops import Ledger
from kabao.policy import names
from kabao.policy.choices import Valuation
from kabao.policy.model import Rules
from kabao.topups import sql
from kabao.topups.model import Status, TopUp, going
from kabao.topups.model.going import Writers
from kabao.topups.model.recalls import left_of as left_in
from kabao.topups.model.refunding import (
    ANOTHER_NAME,
    CASH_NOT_REFUNDED,
    NOT_REFUNDABLE,
    REFUND_TOO_LARGE,
    Fault,
    Left,
    RefundState,
    TopUpRefund,
    refundable,
    share,
)
from kabao.topups.model.undoing import left_of
from kabao.topups.ops.terms import TermsOf
from kabao.topups.sql import back as back_sql
from kabao.topups.sql import bonus as bonus_sql

WRITERS = Writers(sql.update_topups, bonus_sql.take_back, back_sql.store_refunds)


class AskRefund(msgspec.Struct, frozen=True):
    """What somebody wants back."""

    amount_fen: int | None
    """None: all that may go back."""
    fault: Fault
    reason: str
    """What the payer reads."""
    approved: bool = False
    """Whether a second person has agreed."""


class Refunds:
    """Refunds of top-ups that came through channels."""

    def __init__(
        self,
        ledger: Ledger,
        cards: Cards,
        customers: Customers,
        funding: Funding,
        terms: TermsOf,
        ids: Ids,
    ) -> None:
        self._ledger, self._cards, self._customers = ledger, cards, customers
        self._funding, self._terms, self._ids = funding, terms, ids

    async def most(self, conn: Conn, topup: TopUp, fault: Fault) -> int:
        """How much of a top-up may go back now, in fen."""
        if topup.status != Status.CONFIRMED or topup.collection is None:
            return 0
        rules = await self._rules(conn, topup)
        left = await self._left(conn, topup, rules)
        here_fen = await self._funding.rest_fen(conn, topup.collection)
        return min(refundable(left, _valuation(rules, fault)), here_fen)

    async def ask_in(self, conn: Conn, ident: str, ask: AskRefund) -> TopUpRefund:
        """Set aside what is to go back, and have the channel asked for it by a job.

        Raises `topup_was_cash`, `topup_not_refundable`, `topup_refund_too_large`,
        `topup_card_stopped`, `topup_value_held`, `refund_to_another_name`, and what
        `Funding.refund_in` raises. Large ones that nobody else has agreed to: `approval_needed`.
        """
        topup = (await sql.load(conn, [ident]))[ident]
        collection = topup.collection
        if collection is None:
            raise CASH_NOT_REFUNDED.error(rule="ruling 18")
        await self._check_name(conn, topup, collection)
        wanted = ask.amount_fen
        if wanted is None:
            wanted = await self.most(conn, topup, ask.fault)
        refund_id = self._ids.new()
        if not wanted:
            raise NOT_REFUNDABLE.error(rule="CR-24")
        # The collection is locked before the card, as in every step of it.
        sent = await self._funding.refund_in(
            conn, collection, wanted, key=refund_id, reason=ask.reason
        )
        await self._ledger.lock(conn, [topup.root])
        topup = (await sql.load(conn, [ident]))[ident]
        rules = await self._rules(conn, topup)
        left = await self._left(conn, topup, rules)
        here_fen = wanted + await self._funding.rest_fen(conn, collection)
        most = min(refundable(left, _valuation(rules, ask.fault)), here_fen)
        if topup.status != Status.CONFIRMED or not most:
            raise NOT_REFUNDABLE.error(rule="CR-24")
        if wanted > most:
            raise REFUND_TOO_LARGE.error(
                f"At most {most} fen may go back.", rule="CR-24", field="amount"
            )
        if not ask.approved:
            _check_alone(rules, topup.refunded_fen + wanted)
        back = share(left, wanted, most)
        refund = TopUpRefund(
            id=refund_id,
            topup=ident,
            root=topup.root,
            amount_fen=back.amount_fen,
            kept_fen=back.kept_fen,
            clawed_fen=back.clawed_fen,
            from_bonus_fen=back.from_bonus_fen,
            state=RefundState.PENDING,
            fault=ask.fault,
            reason=ask.reason,
            funding=sent.id,
            refusal=None,
            created_us=0,
            done_us=None,
        )
        run = partial(going.begin, topup, refund, WRITERS, whole=wanted == most)
        begun: TopUpRefund = await self._play(conn, topup, refund_id, run)
        return begun

    async def told(self, conn: Conn, sent: FundingRefund) -> None:
        """The channel has given it back, or refuses to; the collection is locked."""
        refund = await back_sql.by_funding(conn, sent.id)
        assert refund is not None, "a channel's refund without ours"
        await self._ledger.lock(conn, [refund.root])
        topup = (await sql.load(conn, [refund.topup]))[refund.topup]
        run: Any = partial(going.refused, topup, refund, sent.refusal, WRITERS)
        if sent.state == ChannelState.DONE:
            rules = await self._rules(conn, topup)
            others = await back_sql.refunds_of(conn, topup.id)
            last = all(o.id == refund.id or o.state != RefundState.PENDING for o in others)
            run = partial(going.done, topup, refund, WRITERS, rules, last=last)
        await self._play(conn, topup, self._ids.new(), run)

    async def of(self, conn: Conn, topup: str) -> list[TopUpRefund]:
        """Refunds of a top-up, oldest first."""
        return await back_sql.refunds_of(conn, topup)

    async def collector(self, conn: Conn, topup: TopUp) -> str:
        """The company whose money goes back."""
        assert topup.collection is not None, "cash is not collected"
        return (await self._funding.get(conn, topup.collection)).company

    async def _check_name(self, conn: Conn, topup: TopUp, collection: str) -> None:
        """Money that somebody named has paid leaves only for an account in their name (CR-91)."""
        if topup.payer is None:
            return
        account = await self._funding.account_name(conn, collection)
        if account and not (await self._customers.get(conn, topup.payer)).is_called(account):
            raise ANOTHER_NAME.error(rule="CR-91")

    async def _rules(self, conn: Conn, topup: TopUp) -> Rules:
        root = await self._ledger.root(conn, topup.root)
        assert root is not None, "a top-up without a root"
        programme = await self._cards.find_programme(conn, root.programme)
        return self._cards.rules_of(programme, self._terms.today)

    async def _left(self, conn: Conn, topup: TopUp, rules: Rules) -> Left:
        lot = await self._lot(conn, topup, rules)
        return left_in(topup, lot, await back_sql.recalls_of(conn, topup.id))

    async def _lot(self, conn: Conn, topup: TopUp, rules: Rules) -> LotLeft | None:
        order = cast("Order", rules.text(names.CARD_LOT_ORDER))
        return left_of(await self._ledger.lots(conn, topup.root, order), topup.id)

    async def _play(self, conn: Conn, topup: TopUp, operation: str, run: Any) -> Any:
        dims = Dimensions(selling_store=topup.store, channel=topup.channel)
        act = Act(company=topup.company, operation=operation, root=topup.root, run=run, dims=dims)
        return (await self._ledger.post_in(conn, [act]))[0]


def _check_alone(rules: Rules, refunded_fen: int) -> None:
    """From a sum on a refund takes two persons; with those before, else it would be done in
    pieces. Raises `approval_needed`.
    """
    name = names.APPROVAL_TOPUP_REFUND_FROM_FEN
    if refunded_fen >= rules.int(name):
        raise APPROVAL_NEEDED.error(rule=rules.row(name), field="amount")


def _valuation(rules: Rules, fault: Fault) -> Valuation:
    """At which price redeemed value counts (CR-24)."""
    name = (
        names.CARD_RETURN_VALUATION_ISSUER
        if fault == Fault.ISSUER
        else names.CARD_RETURN_VALUATION_CONSUMER
    )
    return Valuation(rules.text(name))
