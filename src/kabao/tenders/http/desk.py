"""What the routes share: which orders a key sees, and where a sale happens."""

from __future__ import annotations

from kabao.base.clock import Clock
from kabao.base.db import Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.principal import Principal
from kabao.merchants.model import OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import UNKNOWN_STORE, Place
from kabao.tenders.http.bodies import OrderBody, UndoBody
from kabao.tenders.http.views import PaymentOrderView, order_view
from kabao.tenders.model import PaymentOrder
from kabao.tenders.ops import Tenders


class SalesDesk:
    """Orders in a key's scope, and the tills they are opened at."""

    def __init__(
        self,
        db: Database,
        tenders: Tenders,
        org: Org,
        merchants: Merchants,
        clock: Clock,
    ) -> None:
        self.db, self.tenders, self._org, self._merchants = db, tenders, org, merchants
        self._clock = clock

    async def find(self, principal: Principal, ident: str) -> PaymentOrder:
        """An order inside the key's scope. Raises `not_found`."""
        async with self.db.read() as conn:
            order = await self.tenders.get(conn, from_edge("pmo", ident))
        if not self._sees(principal, order.store):
            raise NOT_FOUND.error("There is no such payment order.")
        return order

    def place(self, principal: Principal, body: OrderBody) -> Place:
        """Where a sale happens. Raises `unknown_store`, and for a till that may not."""
        store = from_edge("sto", body.store, field="store")
        if not self._sees(principal, store):
            raise UNKNOWN_STORE.error(field="store")
        terminal = from_edge("ter", body.terminal, field="terminal") if body.terminal else None
        cashier = from_edge("csh", body.cashier, field="cashier") if body.cashier else None
        till = self._merchants.till(store, terminal, cashier)
        return Place(store, terminal, cashier, till.shift.id if till.shift else None)

    def stores(self, principal: Principal) -> list[str] | None:
        """The stores a list may show; None: every one."""
        return self._org.stores_within(principal.companies, principal.stores)

    def shift(self, order: PaymentOrder) -> str | None:
        """The shift that the order's cashier works now."""
        shift = self._merchants.open_shift(order.cashier) if order.cashier else None
        return shift.id if shift else None

    async def allow(
        self,
        order: PaymentOrder,
        verb: OverrideVerb,
        amount_fen: int,
        body: UndoBody,
        key: str,
    ) -> None:
        """A cashier may need a supervisor; a program that acts by itself has its key.
        Nobody said: the order's own cashier, while that shift is open.

        `key` names the request among those of all companies and verbs. Raises
        `override_needed`, `override_not_valid`, and for a cashier who may not.
        """
        cashier = from_edge("csh", body.cashier, field="cashier") if body.cashier else None
        if cashier is not None:
            await self._merchants.find_till(order.store, None, cashier)
        elif order.shift is not None and self.shift(order) == order.shift:
            cashier = order.cashier
        if cashier is None:
            return
        await self._merchants.overrides.require(
            OverrideAsk(
                verb=verb,
                store=order.store,
                cashier=cashier,
                subject=to_edge("pmo", order.id),
                amount_fen=amount_fen,
            ),
            from_edge("ovr", body.override, field="override") if body.override else None,
            key=key,
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
