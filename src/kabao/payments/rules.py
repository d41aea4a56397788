"""The rules of paying, as pure functions on a locked root."""

from __future__ import annotations

from datetime import date

import msgspec

from kabao.base.money import split
from kabao.ledger.model import Account, Dimensions, Moment, Move, Purpose, Root, RootState
from kabao.payments.model import Decline, Limits, Place
from kabao.policy.choices import RefundOrder, RiskAction, SpendOrder


class No(msgspec.Struct, frozen=True):
    """A refusal: its code, and the row of the rule that refused."""

    code: Decline
    rule: str | None = None


def state_forbids(root: Root, day: date) -> No | None:
    """Whether the card's state forbids to pay (P-10, P-18). `valid_until` is inclusive."""
    match root.state:
        case RootState.ACTIVE:
            if root.valid_until is not None and day > root.valid_until:
                return No(Decline.CARD_EXPIRED, "P-18")
            return None
        case RootState.FROZEN:
            return No(Decline.CARD_FROZEN, "P-10")
        case RootState.LOST:
            return No(Decline.CARD_LOST, "P-15")
        case RootState.EXPIRED:
            return No(Decline.CARD_EXPIRED, "P-18")
        case RootState.CLOSED:
            return No(Decline.CARD_CLOSED, "P-10")
    return No(Decline.CARD_NOT_ACCEPTED)


def over_limits(root: Root, amount_fen: int, limits: Limits, moment: Moment) -> No | None:
    """Amount and velocity rules, exact under the lock (P-10, R-06)."""
    if amount_fen > limits.single_fen:
        return No(Decline.OVER_SINGLE_LIMIT, limits.rows["single_fen"])
    today = root.day == moment.day.toordinal()
    if (root.day_count if today else 0) + 1 > limits.day_count:
        return No(Decline.OVER_DAY_COUNT, limits.rows["day_count"])
    if (root.day_sum_fen if today else 0) + amount_fen > limits.day_sum_fen:
        return No(Decline.OVER_DAY_SUM, limits.rows["day_sum_fen"])
    return None


def suspicious(
    root: Root, amount_fen: int, limits: Limits, moment: Moment
) -> tuple[No, RiskAction] | None:
    """Consecutive payments and sudden large amounts (R-06), and what follows."""
    in_window = moment.us < root.burst_from_us + limits.burst_window_us
    if in_window and root.burst_count + 1 >= limits.burst_from_count:
        return (
            No(Decline.TOO_MANY_IN_SHORT_TIME, limits.rows["burst_from_count"]),
            limits.burst_action,
        )
    if amount_fen >= limits.sudden_from_fen:
        return No(Decline.SUDDEN_LARGE_AMOUNT, limits.rows["sudden_from_fen"]), limits.sudden_action
    return None


def counted(root: Root, amount_fen: int, limits: Limits, moment: Moment) -> dict[str, int]:
    """The window counters after an approved payment."""
    ordinal = moment.day.toordinal()
    today = root.day == ordinal
    in_window = moment.us < root.burst_from_us + limits.burst_window_us
    return {
        "day": ordinal,
        "day_count": (root.day_count if today else 0) + 1,
        "day_sum_fen": (root.day_sum_fen if today else 0) + amount_fen,
        "burst_from_us": root.burst_from_us if in_window else moment.us,
        "burst_count": (root.burst_count if in_window else 0) + 1,
    }


def take(amount_fen: int, principal_fen: int, bonus_fen: int, order: SpendOrder) -> tuple[int, int]:
    """How much of an amount comes from principal and how much from bonus."""
    assert 0 <= amount_fen <= principal_fen + bonus_fen
    match order:
        case SpendOrder.PRINCIPAL_FIRST:
            principal = min(amount_fen, principal_fen)
        case SpendOrder.BONUS_FIRST:
            principal = amount_fen - min(amount_fen, bonus_fen)
        case SpendOrder.PRO_RATA:
            weights = [principal_fen, bonus_fen]
            principal = split(amount_fen, weights)[0] if any(weights) else 0
    return principal, amount_fen - principal


def refund_order(order: RefundOrder, spent: SpendOrder) -> SpendOrder:
    """In which order a refund fills what a payment has drawn on in the order `spent`."""
    match order:
        case RefundOrder.PRINCIPAL_FIRST:
            return SpendOrder.PRINCIPAL_FIRST
        case RefundOrder.PRO_RATA:
            return SpendOrder.PRO_RATA
        case RefundOrder.REVERSE_OF_SPEND:
            return _REVERSED[spent]


_REVERSED = {
    SpendOrder.BONUS_FIRST: SpendOrder.PRINCIPAL_FIRST,
    SpendOrder.PRINCIPAL_FIRST: SpendOrder.BONUS_FIRST,
    SpendOrder.PRO_RATA: SpendOrder.PRO_RATA,
}


def give_back(
    amount_fen: int, principal_left_fen: int, bonus_left_fen: int, order: SpendOrder
) -> tuple[int, int]:
    """How a refund divides over what is left of each part: bonus goes back to
    bonus and never turns into money.
    """
    assert amount_fen > 0
    return take(amount_fen, principal_left_fen, bonus_left_fen, order)


def moves(
    principal_fen: int,
    bonus_fen: int,
    principal: tuple[Account, Account],
    bonus: tuple[Account, Account],
    purpose: Purpose,
    *,
    house: str | None = None,
    related: str | None = None,
) -> tuple[Move, ...]:
    """Up to two moves: the principal part and the bonus part of one amount."""
    made = []
    if principal_fen:
        made.append(Move(*principal, principal_fen, purpose, house, related))
    if bonus_fen:
        made.append(Move(*bonus, bonus_fen, purpose, house, related))
    return tuple(made)


SPEND = ((Account.PRINCIPAL, Account.REDEEMED), (Account.BONUS, Account.REDEEMED))
SET_ASIDE = ((Account.PRINCIPAL, Account.PRINCIPAL_HELD), (Account.BONUS, Account.BONUS_HELD))
SPEND_HELD = ((Account.PRINCIPAL_HELD, Account.REDEEMED), (Account.BONUS_HELD, Account.REDEEMED))
SET_FREE = ((Account.PRINCIPAL_HELD, Account.PRINCIPAL), (Account.BONUS_HELD, Account.BONUS))
GIVE_BACK = ((Account.REDEEMED, Account.PRINCIPAL), (Account.REDEEMED, Account.BONUS))
SUSPEND = ((Account.PRINCIPAL, Account.SUSPENSE), (Account.BONUS, Account.SUSPENSE))


def dimensions(place: Place) -> Dimensions:
    """A payment's place as the dimensions of its transfers."""
    return Dimensions(
        redeeming_store=place.store,
        terminal=place.terminal,
        cashier=place.cashier,
        shift=place.shift,
        channel=place.channel,
        occurred_us=place.occurred_us,
    )
