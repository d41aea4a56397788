"""What an issuer lends for a payment while its dispute is looked into, and takes back.

A provisional credit goes to the card that paid, into the loads it was paid from, as a
refund would; but the store is not charged: the issuer's account `disputed` is. What is
lent is no longer there to be refunded, so that a payment never gives back more than it
took (I-6). Posted in the caller's transaction, who keeps the dispute.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import Kind, code
from kabao.base.ids import Ids
from kabao.ledger.model import (
    Account,
    CommandBase,
    Decision,
    Event,
    HouseMove,
    Moment,
    Move,
    Purpose,
    Root,
    RootState,
)
from kabao.ledger.ops import Ledger
from kabao.payments import rules, sql
from kabao.payments.model import AMOUNT_EXCEEDS, WRONG_STATE, Limits, Payment, Place, Status
from kabao.payments.ops import Payments
from kabao.payments.pay import told

_replace = msgspec.structs.replace

CHANNEL = "dispute"
RULE = "C-04"

_LEND = ((Account.DISPUTED, Account.PRINCIPAL), (Account.DISPUTED, Account.BONUS))
_TAKE = ((Account.PRINCIPAL, Account.DISPUTED), (Account.BONUS, Account.DISPUTED))

NO_ROOM = code(
    "card_takes_no_credit",
    Kind.REFUSED,
    "The card has ended, or has no room for a provisional credit.",
)


class Lent(msgspec.Struct, frozen=True):
    """What was lent, and where it went."""

    operation: str
    principal_fen: int
    bonus_fen: int
    suspended: bool
    """It fitted no card and waits in suspense."""

    @property
    def amount_fen(self) -> int:
        """Both together."""
        return self.principal_fen + self.bonus_fen


class TakenBack(msgspec.Struct, frozen=True):
    """What of a credit was still on the card; the rest its holder owes."""

    operation: str
    taken_fen: int
    missing_fen: int


class Lend(CommandBase, frozen=True, kw_only=True):
    """Lend so much of a payment, or as much as is left of it."""

    amount_fen: int
    limits: Limits
    for_good: bool
    """It will not be taken back: what fits no card waits in suspense, as a refund would."""

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Never more than the payment took and has not given back."""
        del moment
        payment, limits = loaded, self.limits
        if payment.status not in {Status.CAPTURED, Status.PARTIALLY_CAPTURED}:
            raise WRONG_STATE.error(f"The payment is {payment.status}.", rule=RULE)
        assert root is not None, "what was captured has a root"
        amount = min(self.amount_fen, payment.refundable_fen)
        if not amount:
            raise AMOUNT_EXCEEDS.error("All of it was given back.", rule=RULE)
        over = root.balance_fen + amount > limits.balance_limit_fen
        homeless = over or root.state == RootState.CLOSED
        if homeless and not self.for_good:
            raise NO_ROOM.error(rule=limits.rows["balance_limit_fen"] if over else "CR-20")
        principal, bonus = rules.give_back(
            amount,
            payment.principal_left_fen,
            payment.bonus_left_fen,
            rules.refund_order(limits.refund_order, limits.spend_order),
        )
        moves: tuple[Move, ...] = ()
        for accounts in (_LEND, rules.SUSPEND) if homeless else (_LEND,):
            moves += rules.moves(
                principal,
                bonus,
                *accounts,
                Purpose.DISPUTE_CREDIT,
                house=root.issuer,
                related=payment.id,
            )
        after = _replace(
            payment,
            lent_principal_fen=payment.lent_principal_fen + principal,
            lent_bonus_fen=payment.lent_bonus_fen + bonus,
        )
        return Decision(
            result=Lent(self.operation, principal, bonus, homeless),
            moves=moves,
            rows=((sql.store_lent, after),),
            events=(Event("refund.suspended", told(after)),) if homeless else (),
            loaded=after,
        )


class TakeBack(CommandBase, frozen=True, kw_only=True):
    """Take back what was lent, as far as it is still on the card."""

    principal_fen: int
    bonus_fen: int

    def decide(self, root: Root | None, moment: Moment, loaded: Payment) -> Decision:
        """Whatever stopped the card: the value was never the holder's for good."""
        del moment
        payment = loaded
        assert root is not None, "what was lent went to a root"
        principal = min(self.principal_fen, root.principal_fen)
        bonus = min(self.bonus_fen, root.bonus_fen)
        moves = rules.moves(
            principal,
            bonus,
            *_TAKE,
            Purpose.DISPUTE_OUTCOME,
            house=root.issuer,
            related=payment.id,
        )
        after = _replace(
            payment,
            lent_principal_fen=payment.lent_principal_fen - self.principal_fen,
            lent_bonus_fen=payment.lent_bonus_fen - self.bonus_fen,
        )
        missing = self.principal_fen + self.bonus_fen - principal - bonus
        return Decision(
            result=TakenBack(self.operation, principal + bonus, missing),
            moves=moves,
            rows=((sql.store_lent, after),),
            loaded=after,
        )


class Lending:
    """Lend for a payment, take back, and say who bears what stays lent."""

    def __init__(self, ledger: Ledger, payments: Payments, ids: Ids) -> None:
        self._ledger, self._payments, self._ids = ledger, payments, ids

    async def lock(self, conn: Conn, payment_id: str) -> tuple[Payment, Root | None]:
        """A payment as it stays until the transaction ends. Raises `not_found`."""
        payment = await self._payments.get(conn, payment_id)
        if payment.root is None:
            return payment, None
        roots = await self._ledger.lock(conn, [payment.root])
        return await self._payments.get(conn, payment_id), roots[payment.root]

    async def lend(
        self, conn: Conn, payment: Payment, root: Root, amount_fen: int, *, for_good: bool
    ) -> Lent:
        """Lend so much, or what is left of the payment.

        Raises `amount_exceeds_remaining`, `payment_state_forbids`, `card_takes_no_credit`.
        """
        command = Lend(
            **self._about(payment, root),
            amount_fen=amount_fen,
            limits=self._payments.limits(root.programme),
            for_good=for_good,
        )
        lent: Lent = (await self._ledger.post_in(conn, [command]))[0]
        return lent

    async def take_back(
        self, conn: Conn, payment: Payment, root: Root, lent: tuple[int, int], dispute: str
    ) -> TakenBack:
        """Take back principal and bonus; what is gone becomes a claim on the holder."""
        command = TakeBack(**self._about(payment, root), principal_fen=lent[0], bonus_fen=lent[1])
        taken: TakenBack = (await self._ledger.post_in(conn, [command]))[0]
        if taken.missing_fen:
            await self._bear(conn, root, taken.missing_fen, dispute, Account.RECEIVABLE)
        return taken

    async def charge_store(
        self, conn: Conn, payment: Payment, root: Root, amount_fen: int, dispute: str
    ) -> None:
        """What stays lent is taken off what the store is owed."""
        await self._bear(conn, root, amount_fen, dispute, Account.REDEEMED, payment.store)

    async def bear(self, conn: Conn, root: Root, amount_fen: int, dispute: str) -> None:
        """What stays lent is the issuer's loss."""
        await self._bear(conn, root, amount_fen, dispute, Account.LOSS)

    async def _bear(
        self,
        conn: Conn,
        root: Root,
        amount_fen: int,
        dispute: str,
        account: Account,
        owner: str | None = None,
    ) -> None:
        move = HouseMove(
            debit=account,
            debit_owner=owner or root.issuer,
            credit=Account.DISPUTED,
            credit_owner=root.issuer,
            amount_fen=amount_fen,
            purpose=Purpose.DISPUTE_OUTCOME,
            issuer=root.issuer,
            currency=root.currency,
            related=dispute,
        )
        await self._ledger.move_in(
            conn, [move], company=root.issuer, key=f"dispute-outcome/{dispute}"
        )

    def _about(self, payment: Payment, root: Root) -> dict[str, Any]:
        operation = self._ids.new()
        return {
            "company": root.issuer,
            "operation": operation,
            "key": f"dispute/{operation}",  # idempotency is the door's
            "root": root.id,
            "dims": rules.dimensions(Place(payment.store, channel=CHANNEL)),
            "loader": sql.load,
            "wanted": payment.id,
        }
