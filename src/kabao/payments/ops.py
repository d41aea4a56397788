"""The verbs of paying, the same for every door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec
import psycopg

from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, UNAVAILABLE
from kabao.base.ids import Ids, least_id
from kabao.cards.limits import balance_limit
from kabao.cards.model import Programme, Proof, Resolved
from kabao.cards.ops import Cards
from kabao.ledger.model import Command, CommandBase, Decision, OperationState, RootState
from kabao.ledger.ops import Ledger
from kabao.merchants.model import Alone
from kabao.org.model import ACCEPTANCE_RULE, STORE_OUTSIDE_GROUP
from kabao.org.ops import Org
from kabao.paycodes.model import ByCode, Payable
from kabao.paycodes.ops import PayCodes
from kabao.payments import codes, sql
from kabao.payments.after import (
    Capture,
    Expire,
    GiveBack,
    Refunded,
    Reverse,
    Void,
)
from kabao.payments.inquire import Inquire
from kabao.payments.lookup import LookUp
from kabao.payments.model import (
    NOT_A_PAYMENT,
    Ask,
    Decline,
    Inquiry,
    Limits,
    Payment,
    Place,
    Refund,
    Reversal,
    Reversed,
)
from kabao.payments.pay import Request, Stale, Terms, command
from kabao.payments.ports import Sales
from kabao.payments.rules import No, dimensions
from kabao.payments.waiting import Waiting
from kabao.policy import names
from kabao.policy.choices import RefundOrder, RiskAction, SpendOrder, Switch, VoidWindow
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

__all__ = ["STALE_TRIES", "Ask", "Payments", "limits_of", "within"]

STALE_TRIES = 4
"""How often a card that changes between look-up and lock is looked up again."""

TERMS_US = 200_000
"""How long what the snapshots say of a programme in a store is remembered."""

US_PER_DAY = 86_400_000_000
ID_AGE_US = 3_600_000_000
"""How far an id's time may be from its payment's: clocks differ, and requests wait."""

EXPIRE_BATCH = 500
"""How many holds one run of the job releases."""

US_PER_MINUTE = 60_000_000

ROOT_STATUS: Mapping[int, str] = {
    RootState.INACTIVE: "inactive",
    RootState.ACTIVE: "active",
    RootState.FROZEN: "frozen",
    RootState.LOST: "lost",
    RootState.EXPIRED: "expired",
    RootState.CLOSED: "closed",
}


R = TypeVar("R")


class _Way:
    """One call's way: look the card up, post, and look up again while the card is changing.

    Not closures: those would hold on to each other until the collector comes,
    and half of the engine's time would go into collecting.
    """

    __slots__ = (
        "_ask",
        "_before",
        "_ledger",
        "_look_up",
        "_source",
        "_tries",
        "_waiting",
        "caller",
    )

    def __init__(
        self,
        look_up: LookUp,
        ledger: Ledger,
        waiting: Waiting,
        source: Payable,
        ask: Callable[[Resolved | None], Command[Any]],
    ) -> None:
        self._look_up, self._ledger, self._waiting = look_up, ledger, waiting
        self._source, self._ask = source, ask
        self.caller = waiting.enter()
        self._tries = 0
        self._before: Resolved | None = None

    def resolved(self, card: Resolved | None, failed: Exception | None) -> None:
        """Go on with what the source turned out to be."""
        caller = self.caller
        if caller.answer.done():
            return
        if failed is not None:
            self._waiting.leave(caller, None, failed)
            return
        if self._tries and card == self._before:
            card = None  # not changing: it was replaced, and is nobody's any more
        self._before = card
        caller.posted = True
        try:
            self._ledger.submit(self._ask(card), self.done)
        except Exception as refused:  # noqa: BLE001 - the future carries it
            self._waiting.leave(caller, None, refused)

    def done(self, outcome: Any, failed: Exception | None) -> None:
        """Answer, unless the card has changed meanwhile."""
        if isinstance(outcome, Stale):
            self._tries += 1
            if self._tries < STALE_TRIES:
                self._look_up.put(self._source, self.resolved)
                return
            failed = UNAVAILABLE.error("The card is changing; try again.")
        self._waiting.leave(self.caller, outcome, failed)


class Payments:
    """Pay, hold, capture, void, refund, reverse, inquire."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        paycodes: PayCodes,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        ids: Ids,
    ) -> None:
        self._db, self._ledger, self._cards, self._org = db, ledger, cards, org
        self._policy, self._clock, self._days, self._ids = policy, clock, days, ids
        self._look_up = LookUp(db, paycodes)
        self._waiting = Waiting()
        self._limits: dict[tuple[str, int, date], Limits] = {}
        self._terms_known: dict[tuple[str, str], Terms] = {}
        self._terms_from_us = 0

    async def start(self) -> None:
        """Begin to gather look-ups."""
        await self._look_up.start()
        self._waiting.start()

    async def stop(self) -> None:
        """Stop gathering."""
        await self._look_up.stop()
        await self._waiting.stop()

    # Paying: future in, future out, so that the fast door needs no task.

    def pay(
        self, request: Request, source: Payable, covers: Callable[[str], bool]
    ) -> asyncio.Future[Payment]:
        """Pay, or set aside with `capture=False`.

        `covers` tells whether the caller's scope covers an issuer's cards: only
        then may a card be named by its id alone. The future ends in the
        payment, declined ones included, or in a KabaoError: `unavailable`,
        `in_doubt`, `idempotency_key_reused`.
        """

        def ask(found: Resolved | None) -> Command[Any]:
            card = within(found, covers)
            terms = self.terms(card, request.place)
            if isinstance(card, ByCode):
                return codes.pay_command(request, card, terms)
            return command(request, card, terms)

        return self._through(source, ask)

    def inquire(
        self, company: str, source: Payable, covers: Callable[[str], bool]
    ) -> asyncio.Future[Inquiry]:
        """Ask for a balance. Wrong PINs count; a right one is not kept."""
        ident = self._ids.new()

        def ask(found: Resolved | None) -> Command[Any]:
            card = within(found, covers)
            plain = Inquire(
                company=company,
                operation=ident,
                key="inquiry/" + ident,
                root=card.root if card is not None else None,
                card=card,
                limits=self.limits(card.programme) if card is not None else None,
                status_of=ROOT_STATUS,
            )
            return codes.inquire_command(plain, card) if isinstance(card, ByCode) else plain

        return self._through(source, ask)

    def _through(
        self, source: Payable, ask: Callable[[Resolved | None], Command[Any]]
    ) -> asyncio.Future[Any]:
        way = _Way(self._look_up, self._ledger, self._waiting, source, ask)
        self._look_up.put(source, way.resolved)
        return way.caller.answer

    # Later verbs

    async def capture(
        self,
        ask: Ask,
        payment: Payment,
        amount_fen: int | None,
        *,
        final: bool,
        place: Place | None = None,
    ) -> Payment:
        """Take part or all of a hold. Raises `amount_exceeds_remaining`, `hold_expired`.

        `place` is the till that asks, here and in the verbs below: its shift counts it.
        """
        return await self._later(
            Capture(**self._about(ask, payment, place), amount_fen=amount_fen, final=final)
        )

    async def void(
        self, ask: Ask, payment: Payment, shift: str | None, place: Place | None = None
    ) -> Payment:
        """Undo a payment whole, within policy's window; `shift` is the one under way
        at its till. Raises `void_window_over`.
        """
        return await self._later(
            Void(
                **self._about(ask, payment, place),
                limits=await self._limits_of(payment),
                shift=shift,
            )
        )

    async def refund(
        self,
        ask: Ask,
        payment: Payment,
        amount_fen: int | None,
        place: Place | None = None,
        *,
        by_hand: bool = False,
        alone: Alone | None = None,
    ) -> Refunded:
        """Give back part or all; `by_hand`: entered in the back office, not at a till;
        `alone`: by a cashier whom no supervisor has allowed it.

        Raises `amount_exceeds_remaining`, `refund_window_over`, `approval_needed`,
        `override_needed`.
        """
        limits = await self._limits_of(payment)
        about = self._about(ask, payment, place)
        return await self._later(
            GiveBack(**about, amount_fen=amount_fen, limits=limits, by_hand=by_hand, alone=alone)
        )

    async def refund_in(self, conn: Conn, ask: Ask, payment: Payment, amount_fen: int) -> Refunded:
        """As `refund`, once two persons agree, in their transaction."""
        # On their connection: a second one, taken by many at once, starves the pool.
        limits = await self._limits_in(conn, payment)
        command = GiveBack(**self._about(ask, payment), amount_fen=amount_fen, limits=limits)
        done: Refunded = (await self._ledger.post_in(conn, [command]))[0]
        return done

    async def reverse(self, ask: Ask, payment: Payment, place: Place | None = None) -> Reversed:
        """Undo a payment whose outcome the till does not know."""
        limits = await self._limits_of(payment)
        return await self._later(Reverse(**self._about(ask, payment, place), limits=limits))

    async def reverse_key(
        self,
        ask: Ask,
        original: str,
        check: Callable[[Payment], None],
        place_of: Callable[[Payment], Place | None] = lambda _: None,
        sales: Sales | None = None,
    ) -> Reversed:
        """Undo by the original's Idempotency-Key, also before it has come (F-7).

        Either the original is in the books and is undone, or its key is barred
        in the same moment; the unique key decides which, whatever the timing.
        `check` raises for a payment outside the caller's scope; `place_of` tells
        the till whose shift counts it. `sales` are made of payments, and undone
        and barred in the same way where the key is theirs.
        """
        for _ in range(STALE_TRIES):
            async with self._db.read() as conn:
                known = await self._ledger.operation(conn, ask.company, f"pay/{original}")
            if known is not None and known.state == OperationState.ANSWERED:
                async with self._db.read() as conn:
                    payment = await self.get(conn, known.id)
                check(payment)
                return await self.reverse(ask, payment, place_of(payment))
            if sales is not None and (done := await sales.reverse(ask, original)) is not None:
                return done
            async with self._db.read() as conn:
                for verb in ("capture", "refund", "void", "topup", "topup-void"):
                    if await self._ledger.operation(conn, ask.company, f"{verb}/{original}"):
                        raise NOT_A_PAYMENT.error(rule="P-19")
            try:
                return await self._bar(ask, original, sales, barred=known is not None)
            except (psycopg.errors.UniqueViolation, _CameMeanwhileError):
                continue  # the original, or this very reversal, came meanwhile
        raise UNAVAILABLE.error()

    async def _bar(self, ask: Ask, original: str, sales: Sales | None, *, barred: bool) -> Reversed:
        async with self._db.transaction() as conn:
            outcome, first = await self._answer_reversal(conn, ask, 0, None)
            if first and not barred:
                await self._ledger.bar(
                    conn, ask.company, f"pay/{original}", self._ids.new(), "null"
                )
            if first and sales and not await sales.bar(conn, ask.company, original):
                raise _CameMeanwhileError
        return outcome

    async def reversed_in(
        self, conn: Conn, ask: Ask, payment_order: str, amount_fen: int
    ) -> Reversed:
        """The answer to the reversal of a sale that was undone in this transaction; the
        first one again if its key has one.
        """
        return (await self._answer_reversal(conn, ask, amount_fen, payment_order))[0]

    async def _answer_reversal(
        self, conn: Conn, ask: Ask, amount_fen: int, payment_order: str | None
    ) -> tuple[Reversed, bool]:
        """Keep the answer to a reversal that undoes no payment itself; whether it is the first."""
        ident = self._ids.new()
        reversal = Reversal(ident, None, amount_fen, self._clock.now_us())
        command = _Answer(
            company=ask.company,
            operation=ident,
            key=ask.key,
            mac=ask.mac,
            answer=Reversed(reversal, None, payment_order),
        )
        outcome: Reversed = (await self._ledger.post_in(conn, [command]))[0]
        return outcome, outcome.reversal.id == ident

    async def expire_holds(self) -> int:
        """Release holds whose time is over. Returns how many; the job repeats it."""
        async with self._db.read() as conn:
            due = await self._ledger.expired_holds(conn, EXPIRE_BATCH)
            payments = await sql.load(conn, [hold.id for hold in due])
        commands = [
            Expire(
                company=payment.company,
                operation=self._ids.new(),
                key=f"expire/{payment.id}",
                root=payment.root,
                loader=sql.load,
                wanted=payment.id,
            )
            for payment in payments.values()
        ]
        await asyncio.gather(*(self._ledger.post(c) for c in commands))
        return len(commands)

    def _about(self, ask: Ask, payment: Payment, place: Place | None = None) -> dict[str, Any]:
        """The fields of every command on an existing payment."""
        # Not the original's till and shift: those may be closed and counted by now.
        place = place or Place(payment.store, channel=payment.channel)
        return {
            "company": ask.company,
            "operation": self._ids.new(),
            "key": ask.key,
            "mac": ask.mac,
            "root": payment.root,
            "dims": dimensions(place),
            "loader": sql.load,
            "wanted": payment.id,
        }

    async def _later(self, command: Command[R]) -> R:
        # Shielded: a caller that goes away must not cancel what others may share.
        return await asyncio.shield(self._ledger.post(command))

    # Reading

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
        span = (day, *self._ids_of(day)) if day is not None else None
        return await sql.search(conn, stores, reference, terminal, span, before, limit)

    def _ids_of(self, day: date) -> tuple[str, str]:
        """Ids between which the payments of a business day lie: each was given its id
        shortly before the moment that decided on the day.
        """
        start_us = to_us(self._days.start(day))
        return least_id(start_us - ID_AGE_US), least_id(start_us + US_PER_DAY + ID_AGE_US)

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
        return self.limits(root.programme)

    def limits(self, programme_id: str) -> Limits:
        """What policy says today for a programme; remembered for the day."""
        programme = self._cards.programme(programme_id)
        assert programme is not None, "a card without a programme"
        today = self._days.of(self._clock.now_us())
        known = self._limits.get((programme.id, programme.version, today))
        if known is None:
            if len(self._limits) > 10_000:
                self._limits.clear()
            known = limits_of(self._cards.rules(programme_id, today), programme)
            self._limits[programme.id, programme.version, today] = known
        return known


def within(card: Resolved | None, covers: Callable[[str], bool]) -> Resolved | None:
    """A card named by id outside the caller's scope is as good as unknown."""
    if card is not None and card.proof == Proof.SCOPE and not covers(card.issuer):
        return None
    return card


class _CameMeanwhileError(Exception):
    """A sale was made under the key that was to be barred."""


class _Answer(CommandBase, frozen=True, kw_only=True):
    """The reversal of what is no payment, or has not come: only the answer is kept."""

    answer: Reversed

    def decide(self, root: Any, moment: Any, loaded: Any) -> Decision:
        """Nothing moves."""
        del root, moment, loaded
        # What a sale's reversal moved stands in the rows of its payments.
        row = msgspec.structs.replace(self.answer.reversal, amount_fen=0)
        return Decision(result=self.answer, rows=((sql.insert_reversals, row),))

    def recall(self, result: bytes) -> Reversed:
        """The first answer again."""
        return msgspec.json.decode(result, type=Reversed)


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
