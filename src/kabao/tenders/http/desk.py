"""What the routes share: which orders a key sees, and where a sale happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response

from kabao.base.clock import Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.merchants.model import Alone, OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import UNKNOWN_STORE, Place
from kabao.tenders.http.bodies import AtTill, OrderBody, UndoBody
from kabao.tenders.http.views import PaymentOrderView, order_view
from kabao.tenders.model import EXCEEDS, PaymentOrder
from kabao.tenders.ops import Tenders

_KEY_OF = {OverrideVerb.VOID: "order-cancel", OverrideVerb.REFUND: "order-refund"}


class SalesDesk:
    """Orders in a key's scope, and the tills they are opened at."""

    def __init__(
        self,
        db: Database,
        tenders: Tenders,
        org: Org,
        merchants: Merchants,
        once: Once,
        clock: Clock,
    ) -> None:
        self.db, self.tenders, self._org, self._merchants = db, tenders, org, merchants
        self._once, self._clock = once, clock

    async def find(self, principal: Principal, ident: str) -> PaymentOrder:
        """An order inside the key's scope. Raises `not_found`."""
        async with self.db.read() as conn:
            order = await self.tenders.get(conn, from_edge("pmo", ident))
        if not self._sees(principal, order.store):
            raise NOT_FOUND.error("There is no such payment order.")
        return order

    async def change(
        self,
        request: Request[Any, Any, Any],
        principal: Principal,
        said: Any,
        verb: Callable[[Conn], Awaitable[PaymentOrder]],
    ) -> Response[PaymentOrderView]:
        """Do something to an order once, and show it."""

        async def work(conn: Conn) -> PaymentOrderView:
            return self.view(await verb(conn))

        return await self._once(request, principal, said, work)

    # Where it happens

    def opened_at(self, principal: Principal, body: OrderBody) -> Place:
        """Where a sale happens. Raises `unknown_store`, and for a till that may not."""
        store = from_edge("sto", body.store, field="store")
        if not self._sees(principal, store):
            raise UNKNOWN_STORE.error(field="store")
        terminal = from_edge("ter", body.terminal, field="terminal") if body.terminal else None
        cashier = from_edge("csh", body.cashier, field="cashier") if body.cashier else None
        till = self._merchants.till(store, terminal, cashier)
        return Place(store, terminal, cashier, till.shift.id if till.shift else None)

    def place_of(self, order: PaymentOrder) -> Place:
        """The till of an order whose shift is still open; else the store alone."""
        if order.shift is None or order.shift != self.shift(order):
            return Place(order.store)
        return Place(order.store, order.terminal, order.cashier, order.shift)

    async def at(
        self,
        request: Request[Any, Any, Any],
        principal: Principal,
        order: PaymentOrder,
        till: AtTill,
    ) -> Place:
        """Where a later verb happens: at the till that is named, or else where the order
        was opened, as long as that shift is open. What was done before is only answered
        again, whoever works there now.

        Raises what `Merchants.till` raises.
        """
        if till.terminal is None and till.cashier is None:
            return self.place_of(order)
        if await self._once.answered(request, principal):
            return Place(order.store)
        found = await self._merchants.find_till(
            order.store,
            from_edge("ter", till.terminal, field="terminal") if till.terminal else None,
            from_edge("csh", till.cashier, field="cashier") if till.cashier else None,
        )
        return Place(
            order.store,
            found.terminal.id if found.terminal else None,
            found.cashier.id if found.cashier else None,
            found.shift.id if found.shift else None,
        )

    def company(self, order: PaymentOrder) -> str:
        """The company in whose store it was opened."""
        store = self._org.store(order.store)
        assert store is not None, "an order without its store"
        return store.company

    def stores(self, principal: Principal) -> list[str] | None:
        """The stores a list may show; None: every one."""
        return self._org.stores_within(principal.companies, principal.stores)

    def shift(self, order: PaymentOrder) -> str | None:
        """The shift that the order's cashier works now."""
        shift = self._merchants.open_shift(order.cashier) if order.cashier else None
        return shift.id if shift else None

    async def allow(
        self,
        request: Request[Any, Any, Any],
        principal: Principal,
        order: PaymentOrder,
        wanted: tuple[OverrideVerb, int],
        body: UndoBody,
        place: Place,
    ) -> Alone | None:
        """A cashier may need a supervisor for a verb and its amount in fen; a program that
        acts by itself has its key. Returns what a cashier without one may give back.

        Raises `override_needed`, `override_not_valid`, `exceeds_payment_order`.
        """
        if place.cashier is None or await self._once.answered(request, principal):
            return None
        (verb, amount_fen), left_fen = wanted, order.captured_fen - order.refunded_fen
        if verb is OverrideVerb.REFUND and amount_fen > left_fen > 0:
            # No supervisor is called for what cannot be.
            raise EXCEEDS.error(f"{left_fen} fen are left to refund.", field="amount")
        key = idempotency_key(request.headers.get(KEY_HEADER))
        return await self._merchants.overrides.require(
            OverrideAsk(
                verb=verb,
                store=order.store,
                cashier=place.cashier,
                subject=to_edge("pmo", order.id),
                amount_fen=amount_fen,
            ),
            from_edge("ovr", body.override, field="override") if body.override else None,
            key=f"{principal.company}/{_KEY_OF[verb]}/{key}",
            made_us=order.created_us,
            before_fen=order.refunded_fen,
        )

    def view(self, order: PaymentOrder) -> PaymentOrderView:
        """An order for the outside, now."""
        return order_view(order, self._clock.now_us())

    def _sees(self, principal: Principal, ident: str) -> bool:
        store = self._org.store(ident)
        return (
            store is not None
            and principal.may_see_store(ident)
            and principal.may_see_company(store.company)
        )
