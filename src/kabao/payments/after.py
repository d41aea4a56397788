"""What follows a payment: capture, void, refund, reverse, expiry of a hold.

Each is a command on the payment's root; the payment's row is read after the
root is locked, so all of them see each other's effect (I-6).
"""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.cards.model import APPROVAL_NEEDED
from kabao.ledger.model import (
    CommandBase,
    Decision,
    Event,
    Hold,
    HoldState,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
)
from kabao.merchants.model import Alone
from kabao.payments import rules, sql
from kabao.payments.model import (
    AMOUNT_EXCEEDS,
    HAS_REFUNDS,
    HOLD_EXPIRED,
    OF_AN_ORDER,
    REFUND_WINDOW,
    REVERSAL_WINDOW,
    VOID_WINDOW,
    WRONG_STATE,
    Limits,
    Payment,
    Refund,
    Reversal,
    Reversed,
    Status,
)
from kabao.payments.pay import told
from kabao.policy.choices import SpendOrder, VoidWindow

_replace = msgspec.structs.replace
_decode_payment = msgspec.json.Decoder(Payment).decode

HOLDING = frozenset({Status.AUTHORIZED, Status.PARTIALLY_CAPTURED})
"""States in which value is still set aside."""


class Refunded(msgspec.Struct, frozen=True):
    """The answer to a refund: the payment as it is now, and the refund."""

    payment: Payment
    refund: Refund


class RefundTold(msgspec.Struct, frozen=True):
    """What an event tells of a refund."""

    refund: str
    payment: str
    card: str | None
    amount: int
    store: str
    """Where it was paid: its keys are told."""


class Later(CommandBase, frozen=True, kw_only=True):
    """A command on an existing payment."""

    by_order: bool = False
    """Whether a payment order asks: its tenders move together or not at all."""

    def admit(self, payment: Payment) -> None:
        """Raises `payment_of_an_order` for a tender touched alone."""
        if payment.of_order and not self.by_order:
            raise OF_AN_ORDER.error(rule="P-16")


class OfPayment(Later, frozen=True, kw_only=True):
    """A later verb that answers with the payment as it is then."""

    def recall(self, result: bytes) -> Payment:
        """The first answer again."""
        return _decode_payment(result)


class Capture(OfPayment, frozen=True, kw_only=True):
    """Take part or all of what is set aside; `final` sets the rest free."""

    amount_fen: int | None
    """None: all that is set aside."""
    final: bool

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """A hold outlives a freeze: what was set aside may still be captured."""
        payment = loaded
        self.admit(payment)
        if payment.status not in HOLDING:
            raise WRONG_STATE.error(f"The payment is {payment.status}.", rule="P-06")
        assert root is not None
        if payment.expires_us is not None and moment.us >= payment.expires_us:
            raise HOLD_EXPIRED.error(rule="P-06")
        amount = payment.held_fen if self.amount_fen is None else self.amount_fen
        if amount > payment.held_fen:
            raise AMOUNT_EXCEEDS.error(f"{payment.held_fen} fen are left of the hold.")
        principal, bonus = _part_of_hold(amount, payment)
        moves = rules.moves(
            principal,
            bonus,
            *rules.SPEND_HELD,
            Purpose.CAPTURE,
            house=payment.store,
            related=payment.id,
        )
        left = (payment.held_principal_fen - principal, payment.held_bonus_fen - bonus)
        open_still = not self.final and any(left)
        if not open_still:
            moves += set_free(payment, left)
            left = (0, 0)
        after = _replace(
            payment,
            captured_fen=payment.captured_fen + amount,
            principal_fen=payment.principal_fen + principal,
            bonus_fen=payment.bonus_fen + bonus,
            held_principal_fen=left[0],
            held_bonus_fen=left[1],
            status=Status.PARTIALLY_CAPTURED if open_still else Status.CAPTURED,
            balance_after_fen=root.available_fen + _freed(moves),
        )
        return changed(after, moves, "payment.captured", root, HoldState.CAPTURED)


class Void(OfPayment, frozen=True, kw_only=True):
    """Undo the whole: set a hold free, or give back a payment of the same day."""

    limits: Limits | None
    """None for a payment of a card that nobody knows: it was declined."""
    shift: str | None
    """The shift in which the void is asked for."""
    held_only: bool = False
    """Only what is still held may be undone: nothing was taken of it yet."""

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Same business day or same shift, as policy says (MF-07)."""
        payment = loaded
        self.admit(payment)
        _undoable(payment)
        if self.held_only and payment.status != Status.AUTHORIZED:
            raise WRONG_STATE.error(f"The payment is {payment.status}.", rule="P-06")
        assert root is not None and self.limits is not None
        inside = self._in_window(self.limits.void_window, payment, moment.day)
        if payment.captured_fen and not inside:
            raise VOID_WINDOW.error(rule=self.limits.rows["void_window"])
        return _undo(payment, root, Status.VOIDED, Purpose.VOID)

    def _in_window(self, window: VoidWindow, payment: Payment, today: date) -> bool:
        match window:
            case VoidWindow.SAME_BUSINESS_DAY:
                return payment.day == today.toordinal()
            case VoidWindow.SAME_SHIFT:
                return payment.shift is not None and payment.shift == self.shift


class Reverse(Later, frozen=True, kw_only=True):
    """Undo a payment whose outcome the till does not know. Exempt from limits."""

    def recall(self, result: bytes) -> Reversed:
        """The first answer again."""
        return msgspec.json.decode(result, type=Reversed)

    limits: Limits | None
    """None for a payment of a card that nobody knows: it was declined."""

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Undone once; a second reversal changes nothing and is answered alike."""
        payment = loaded
        self.admit(payment)
        amount = payment.captured_fen + payment.held_fen
        if payment.status in {Status.REVERSED, Status.VOIDED, Status.DECLINED, Status.EXPIRED}:
            amount = 0
        reversal = Reversal(self.operation, payment.id, amount, moment.us)
        keep = ((sql.insert_reversals, reversal),)
        if not amount:
            return Decision(result=Reversed(reversal, payment), rows=keep)
        assert root is not None and self.limits is not None
        _undoable(payment)
        if moment.us > payment.created_us + self.limits.reversal_us:
            raise REVERSAL_WINDOW.error(rule=self.limits.rows["reversal_us"])
        undone = _undo(payment, root, Status.REVERSED, Purpose.REVERSAL)
        return _replace(undone, result=Reversed(reversal, undone.result), rows=undone.rows + keep)


class GiveBack(Later, frozen=True, kw_only=True):
    """Refund part or all of what was captured, to the card it came from."""

    amount_fen: int | None
    """None: all that is left."""
    limits: Limits | None
    """None for a payment of a card that nobody knows: it was declined."""
    by_hand: bool = False
    """Entered in the back office by one person."""
    alone: Alone | None = None
    """What the cashier who asks may give back without a supervisor, if one asks alone."""

    def recall(self, result: bytes) -> Refunded:
        """The first answer again."""
        return msgspec.json.decode(result, type=Refunded)

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Never more than was captured; what fits no card waits in suspense."""
        payment, limits = loaded, self.limits
        self.admit(payment)
        if payment.status not in {Status.CAPTURED, Status.PARTIALLY_CAPTURED}:
            raise WRONG_STATE.error(f"The payment is {payment.status}.", rule="CR-20")
        assert root is not None and limits is not None
        if moment.day.toordinal() - payment.day > limits.refund_window_days:
            raise REFUND_WINDOW.error(rule=limits.rows["refund_window_days"])
        amount = payment.refundable_fen if self.amount_fen is None else self.amount_fen
        if not 0 < amount <= payment.refundable_fen:
            raise AMOUNT_EXCEEDS.error(f"{payment.refundable_fen} fen are left to refund.")
        # Together with what was refunded before: else it would be done in pieces.
        if self.by_hand and payment.refunded_fen + amount >= limits.refund_by_hand_below_fen:
            row = limits.rows["refund_by_hand_below_fen"]
            raise APPROVAL_NEEDED.error(rule=row, field="amount")
        if self.alone is not None:
            self.alone.check(payment.refunded_fen + amount)
        principal, bonus = rules.give_back(
            amount,
            payment.principal_left_fen,
            payment.bonus_left_fen,
            rules.refund_order(limits.refund_order, limits.spend_order),
        )
        moves = rules.moves(
            principal,
            bonus,
            *rules.GIVE_BACK,
            Purpose.REFUND,
            house=payment.store,
            related=payment.id,
        )
        over = root.balance_fen + amount > limits.balance_limit_fen
        homeless = over or root.state == RootState.CLOSED
        if homeless:
            moves += rules.moves(
                principal,
                bonus,
                *rules.SUSPEND,
                Purpose.REFUND,
                house=root.issuer,
                related=payment.id,
            )
        refund = Refund(
            self.operation,
            payment.id,
            amount,
            principal,
            bonus,
            "suspense" if homeless else "card",
            limits.rows["balance_limit_fen"] if over else "CR-20" if homeless else None,
            moment.us,
        )
        after = _replace(
            payment,
            refunded_fen=payment.refunded_fen + amount,
            refunded_principal_fen=payment.refunded_principal_fen + principal,
            refunded_bonus_fen=payment.refunded_bonus_fen + bonus,
            balance_after_fen=root.available_fen + (0 if homeless else amount),
        )
        event = "refund.suspended" if homeless else "payment.refunded"
        told = RefundTold(refund.id, payment.id, payment.card, amount, payment.store)
        return Decision(
            result=Refunded(after, refund),
            moves=moves,
            rows=((sql.update_payments, after), (sql.insert_refunds, refund)),
            events=(Event(event, told),),
            loaded=after,
        )


class Expire(OfPayment, frozen=True, kw_only=True):
    """Set a hold free whose time is over."""

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Nothing happens if somebody was faster."""
        assert root is not None
        payment = loaded
        over = payment.expires_us is not None and moment.us >= payment.expires_us
        if payment.status not in HOLDING or not over:
            return Decision(result=payment, remember=False)
        moves = set_free(payment, (payment.held_principal_fen, payment.held_bonus_fen))
        after = _replace(
            payment,
            held_principal_fen=0,
            held_bonus_fen=0,
            status=Status.CAPTURED if payment.captured_fen else Status.EXPIRED,
            balance_after_fen=root.available_fen + payment.held_fen,
        )
        return changed(after, moves, "payment.expired", root, HoldState.EXPIRED)


def _undoable(payment: Payment) -> None:
    """A declined, undone, disputed or partly refunded payment cannot be undone whole."""
    if payment.captured_fen != payment.refundable_fen:
        raise HAS_REFUNDS.error(rule="MF-07")
    if payment.status not in HOLDING | {Status.CAPTURED}:
        raise WRONG_STATE.error(f"The payment is {payment.status}.", rule="MF-07")


def _undo(payment: Payment, root: Root, status: Status, purpose: Purpose) -> Decision:
    """Give back what was captured and set free what is still held."""
    moves = rules.moves(
        payment.principal_fen,
        payment.bonus_fen,
        *rules.GIVE_BACK,
        purpose,
        house=payment.store,
        related=payment.id,
    )
    moves += set_free(payment, (payment.held_principal_fen, payment.held_bonus_fen))
    held = payment.held_fen > 0
    closed = root.state == RootState.CLOSED
    if closed:  # nobody could get it out of there again (ruling 19, CR-20)
        moves += rules.moves(
            payment.principal_fen,
            payment.bonus_fen,
            *rules.SUSPEND,
            purpose,
            house=root.issuer,
            related=payment.id,
        )
    after = _replace(
        payment,
        captured_fen=0,
        principal_fen=0,
        bonus_fen=0,
        held_principal_fen=0,
        held_bonus_fen=0,
        status=status,
        balance_after_fen=root.available_fen
        + (0 if closed else payment.captured_fen + payment.held_fen),
    )
    undone = changed(after, moves, f"payment.{status}", root, HoldState.RELEASED if held else None)
    if closed:
        told_too = Event("refund.suspended", told(after))
        return _replace(undone, events=(*undone.events, told_too))
    return undone


def _part_of_hold(amount: int, payment: Payment) -> tuple[int, int]:
    """Divide a capture as the hold is divided."""
    return rules.take(
        amount, payment.held_principal_fen, payment.held_bonus_fen, SpendOrder.PRO_RATA
    )


def set_free(payment: Payment, left: tuple[int, int]) -> tuple[Move, ...]:
    """The moves that give back what a hold has set aside."""
    return rules.moves(*left, *rules.SET_FREE, Purpose.RELEASE, related=payment.id)


def _freed(moves: tuple[Move, ...]) -> int:
    return sum(m.amount_fen for m in moves if m.purpose == Purpose.RELEASE)


def changed(
    after: Payment,
    moves: tuple[Move, ...],
    event: str,
    root: Root,
    hold: HoldState | None,
) -> Decision:
    """A decision that leaves the payment as `after`, its hold brought along."""
    holds: tuple[Hold, ...] = ()
    if hold is not None:
        holds = (
            Hold(
                after.id,
                root.id,
                HoldState.OPEN if after.held_fen else hold,
                after.held_principal_fen,
                after.held_bonus_fen,
                after.expires_us or 0,
            ),
        )
    return Decision(
        result=after,
        moves=moves,
        holds=holds,
        rows=((sql.update_payments, after),),
        events=(Event(event, told(after)),),
        loaded=after,
    )
