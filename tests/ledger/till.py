"""The real commands of paying and topping up, for cards that need no look-up."""

from __future__ import annotations

from datetime import date
from typing import Any

from kabao.base.ids import SequentialIds
from kabao.cards.model import CardClass, Carrier, Proof, Resolved
from kabao.cards.states import CardState
from kabao.ledger.model import Dimensions, Root
from kabao.payments import sql
from kabao.payments.after import Capture, Expire, GiveBack, Reverse, Void
from kabao.payments.model import Limits, Payment, Place
from kabao.payments.pay import Pay, Request, Terms, command
from kabao.payments.rules import No, dimensions
from kabao.policy import reading
from kabao.policy.choices import RefundOrder, RiskAction, SpendOrder, VoidWindow
from kabao.policy.model import Rules
from kabao.topups import model as topups
from kabao.topups import sql as topups_sql

MINUTE_US = 60_000_000

LIMITS = Limits(
    single_fen=500_000,
    day_count=1_000,
    day_sum_fen=5_000_000,
    burst_from_count=1_000,
    burst_window_us=5 * MINUTE_US,
    burst_action=RiskAction.WATCH,
    sudden_from_fen=10_000_000,
    sudden_action=RiskAction.WATCH,
    pin_tries=3,
    pin_lock_us=30 * MINUTE_US,
    hold_us=30 * MINUTE_US,
    spend_order=SpendOrder.PRINCIPAL_FIRST,
    partial=True,
    void_window=VoidWindow.SAME_BUSINESS_DAY,
    refund_window_days=10_000,
    refund_order=RefundOrder.REVERSE_OF_SPEND,
    balance_limit_fen=500_000,
    rows={name: "test" for name in Limits.__struct_fields__},
)


def rules(on: date) -> Rules:
    """What the national pack says."""
    return reading.load(()).resolve("national", on, {})


class Till:
    """Makes commands of one store. Keys are named, so that they can be repeated."""

    def __init__(
        self, company: str, store: str, ids: SequentialIds, limits: Limits = LIMITS
    ) -> None:
        self.company, self.store, self.ids, self.limits = company, store, ids, limits

    def card(self, root: Root, proof: Proof = Proof.RIGHT) -> Resolved:
        """What a look-up would have found."""
        return Resolved(
            card=root.card,
            root=root.id,
            programme=root.programme,
            issuer=root.issuer,
            last4="0000",
            secret_version=root.secret_version,
            state_of_carrier=CardState.ACTIVE,
            carrier=Carrier.ELECTRONIC,
            proof=proof,
        )

    def pay(
        self,
        root: Root | None,
        fen: int,
        key: str | None = None,
        *,
        hold: bool = False,
        partial: bool = False,
        proof: Proof = Proof.RIGHT,
        refused: No | None = None,
    ) -> Pay:
        """A payment or a hold; of an unknown card without a root."""
        ident = self.ids.new()
        request = Request(
            id=ident,
            company=self.company,
            key=f"pay/{key or ident}",
            mac=f"{root.id if root else ''}{fen}".encode(),
            amount_fen=fen,
            currency="CNY",
            place=Place(self.store),
            capture=not hold,
            accept_partial=partial,
        )
        card = self.card(root, proof) if root is not None else None
        terms = Terms(self.limits, refused, None) if root is not None else None
        return command(request, card, terms)

    def _about(self, payment: Payment, verb: str, key: str | None) -> dict[str, Any]:
        ident = self.ids.new()
        return {
            "company": self.company,
            "operation": ident,
            "key": f"{verb}/{key or ident}",
            "mac": payment.id.encode(),
            "root": payment.root,
            "dims": dimensions(Place(payment.store)),
            "loader": sql.load,
            "wanted": payment.id,
        }

    def capture(
        self, payment: Payment, fen: int | None, key: str | None = None, *, final: bool = True
    ) -> Capture:
        about = self._about(payment, "capture", key)
        return Capture(**about, amount_fen=fen, final=final)

    def void(self, payment: Payment, key: str | None = None) -> Void:
        return Void(**self._about(payment, "void", key), limits=self.limits, shift=None)

    def refund(self, payment: Payment, fen: int | None, key: str | None = None) -> GiveBack:
        about = self._about(payment, "refund", key)
        return GiveBack(**about, amount_fen=fen, limits=self.limits)

    def reverse(self, payment: Payment, key: str | None = None) -> Reverse:
        return Reverse(**self._about(payment, "reverse", key))

    def expire(self, payment: Payment) -> Expire:
        return Expire(**(self._about(payment, "expire", payment.id) | {"mac": b""}))

    def load(
        self, root: Root, fen: int, on: date, card_class: CardClass = CardClass.REGISTERED
    ) -> topups.Load:
        """Cash at the counter."""
        ident = self.ids.new()
        topup = topups.TopUp(
            id=ident,
            company=self.company,
            root=root.id,
            card=root.card,
            last4="0000",
            store=self.store,
            terminal=None,
            cashier=None,
            shift=None,
            channel="cash",
            reference=None,
            amount_fen=fen,
            currency="CNY",
            status=topups.Status.CONFIRMED,
            balance_after_fen=0,
            confirmed_by=None,
            created_us=0,
            day=0,
        )
        return topups.Load(
            company=self.company,
            operation=ident,
            key=f"topup/{ident}",
            root=root.id,
            dims=Dimensions(selling_store=self.store, channel="cash"),
            topup=topup,
            source=self.card(root),
            rules=rules(on),
            card_class=card_class,
            selling_company=self.company,
            payer=None,
            refused=None,
            insert=topups_sql.insert_topups,
        )
