"""The rules of payment orders, as pure functions from an order to what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import assert_never

import msgspec

from kabao.base.errors import INVALID
from kabao.base.money import split
from kabao.cards.model import APPROVAL_NEEDED
from kabao.payments.model import HAS_REFUNDS, REVERSAL_WINDOW, UNTOLD, VOID_WINDOW, Payment
from kabao.policy.choices import TenderOrder
from kabao.tenders.model import (
    EXCEEDS,
    HOLDING,
    INCOMPLETE,
    ORDER_FORBIDS,
    ORDER_FROZEN,
    TIME_OVER,
    TOO_LONG,
    TOO_MANY_TENDERS,
    Kind,
    PaymentOrder,
    Status,
    Tender,
)

_replace = msgspec.structs.replace

TAKEN = frozenset({Status.PARTIALLY_CAPTURED, Status.CAPTURED})
"""States in which something was captured."""

UNDONE = frozenset({Status.CANCELLED, Status.EXPIRED})
"""States in which nothing is left to undo."""


def require(order: PaymentOrder, states: frozenset[Status], now_us: int) -> None:
    """Raises `payment_order_state_forbids` or `payment_order_frozen`."""
    if order.status not in states:
        raise ORDER_FORBIDS.error(f"The payment order is {order.status}.", rule="P-06")
    if order.frozen(now_us):
        raise ORDER_FROZEN.error(order.freeze_reason, rule="ruling 20")


def require_in_time(order: PaymentOrder, now_us: int) -> None:
    """Raises `payment_order_over`: the sweep comes any moment, and must not be raced."""
    if now_us >= order.ends_us:
        raise TIME_OVER.error(rule="ruling 20")


class Most(msgspec.Struct, frozen=True):
    """How many tenders an order may have, and the row that says so."""

    count: int
    row: str


def check_opening(amount_fen: int, tenders: Sequence[int | None], most: Most) -> None:
    """Raises for tenders that could not all be taken, before any of them is: a
    refusal half-way would take back what a wrong PIN had been counted.

    Raises `too_many_tenders`, `exceeds_payment_order`, and `invalid` for an
    amount left open by any but the last.
    """
    if len(tenders) > most.count:
        raise TOO_MANY_TENDERS.error(f"At most {most.count}.", rule=most.row)
    said = [amount for amount in tenders if amount is not None]
    if None in tenders[:-1]:
        raise INVALID.error("Only the last tender may leave its amount open.", field="tenders")
    if sum(said) + (len(tenders) - len(said)) > amount_fen:
        raise EXCEEDS.error(f"The order is of {amount_fen} fen.", field="tenders")


def to_tender(order: PaymentOrder, asked_fen: int | None, now_us: int, most: Most) -> int:
    """How much the next tender is for: what was asked, or all that remains.

    Raises `exceeds_payment_order`, `too_many_tenders`, `payment_order_over`, and
    what `require` raises.
    """
    require(order, frozenset({Status.OPEN}), now_us)
    require_in_time(order, now_us)
    if len(order.tenders) >= most.count:
        raise TOO_MANY_TENDERS.error(f"At most {most.count}.", rule=most.row)
    amount = order.remaining_fen if asked_fen is None else asked_fen
    if not 0 < amount <= order.remaining_fen:
        raise EXCEEDS.error(f"{order.remaining_fen} fen are left to pay.", field="amount")
    return amount


def of_payment(ident: str, order: PaymentOrder, payment: Payment, now_us: int) -> Tender:
    """A card's tender, as its payment was answered."""
    told = payment.decline_code not in UNTOLD
    return Tender(
        id=ident,
        payment_order=order.id,
        no=len(order.tenders) + 1,
        kind=Kind.CARD,
        channel=None,
        reference=None,
        payment=payment.id,
        card=payment.card if told else None,
        last4=payment.last4 if told else None,
        requested_fen=payment.requested_fen,
        approved_fen=payment.approved_fen,
        held_fen=payment.held_fen,
        captured_fen=0,
        refunded_fen=0,
        decline_code=payment.decline_code,
        rule=payment.rule,
        balance_after_fen=payment.balance_after_fen,
        created_us=now_us,
    )


def recorded(
    ident: str,
    order: PaymentOrder,
    kind: Kind,
    amount_fen: int,
    now_us: int,
    *,
    channel: str | None,
    reference: str | None,
    coin_fen: int,
) -> Tender:
    """Cash or a channel's money: taken outside, written down here. All cash of an order
    is taken in whole multiples of `coin_fen`; what is above them is let off once, of
    the tender that leaves nothing to pay.
    """
    is_cash = kind is Kind.CASH
    return Tender(
        id=ident,
        payment_order=order.id,
        no=len(order.tenders) + 1,
        kind=kind,
        channel=channel,
        reference=reference,
        payment=None,
        card=None,
        last4=None,
        requested_fen=amount_fen,
        approved_fen=amount_fen,
        held_fen=amount_fen,
        captured_fen=0,
        refunded_fen=0,
        decline_code=None,
        rule=None,
        balance_after_fen=None,
        created_us=now_us,
        rounding_fen=_let_off(order, amount_fen, coin_fen) if is_cash else 0,
        coin_fen=coin_fen if is_cash else 1,
    )


def _let_off(order: PaymentOrder, amount_fen: int, coin_fen: int) -> int:
    if amount_fen < order.remaining_fen:
        return 0  # else every small part of an order would be free
    cash_fen = amount_fen + sum(t.approved_fen for t in order.tenders if t.of_cash)
    return min(cash_fen % coin_fen, amount_fen)


def given_back(before: PaymentOrder, after: PaymentOrder) -> list[tuple[Tender, int]]:
    """The cash tenders of which a drawer now has less, and by how much in fen."""
    pairs = zip(after.tenders, due_back(before, after), strict=True)
    return [(tender, fen) for tender, fen in pairs if tender.of_cash and fen]


def due_back(before: PaymentOrder, after: PaymentOrder) -> list[int]:
    """What cashier or channel now give back of each tender, in fen."""
    pairs = zip(before.tenders, after.tenders, strict=True)
    return [then.due_back_fen - tender.due_back_fen for tender, then in pairs]


def tendered(
    order: PaymentOrder, tender: Tender, now_us: int, hold_us: int | None, longest_us: int
) -> PaymentOrder:
    """The order with one tender more. A card's programme says how long its value
    may be held (P-06); of several the shortest time counts.
    """
    ends_us = order.ends_us
    if tender.held_fen and hold_us is not None:
        ends_us = min(now_us + hold_us, order.created_us + longest_us)
        if any(t.of_card and t.held_fen for t in order.tenders):
            ends_us = min(ends_us, order.ends_us)
    return _replace(order, tenders=(*order.tenders, tender), ends_us=ends_us)


def to_capture(order: PaymentOrder, asked_fen: int | None, now_us: int) -> list[int]:
    """How much of each tender a capture takes.

    What was paid outside comes first, since it is in the till already; then the
    cards, in the order in which they were shown.
    """
    require(order, HOLDING, now_us)
    require_in_time(order, now_us)
    if order.status == Status.OPEN and order.remaining_fen:
        raise INCOMPLETE.error(f"{order.remaining_fen} fen are left to pay.", rule="P-16")
    amount = order.held_fen if asked_fen is None else asked_fen
    if amount > order.held_fen:
        raise EXCEEDS.error(f"{order.held_fen} fen are held.", field="amount")
    return _filled(amount, order.tenders, lambda t: t.held_fen, lambda t: (t.of_card, t.no))


def to_refund(order: PaymentOrder, asked_fen: int | None, by: TenderOrder) -> list[int]:
    """How much of a refund each tender gets, and never more than it gave."""
    left = order.captured_fen - order.refunded_fen
    amount = left if asked_fen is None else asked_fen
    if not 0 < amount <= left:
        raise EXCEEDS.error(f"{left} fen are left to refund.", rule="CR-20", field="amount")
    match by:
        case TenderOrder.CARDS_FIRST:
            return _refunded(amount, order, lambda t: (not t.of_card, t.no))
        case TenderOrder.FIRST_TENDER:
            return _refunded(amount, order, lambda t: (False, t.no))
        case TenderOrder.LAST_TENDER:
            return _refunded(amount, order, lambda t: (False, -t.no))
        case TenderOrder.PRO_RATA:
            return split(amount, [t.refundable_fen for t in order.tenders])
        case _:
            assert_never(by)


def check_by_hand(order: PaymentOrder, amount_fen: int, from_fen: int, row: str) -> None:
    """What one person may give back in the back office, with what was given back before.

    Raises `approval_needed`.
    """
    if order.refunded_fen + amount_fen >= from_fen:
        raise APPROVAL_NEEDED.error(rule=row, field="amount")


def _refunded(
    amount_fen: int, order: PaymentOrder, turn: Callable[[Tender], tuple[bool, int]]
) -> list[int]:
    return _filled(amount_fen, order.tenders, lambda t: t.refundable_fen, turn)


def _filled(
    amount_fen: int,
    tenders: Sequence[Tender],
    room: Callable[[Tender], int],
    turn: Callable[[Tender], tuple[bool, int]],
) -> list[int]:
    """An amount over the tenders: each takes what it has room for when its turn comes."""
    shares = dict.fromkeys((t.no for t in tenders), 0)
    for tender in sorted(tenders, key=turn):
        shares[tender.no] = min(amount_fen, room(tender))
        amount_fen -= shares[tender.no]
    assert amount_fen == 0, "there is room for all of it"
    return [shares[t.no] for t in tenders]


def is_over(order: PaymentOrder, now_us: int) -> bool:
    """Whether an order is to be swept: its time is over and its outcome known."""
    return order.status in HOLDING and now_us >= order.ends_us and not order.frozen(now_us)


def captured(order: PaymentOrder, shares: Sequence[int], *, final: bool, on: date) -> PaymentOrder:
    """The order after a capture; `final` sets free what is left of its holds."""
    tenders = tuple(
        _replace(
            tender,
            captured_fen=tender.captured_fen + share,
            held_fen=0 if final else tender.held_fen - share,
        )
        for tender, share in zip(order.tenders, shares, strict=True)
    )
    after = _replace(order, tenders=tenders, captured_on=on)
    status = Status.PARTIALLY_CAPTURED if after.held_fen else Status.CAPTURED
    return _replace(after, status=status)


def released(order: PaymentOrder, otherwise: Status) -> PaymentOrder:
    """The order without its holds; `otherwise` is what it is if nothing was captured."""
    tenders = tuple(_replace(tender, held_fen=0) for tender in order.tenders)
    return _replace(
        order, tenders=tenders, status=Status.CAPTURED if order.captured_fen else otherwise
    )


def cancelled(order: PaymentOrder, now_us: int, today: date, window_row: str) -> PaymentOrder:
    """The order undone whole, what was captured today included. `window_row` says
    until when: what was paid outside has no payment that would keep to it.

    Raises `later_activity` if some of it was refunded, `void_window_over`,
    `payment_order_state_forbids` once it is settled, and what `require` raises.
    """
    require(order, HOLDING | TAKEN, now_us)
    if order.captured_on not in {None, today}:
        raise VOID_WINDOW.error(rule=window_row)
    return _undone(order)


def reversed_(order: PaymentOrder, now_us: int, until_us: int, window_row: str) -> PaymentOrder:
    """The order undone whole because its outcome was not known; `window_row` says until
    when that may be.

    Raises `reversal_window_over`, and otherwise as `cancelled`.
    """
    require(order, HOLDING | TAKEN, now_us)
    if now_us > until_us:
        raise REVERSAL_WINDOW.error(rule=window_row)
    return _undone(order)


def _undone(order: PaymentOrder) -> PaymentOrder:
    if order.settled_on is not None:
        raise ORDER_FORBIDS.error("The payment order is settled.", rule="P-06")
    if order.refunded_fen:
        raise HAS_REFUNDS.error(rule="MF-07")
    tenders = tuple(_replace(tender, held_fen=0, captured_fen=0) for tender in order.tenders)
    return _replace(order, tenders=tenders, status=Status.CANCELLED, captured_on=None)


def refunded(order: PaymentOrder, shares: Sequence[int]) -> PaymentOrder:
    """The order after a refund."""
    return _replace(
        order,
        tenders=tuple(
            _replace(tender, refunded_fen=tender.refunded_fen + share)
            for tender, share in zip(order.tenders, shares, strict=True)
        ),
    )


def frozen(
    order: PaymentOrder,
    reason: str,
    now_us: int,
    *,
    freeze_us: int,
    longest_us: int,
    outcome_unknown: bool,
) -> PaymentOrder:
    """The order frozen from now on. Its own time stands still meanwhile. One that
    is frozen already is frozen anew; an outcome that was unknown then is so still,
    since only `unfrozen` says that it is known.

    Raises `payment_order_too_long` when its holds would then last longer than
    any may: only an unknown outcome keeps value for longer (ruling 20).
    """
    if order.frozen(now_us):
        outcome_unknown = outcome_unknown or order.outcome_unknown
        order = unfrozen(order, now_us)
    require(order, HOLDING | TAKEN, now_us)
    if order.settled_on is not None:
        raise ORDER_FORBIDS.error("The payment order is settled.", rule="P-06")
    ends_us = order.ends_us + freeze_us
    holds = order.status in HOLDING
    if holds and not outcome_unknown and ends_us > order.created_us + longest_us:
        raise TOO_LONG.error(rule="ruling 20")
    return _replace(
        order,
        frozen_until_us=now_us + freeze_us,
        freeze_reason=reason,
        outcome_unknown=outcome_unknown,
        ends_us=ends_us,
    )


def unfrozen(order: PaymentOrder, now_us: int) -> PaymentOrder:
    """The order thawed: it has as much time left as it had when it was frozen."""
    if not order.frozen(now_us) or order.frozen_until_us is None:
        raise ORDER_FORBIDS.error("The payment order is not frozen.", rule="P-06")
    return _replace(
        order,
        frozen_until_us=None,
        freeze_reason=None,
        outcome_unknown=False,
        ends_us=order.ends_us + now_us - order.frozen_until_us,
    )
