"""A top-up paid with another card of the same holder (T-04): two linked transfers. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from kabao.base.errors import Kind, code
from kabao.cards.limits import FROM_CARD, SECRET_NOT_ACCEPTED, limit_after_credit
from kabao.cards.model import CardClass
from kabao.funding.model.collections import SOURCE_NOT_ALLOWED
from kabao.ledger.model import (
    Account,
    Decision,
    Event,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
    RowWriter,
)
from kabao.policy.model import Rules
from kabao.topups.model.loading import is_over
from kabao.topups.model.topup import CARD_CANNOT_LOAD, Status, TopUp, told

CARD = FROM_CARD
"""The channel of what another card pays for."""

CARD_SHORT = code(
    "paying_card_short", Kind.REFUSED, "The paying card has not that much paid value free."
)
CARD_CANNOT_GIVE = code("paying_card_stopped", Kind.REFUSED, "The paying card is stopped.")


class Left(msgspec.Struct, frozen=True):
    """What an event tells of the card that paid."""

    topup: str
    card: str
    to_card: str
    amount: int
    currency: str
    balance_after: int


class Side(msgspec.Struct, frozen=True):
    """One of the two cards, and what holds for it."""

    card: str
    holder: str | None
    card_class: CardClass
    rules: Rules


class Terms(msgspec.Struct, frozen=True):
    """What decides besides the two roots."""

    topup: TopUp
    giving: Side
    taking: Side
    secret_version: int
    """Of the paying card, as its secret was judged."""
    out: str
    """The operation on the card that pays."""
    insert: RowWriter


def check_kin(terms: Terms, giving: Root, taking: Root) -> None:
    """Who may pay for whom: registered cards of one holder, issuer and currency. A gift card
    pays for goods and never for a top-up: it would be a way around what a card may hold.

    Raises `source_not_allowed`.
    """
    one, other = terms.giving, terms.taking
    if one.card_class is not CardClass.REGISTERED:
        raise SOURCE_NOT_ALLOWED.error(
            "Only a registered card pays for a top-up.", rule="T-04", field="paying_card"
        )
    if one.holder is None or one.holder != other.holder:
        raise SOURCE_NOT_ALLOWED.error(
            "Both cards must be the same person's.", rule="CR-27", field="paying_card"
        )
    if giving.id == taking.id or (giving.issuer, giving.currency) != (
        taking.issuer,
        taking.currency,
    ):
        raise SOURCE_NOT_ALLOWED.error(
            "Both must be cards of one issuer, and two.", rule="ruling 11", field="paying_card"
        )


def give(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """Paid value leaves the card that pays. What was given to it stays.

    Raises `secret_not_accepted`, `paying_card_stopped`, `paying_card_short`.
    """
    shown = terms.giving.card, terms.secret_version
    if root is None or (root.card, root.secret_version) != shown:
        raise SECRET_NOT_ACCEPTED.error()
    if root.state != RootState.ACTIVE or is_over(root, moment):
        raise CARD_CANNOT_GIVE.error(rule="P-10", field="paying_card")
    amount = terms.topup.amount_fen
    if root.principal_fen < amount:
        raise CARD_SHORT.error(rule="P-16", field="amount")
    left = Left(
        terms.topup.id,
        root.card,
        terms.taking.card,
        amount,
        root.currency,
        root.available_fen - amount,
    )
    move = Move(Account.PRINCIPAL, Account.TRANSIT, amount, Purpose.TRANSFER, root.issuer)
    return Decision(result=left, moves=(move,), events=(Event("card.paid_for_topup", left),))


def take(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """It arrives as a lot of its own. It is no sale: nothing is given on top, nothing invoiced.

    Raises `secret_not_accepted`, `card_cannot_be_loaded`, `over_balance_limit`.
    """
    if root is None or root.card != terms.topup.card or root.state == RootState.INACTIVE:
        raise SECRET_NOT_ACCEPTED.error()
    if root.state != RootState.ACTIVE or is_over(root, moment):
        raise CARD_CANNOT_LOAD.error(rule="P-10")
    amount, side = terms.topup.amount_fen, terms.taking
    over = limit_after_credit(side.rules, side.card_class, root.balance_fen + amount)
    if over is not None:
        raise over
    after = replace(
        terms.topup,
        status=Status.CONFIRMED,
        issuer=root.issuer,
        balance_after_fen=root.available_fen + amount,
        created_us=moment.us,
        day=moment.day.toordinal(),
        confirmed_us=moment.us,
    )
    move = Move(
        Account.TRANSIT, Account.PRINCIPAL, amount, Purpose.TRANSFER, root.issuer, terms.out
    )
    lot = Lot(amount, 0, amount, moment.day, after.store, root.issuer, CARD, terms.giving.holder)
    return Decision(
        result=after,
        moves=(move,),
        lot=lot,
        rows=((terms.insert, after),),
        events=(Event("topup.confirmed", told(after)),),
    )
