"""What the routes share: the payment in scope, where it happens, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Request

from kabao.base.db import Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, idempotency_key
from kabao.base.web.principal import Principal
from kabao.merchants.model import Alone, OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.http.bodies import AtTill, canonical
from kabao.payments.model import AMOUNT_EXCEEDS, Ask, Payment, Place
from kabao.payments.ops import Payments

Mac = Callable[[bytes], bytes]
"""A keyed hash over a parsed body."""


class Desk:
    """What the cold routes share: the payment in scope, and who asks."""

    def __init__(
        self, db: Database, payments: Payments, org: Org, merchants: Merchants, mac: Mac
    ) -> None:
        self.db, self.payments = db, payments
        self._org, self._merchants, self._mac = org, merchants, mac

    async def find(self, principal: Principal, ident: str) -> Payment:
        """A payment inside the key's scope. Raises `not_found`."""
        async with self.db.read() as conn:
            payment = await self.payments.get(conn, from_edge("pay", ident))
        self.check(principal, payment)
        return payment

    def check(self, principal: Principal, payment: Payment) -> None:
        """Raises `not_found` for a payment outside the scope."""
        store = self._org.store(payment.store)
        if (
            store is None
            or not principal.may_see_store(payment.store)
            or not principal.may_see_company(store.company)
        ):
            raise NOT_FOUND.error("There is no such payment.")

    async def place(self, payment: Payment, till: AtTill, ask: Ask) -> Place:
        """Where a later verb happens. Raises what `Merchants.till` raises, unless this
        was done before: then it is only answered again, whoever works there now.

        Without a till of its own it counts where the payment did, as long as
        that shift is still open.
        """
        if till.terminal is None and till.cashier is None:
            return self.place_of(payment)
        if await self.payments.was_done(ask):
            return Place(payment.store, channel=payment.channel)
        found = await self._merchants.find_till(
            payment.store,
            from_edge("ter", till.terminal, field="terminal") if till.terminal else None,
            from_edge("csh", till.cashier, field="cashier") if till.cashier else None,
        )
        return Place(
            payment.store,
            found.terminal.id if found.terminal else None,
            found.cashier.id if found.cashier else None,
            found.shift.id if found.shift else None,
            payment.channel,
        )

    async def allow(
        self,
        payment: Payment,
        wanted: tuple[OverrideVerb, int],
        override: str | None,
        place: Place,
        ask: Ask,
    ) -> Alone | None:
        """A cashier may need a supervisor for a verb and its amount in fen; a program
        that acts by itself has its key. The cashier is the one it is booked on,
        said or not. Returns what a cashier without one may give back.

        Raises `override_needed`, `override_not_valid`, `amount_exceeds_remaining`.
        """
        if place.cashier is None or await self.payments.was_done(ask):
            return None
        verb, amount_fen = wanted
        left_fen = payment.refundable_fen
        if verb is OverrideVerb.REFUND and amount_fen > left_fen > 0:
            # No supervisor is called for what cannot be.
            raise AMOUNT_EXCEEDS.error(f"{left_fen} fen are left to refund.")
        return await self._merchants.overrides.require(
            OverrideAsk(
                verb=verb,
                store=payment.store,
                cashier=place.cashier,
                subject=to_edge("pay", payment.id),
                amount_fen=amount_fen,
            ),
            from_edge("ovr", override, field="override") if override else None,
            key=f"{ask.company}/{ask.key}",
            made_us=payment.created_us,
            before_fen=payment.refunded_fen,
        )

    def place_of(self, payment: Payment) -> Place:
        """The till of a payment whose shift is still open; else the store alone."""
        shift = self._merchants.open_shift(payment.cashier) if payment.cashier else None
        if shift is None or shift.id != payment.shift:
            return Place(payment.store, channel=payment.channel)
        return Place(
            payment.store, payment.terminal, payment.cashier, payment.shift, payment.channel
        )

    def company(self, payment: Payment) -> str:
        """The company in whose store it was made."""
        store = self._org.store(payment.store)
        assert store is not None, "a payment without a store"
        return store.company

    def stores(self, principal: Principal) -> list[str] | None:
        """The stores a list may show; None: every one."""
        return self._org.stores_within(principal.companies, principal.stores)

    def ask(
        self, request: Request[Any, Any, Any], principal: Principal, verb: str, *body: object
    ) -> Ask:
        """The idempotency of a later verb: its key, and the MAC of what was said."""
        key = idempotency_key(request.headers.get(KEY_HEADER))
        return Ask(principal.company, f"{verb}/{key}", self._mac(canonical(body)))
