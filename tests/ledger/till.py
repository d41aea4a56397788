"""The real commands of paying and topping up, for cards that need no look-up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any, cast

import msgspec

from kabao.base.db import Conn
from kabao.base.ids import SequentialIds
from kabao.cards.model import CardClass, Carrier, Proof, Resolved
from kabao.cards.states import CardState
from kabao.ledger import sql as ledger_sql
from kabao.ledger.lots import derive
from kabao.ledger.model import Dimensions, Root
from kabao.payments import sql
from kabao.payments.after import Capture, Expire, GiveBack, Reverse, Void
from kabao.payments.lending import Lend, Lent, TakeBack
from kabao.payments.model import Limits, Payment, Place
from kabao.payments.ops import limits_of
from kabao.payments.pay import Pay, Request, Terms, command
from kabao.payments.rules import No, dimensions
from kabao.policy import reading
from kabao.policy.choices import RefundOrder, SpendOrder
from kabao.policy.model import Rules
from kabao.policy.names import CARD_LOT_ORDER
from kabao.topups import model as topups
from kabao.topups import sql as topups_sql

MINUTE_US = 60_000_000


@cache
def rules(on: date) -> Rules:
    """What the national pack says."""
    return reading.load(()).resolve("national", on, {})


class _Registered:
    """All that limits need to know of a programme."""

    card_class = CardClass.REGISTERED


LIMITS = msgspec.structs.replace(
    limits_of(rules(date(2026, 11, 22)), cast("Any", _Registered)),
    single_fen=500_000,
    day_count=1_000,
    day_sum_fen=5_000_000,
    burst_from_count=1_000,
    sudden_from_fen=10_000_000,
    hold_us=30 * MINUTE_US,
    spend_order=SpendOrder.PRINCIPAL_FIRST,
    partial=True,
    refund_window_days=10_000,
    refund_order=RefundOrder.REVERSE_OF_SPEND,
)
"""Policy's, with what would be in the way of most tests made wide."""


async def known_topups(conn: Conn, wanted: Sequence[Any]) -> dict[Any, topups.Known]:
    """Top-ups and the lots of their cards, as `TopUps` loads them."""
    found = await topups_sql.load(conn, [ident for ident, _, _ in wanted])
    known = {}
    for ident, root, order in dict.fromkeys(wanted):
        history = await ledger_sql.transfers_ascending(conn, root, 0, 10_000)
        derived = derive(await ledger_sql.lots(conn, root), history, order)
        known[ident, root, order] = topups.Known(found[ident], derived, history[-1].seq)
    return known


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
            pin_proved=proof == Proof.RIGHT,
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
        terminal: str | None = None,
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
            place=Place(self.store, terminal),
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

    def lend(self, payment: Payment, fen: int) -> Lend:
        about = self._about(payment, "dispute", None)
        return Lend(**about, amount_fen=fen, limits=self.limits, for_good=False)

    def take_back(self, payment: Payment, lent: Lent) -> TakeBack:
        about = self._about(payment, "dispute", None)
        return TakeBack(**about, principal_fen=lent.principal_fen, bonus_fen=lent.bonus_fen)

    def reverse(self, payment: Payment, key: str | None = None) -> Reverse:
        return Reverse(**self._about(payment, "reverse", key), limits=self.limits)

    def expire(self, payment: Payment) -> Expire:
        return Expire(**(self._about(payment, "expire", payment.id) | {"mac": b""}))

    def load(
        self,
        root: Root,
        fen: int,
        on: date,
        card_class: CardClass = CardClass.REGISTERED,
        *,
        proof: Proof = Proof.RIGHT,
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
            shift=self.store,
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
            loading=topups.Loading(
                topup=topup,
                source=self.card(root, proof),
                rules=rules(on),
                card_class=card_class,
                selling_company=self.company,
                refused=None,
            ),
            insert=topups_sql.insert_topups,
        )

    def unload(self, topup: topups.TopUp, on: date) -> topups.Void:
        """The void of a top-up, confirmed by a supervisor."""
        ident = self.ids.new()
        return topups.Void(
            company=self.company,
            operation=ident,
            key=f"topup-void/{ident}",
            root=topup.root,
            dims=Dimensions(selling_store=self.store, channel="cash"),
            loader=known_topups,
            wanted=(topup.id, topup.root, rules(on).text(CARD_LOT_ORDER)),
            topup=topup.id,
            shift=topup.shift,
            supervisor=self.company,
            rules=rules(on),
            update=topups_sql.update_topups,
        )
