"""Manual adjustments: what two people agree to correct on a card, and nobody alone.

An adjustment moves paid value between a card and the issuer's account
`adjustment`, whose balance is thereby the sum of all corrections. Its record
is the approval (who, who else, why, which card, how much) and the transfer,
whose operation is the approval's id.
"""

from __future__ import annotations

from functools import partial

import msgspec

from kabao.access.model import Approval, Executor
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, Kind, code
from kabao.base.ids import from_edge, to_edge
from kabao.cards.limits import limit_after_credit
from kabao.cards.model import CardClass
from kabao.cards.ops import Cards
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    Dimensions,
    Event,
    Lot,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger
from kabao.payments.model import WRONG_CURRENCY
from kabao.policy.model import Rules

ADJUST_ACTION = "adjustment"
"""What an approval of an adjustment is called in policy `approval.actions`."""

CANNOT_ADJUST = code(
    "card_cannot_be_adjusted",
    Kind.REFUSED,
    "A card that nobody has, that was replaced or has ended, stays as it is.",
)
TOO_LITTLE = code(
    "adjustment_exceeds_balance", Kind.REFUSED, "There is not that much paid value free to take."
)

CHANNEL = "adjustment"
_NOT_HELD = frozenset({RootState.INACTIVE, RootState.CLOSED})


class Adjustment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction that waits for the second person. `amount` in fen; below zero it takes."""

    card: str
    amount: int
    currency: str


class Adjusted(msgspec.Struct, frozen=True):
    """What an approved correction did, and what the card is worth since."""

    operation: str
    card: str
    amount: int
    currency: str
    balance: int
    available: int


class Terms(msgspec.Struct, frozen=True):
    """What decides about a correction besides the card's root."""

    card: str
    amount_fen: int
    currency: str
    rules: Rules
    card_class: CardClass
    operation: str


def decide(terms: Terms, root: Root | None, moment: Moment) -> Decision:
    """Correct a card's paid value under its lock. Pure.

    A frozen, lost or expired card may be corrected as well: what stopped it is
    often the reason. Value that is added counts as paid for today, so that the
    statutory refund gives it back whole (CR-24).

    Raises `invalid` (nothing to correct), `card_cannot_be_adjusted`,
    `wrong_currency`, `over_balance_limit`, `adjustment_exceeds_balance`.
    """
    assert root is not None, "a card has a root"
    amount = terms.amount_fen
    if not amount:
        raise INVALID.error("Nothing is corrected by 0.", field="amount")
    if root.card != terms.card or root.state in _NOT_HELD:
        raise CANNOT_ADJUST.error(rule="P-10", field="card")
    if root.currency != terms.currency:
        raise WRONG_CURRENCY.error(field="currency")
    lot = None
    if amount > 0:
        over = limit_after_credit(terms.rules, terms.card_class, root.balance_fen + amount)
        if over is not None:
            raise over
        move = Move(Account.ADJUSTMENT, Account.PRINCIPAL, amount, Purpose.ADJUSTMENT, root.issuer)
        lot = Lot(amount, 0, amount, moment.day, None, root.issuer, CHANNEL)
    else:
        if root.principal_fen < -amount:
            raise TOO_LITTLE.error(rule="P-16", field="amount")
        move = Move(Account.PRINCIPAL, Account.ADJUSTMENT, -amount, Purpose.ADJUSTMENT, root.issuer)
    done = Adjusted(
        operation=to_edge("op", terms.operation),
        card=to_edge("card", terms.card),
        amount=amount,
        currency=root.currency,
        balance=root.balance_fen + amount,
        available=root.available_fen + amount,
    )
    return Decision(result=done, moves=(move,), lot=lot, events=(Event("card.adjusted", done),))


class Adjustments:
    """Check a correction, and make it once it is agreed to."""

    def __init__(self, ledger: Ledger, cards: Cards, clock: Clock, days: BusinessDays) -> None:
        self._ledger, self._cards, self._clock, self._days = ledger, cards, clock, days

    async def issuer(self, conn: Conn, card: str) -> str:
        """The company whose card it is. Raises `not_found`."""
        return (await self._root(conn, from_edge("card", card, field="card"))).issuer

    async def check(self, conn: Conn, asked: Adjustment) -> None:
        """Whether a correction would be possible now. Raises `not_found`, and as `decide`."""
        root, terms = await self._terms(conn, asked, "")
        us = self._clock.now_us()
        decide(terms, root, Moment(us, self._days.of(us)))

    async def adjust(self, conn: Conn, asked: Adjustment, approval: Approval) -> Adjusted:
        """Correct a card in the approving transaction. Raises as `check`."""
        root, terms = await self._terms(conn, asked, approval.id)
        act = Act(
            company=approval.company,
            operation=approval.id,
            root=root.id,
            dims=Dimensions(channel=CHANNEL),
            run=partial(decide, terms),
        )
        done: Adjusted = (await self._ledger.post_in(conn, [act]))[0]
        return done

    async def _terms(self, conn: Conn, asked: Adjustment, operation: str) -> tuple[Root, Terms]:
        ident = from_edge("card", asked.card, field="card")
        root = await self._root(conn, ident)
        programme = await self._cards.find_programme(conn, root.programme)
        rules = self._cards.rules_of(programme, self._cards.today(programme))
        terms = Terms(ident, asked.amount, asked.currency, rules, programme.card_class, operation)
        return root, terms

    async def _root(self, conn: Conn, ident: str) -> Root:
        card = await self._cards.find_card(conn, ident)
        root = await self._ledger.root(conn, card.root)
        if root is None:
            raise NOT_FOUND.error("There is no such card.", field="card")
        return root


def adjust_executors(
    adjustments: Adjustments,
) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload."""

    async def adjust(conn: Conn, asked: Adjustment, approval: Approval) -> Adjusted:
        return await adjustments.adjust(conn, asked, approval)

    return [(ADJUST_ACTION, adjust, Adjustment)]
