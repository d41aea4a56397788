"""Reading payments, and the terms under which one may be made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, ids_of_day
from kabao.cards.limits import balance_limit
from kabao.cards.model import Programme, Resolved
from kabao.cards.ops import Cards
from kabao.ledger.model import OperationState
from kabao.ledger.ops import Ledger
from kabao.org.model import ACCEPTANCE_RULE, STORE_OUTSIDE_GROUP
from kabao.org.ops import Org
from kabao.payments import sql
from kabao.payments.model import Ask, Decline, Limits, Payment, Place, Refund
from kabao.payments.pay import Terms
from kabao.payments.rules import No
from kabao.policy import names
from kabao.policy.choices import RefundOrder, RiskAction, SpendOrder, Switch, VoidWindow
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

TERMS_US = 200_000
"""How long what the snapshots say of a programme in a store is remembered."""

US_PER_MINUTE = 60_000_000
US_PER_DAY = 24 * 60 * US_PER_MINUTE


class Reading:
    """Payments as they are, and what holds for the next one."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._ledger, self._cards, self._org = db, ledger, cards, org
        self._policy, self._clock, self._days, self._ids = policy, clock, days, ids
        self._limits: dict[tuple[str, int, date], Limits] = {}
        self._terms_known: dict[tuple[str, str], Terms] = {}
        self._terms_from_us = 0

    async def get(self, conn: Conn, ident: str) -> Payment:
        """A payment. Raises `not_found`."""
        found = (await sql.load(conn, [ident])).get(ident)
        if found is None:
            raise NOT_FOUND.error("There is no such payment.")
        return found

    async def was_done(self, ask: Ask) -> bool:
        """Whether this was asked and done before: its answer is only repeated."""
        async with self._db.read() as conn:
            known = await self._ledger.operation(conn, ask.company, ask.key)
        return known is not None and known.state == OperationState.ANSWERED

    async def many(self, conn: Conn, wanted: Sequence[str]) -> dict[str, Payment]:
        """Payments by id; unknown ones are absent."""
        return await sql.load(conn, wanted)

    async def payment_of(self, conn: Conn, ident: str) -> str | None:
        """The payment that a refund or a reversal was for; None for anything else."""
        return await sql.payment_of(conn, ident)

    async def refunds(
        self, conn: Conn, ident: str, *, after: str | None = None, limit: int = 50
    ) -> list[Refund]:
        """A payment's refunds, oldest first."""
        return await sql.refunds_of(conn, ident, after, limit)

    async def between(self, conn: Conn, first: str, last: str) -> list[Payment]:
        """Payments by a span of ids: slips name them by the front of an id."""
        return await sql.between(conn, first, last)

    async def search(
        self,
        conn: Conn,
        *,
        stores: Sequence[str] | None,
        reference: str | None = None,
        terminal: str | None = None,
        day: date | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Payment]:
        """Payments by reference, terminal or business day, newest first; `stores` None: of
        every store. References have an index, terminals and stores none: without a
        reference it is one day, today's if none is named.
        """
        if day is None and reference is None:
            day = self._days.of(self._clock.now_us())
        span = (day, *ids_of_day(self._days, day)) if day is not None else None
        return await sql.search(conn, stores, reference, terminal, span, before, limit)

    # Policy

    def terms(self, card: Resolved | None, place: Place) -> Terms | None:
        """What holds for a card in a store, from the snapshots, which themselves
        follow the database: worth remembering for a moment.
        """
        if card is None:
            return None
        now_us = self._clock.now_us()
        if not self._terms_from_us <= now_us < self._terms_from_us + TERMS_US:
            self._terms_known, self._terms_from_us = {}, now_us
        known = self._terms_known.get((card.programme, place.store))
        if known is None:
            programme = self._cards.programme(card.programme)
            assert programme is not None, "a card without a programme"
            stopped = self._policy.switched_off(
                Switch.STOP_PAY, programme=programme.id, company=programme.issuer
            )
            known = Terms(self.limits(card.programme), self._at_store(card, place), stopped)
            self._terms_known[card.programme, place.store] = known
        return known

    def refuses(self, programme: Programme, store: str) -> bool:
        """Whether no card of a programme may pay in a store now, as of the snapshots."""
        stopped = self._policy.switched_off(
            Switch.STOP_PAY, programme=programme.id, company=programme.issuer
        )
        return stopped is not None or self._org.refusal(programme.issuer, store) is not None

    def _at_store(self, card: Resolved, place: Place) -> No | None:
        """Why a store may not take the card, if it may not (ruling 11)."""
        refused = self._org.refusal(card.issuer, place.store)
        if refused is None:
            return None
        if refused is STORE_OUTSIDE_GROUP:
            return No(Decline.STORE_OUTSIDE_GROUP, ACCEPTANCE_RULE)
        return No(Decline.STORE_CLOSED)

    async def _limits_of(self, payment: Payment) -> Limits | None:
        """None for a payment of a card that nobody knows."""
        if payment.root is None:
            return None
        async with self._db.read() as conn:
            return await self._limits_in(conn, payment)

    async def _limits_in(self, conn: Conn, payment: Payment) -> Limits | None:
        if payment.root is None:
            return None
        root = await self._ledger.root(conn, payment.root)
        assert root is not None, "a payment without its root"
        programme = self._cards.programme(root.programme)
        if programme is None:  # made a moment ago by another process
            programme = await self._cards.find_programme(conn, root.programme)
        return self._limits_for(programme)

    def limits(self, programme_id: str) -> Limits:
        """What policy says today for a programme; remembered for the day."""
        programme = self._cards.programme(programme_id)
        assert programme is not None, "a card without a programme"
        return self._limits_for(programme)

    def _limits_for(self, programme: Programme) -> Limits:
        today = self._days.of(self._clock.now_us())
        known = self._limits.get((programme.id, programme.version, today))
        if known is None:
            if len(self._limits) > 10_000:
                self._limits.clear()
            known = limits_of(self._cards.rules_of(programme, today), programme)
            self._limits[programme.id, programme.version, today] = known
        return known


def limits_of(rules: Rules, programme: Programme) -> Limits:
    """Policy's values for paying, with the rows that a refusal cites."""
    balance_limit_fen, balance_limit_row = balance_limit(rules, programme.card_class)
    return Limits(
        single_fen=rules.int(names.PAY_SINGLE_MAX_FEN),
        day_count=rules.int(names.PAY_DAY_MAX_COUNT),
        day_sum_fen=rules.int(names.PAY_DAY_MAX_FEN),
        burst_from_count=rules.int(names.RISK_BURST_FROM_COUNT),
        burst_window_us=rules.int(names.RISK_BURST_MINUTES) * US_PER_MINUTE,
        burst_action=RiskAction(rules.text(names.RISK_BURST_ACTION)),
        sudden_from_fen=rules.int(names.RISK_SUDDEN_FROM_FEN),
        sudden_action=RiskAction(rules.text(names.RISK_SUDDEN_ACTION)),
        pin_tries=rules.int(names.PIN_TRIES_COUNT),
        pin_lock_us=rules.int(names.PIN_LOCK_MINUTES) * US_PER_MINUTE,
        reversal_us=rules.int(names.PAY_REVERSAL_WINDOW_HOURS) * 60 * US_PER_MINUTE,
        hold_us=rules.int(names.HOLD_CART_MINUTES) * US_PER_MINUTE,
        spend_order=SpendOrder(rules.text(names.CARD_SPEND_ORDER)),
        partial=rules.flag(names.PAY_PARTIAL_ALLOWED),
        void_window=VoidWindow(rules.text(names.PAY_VOID_WINDOW)),
        refund_window_days=rules.int(names.PAY_REFUND_WINDOW_DAYS),
        refund_order=RefundOrder(rules.text(names.PAY_REFUND_ORDER)),
        refund_by_hand_below_fen=rules.int(names.APPROVAL_REFUND_FROM_FEN),
        balance_limit_fen=balance_limit_fen,
        rows={
            "single_fen": rules.row(names.PAY_SINGLE_MAX_FEN),
            "day_count": rules.row(names.PAY_DAY_MAX_COUNT),
            "day_sum_fen": rules.row(names.PAY_DAY_MAX_FEN),
            "burst_from_count": rules.row(names.RISK_BURST_FROM_COUNT),
            "sudden_from_fen": rules.row(names.RISK_SUDDEN_FROM_FEN),
            "reversal_us": rules.row(names.PAY_REVERSAL_WINDOW_HOURS),
            "void_window": rules.row(names.PAY_VOID_WINDOW),
            "refund_window_days": rules.row(names.PAY_REFUND_WINDOW_DAYS),
            "refund_by_hand_below_fen": rules.row(names.APPROVAL_REFUND_FROM_FEN),
            "balance_limit_fen": balance_limit_row,
        },
    )
