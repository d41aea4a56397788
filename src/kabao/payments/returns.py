"""Goods returned without the card: a refund to a new card of the same programme (CR-20).

Two linked transfers, as always when value goes from card to card: the refund
passes through the card that paid, into the issuer's transit account, and from
there to the new card. Never to cash; bonus stays bonus.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from kabao.base.db import Conn
from kabao.base.ids import Ids
from kabao.base.money import MAX_FEN
from kabao.cards.claims import By
from kabao.cards.limits import limit_after_credit
from kabao.cards.model import STATUS, Carrier, Issued, NewCard, Programme
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.ledger.model import (
    Account,
    Act,
    Decision,
    Lot,
    Moment,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger
from kabao.payments import rules, sql
from kabao.payments.after import GiveBack, Refunded
from kabao.payments.model import Payment, Place, Refund, Returned
from kabao.payments.ops import Payments
from kabao.policy.model import Rules

CHANNEL = "return"
NEW_CARD = "new_card"
"""The destination of such a refund."""

_ON = ((Account.PRINCIPAL, Account.TRANSIT), (Account.BONUS, Account.TRANSIT))
_IN = ((Account.TRANSIT, Account.PRINCIPAL), (Account.TRANSIT, Account.BONUS))


class PassOn(GiveBack, frozen=True, kw_only=True):
    """A refund that only passes through the card that paid."""

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """As a refund to that card, whatever stopped it, and on into transit.

        Raises as a refund does: `payment_state_forbids`, `refund_window_over`,
        `amount_exceeds_remaining`.
        """
        assert root is not None, "a payment that moved value has a root"
        done = super().decide(replace(root, state=RootState.ACTIVE), moment, loaded)
        refund: Refund = replace(done.result.refund, destination=NEW_CARD)
        payment: Payment = replace(done.result.payment, balance_after_fen=root.available_fen)
        on = rules.moves(
            refund.principal_fen,
            refund.bonus_fen,
            *_ON,
            Purpose.TRANSFER,
            house=root.issuer,
            related=payment.id,
        )
        return replace(
            done,
            result=Refunded(payment, refund),
            moves=done.moves + on,
            rows=((sql.update_payments, payment), (sql.insert_refunds, refund)),
            loaded=payment,
        )


class Returns:
    """Take goods back from somebody who has the slip and not the card."""

    def __init__(
        self, ledger: Ledger, cards: Cards, life: Life, payments: Payments, ids: Ids
    ) -> None:
        self._ledger, self._cards, self._life = ledger, cards, life
        self._payments, self._ids = payments, ids

    async def give_back(
        self, conn: Conn, payment: Payment, amount_fen: int | None, by: By
    ) -> Returned:
        """Refund part or all of a payment to a new electronic card of the same programme.

        A registered card's heir is its holder's. One transaction: the refund,
        the new card and its value are there together or not at all.

        Raises:
            KabaoError: as a refund does; `programme_state`, `carrier_not_offered`,
                `stopped`, `holder_not_identified`, `number_range_full`,
                `over_balance_limit`.
        """
        assert payment.root is not None and payment.card is not None
        # First the card that paid: roots are locked before number ranges.
        await self._ledger.lock(conn, [payment.root])
        old = await self._cards.find_card(conn, payment.card)
        programme = await self._cards.find_programme(conn, old.programme)
        issued = await self._issue(conn, programme, old.holder, by)
        done: Refunded
        (done,) = await self._ledger.post_in(
            conn, [self._refund(programme, payment, amount_fen, by)]
        )
        arrival = self._arrival(
            done,
            issued,
            programme,
            self._cards.rules_of(programme, self._cards.today(programme)),
            by,
        )
        await self._ledger.post_in(conn, [arrival])
        return Returned(done.payment, done.refund, issued.card, issued.secrets)

    async def _issue(self, conn: Conn, programme: Programme, holder: str | None, by: By) -> Issued:
        """A card that can be used at once."""
        new = NewCard(programme=programme.id, carrier=Carrier.ELECTRONIC, holder=holder)
        issued = await self._cards.issue(conn, new, by)
        if STATUS[issued.card.state] == "active":
            return issued
        active = await self._life.activate(conn, issued.card.id, by, holder=holder)
        return msgspec.structs.replace(issued, card=active)

    def _refund(
        self, programme: Programme, payment: Payment, amount_fen: int | None, by: By
    ) -> PassOn:
        operation = self._ids.new()
        return PassOn(
            company=by.company,
            operation=operation,
            key=f"return/{operation}",  # idempotency is the door's: the answer holds a secret
            root=payment.root,
            dims=rules.dimensions(_at(payment, by)),
            loader=sql.load,
            wanted=payment.id,
            amount_fen=amount_fen,
            # What it passes through has no limit; where it arrives, `_arrival` looks.
            limits=replace(self._payments.limits(programme.id), balance_limit_fen=2 * MAX_FEN),
        )

    def _arrival(
        self, done: Refunded, issued: Issued, programme: Programme, terms: Rules, by: By
    ) -> Act:
        """What the refund sent on comes to the new card, as a load of its own."""
        refund = done.refund

        def run(root: Root | None, moment: Moment) -> Decision:
            assert root is not None, "a new card has a root"
            after = root.balance_fen + refund.amount_fen
            over = limit_after_credit(terms, programme.card_class, after)
            if over is not None:
                raise over
            # It counts as paid for today, as a correction does (CR-24).
            lot = Lot(
                refund.principal_fen,
                refund.bonus_fen,
                refund.principal_fen,
                moment.day,
                None,
                root.issuer,
                CHANNEL,
            )
            moves = rules.moves(
                refund.principal_fen,
                refund.bonus_fen,
                *_IN,
                Purpose.TRANSFER,
                house=root.issuer,
                related=done.payment.id,
            )
            return Decision(result={"card": issued.card.id}, moves=moves, lot=lot)

        return Act(
            company=by.company,
            operation=self._ids.new(),
            root=issued.card.root,
            run=run,
            dims=rules.dimensions(_at(done.payment, by)),
        )


def _at(payment: Payment, by: By) -> Place:
    """The till that takes the goods back, in the store that sold them."""
    return Place(payment.store, by.terminal, by.cashier, by.shift, CHANNEL)
