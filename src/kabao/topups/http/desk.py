"""What the routes of top-ups share: what a key may see, and how a top-up is shown to it."""

from __future__ import annotations

from collections.abc import Sequence

from kabao.base.db import Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal
from kabao.customers.ops import Customers
from kabao.funding.ops import Funding
from kabao.ledger.ops import Ledger
from kabao.merchants.model import Till
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.topups.http.views import TopUpView, topup_view
from kabao.topups.model import TopUp
from kabao.topups.ops import TopUps
from kabao.vault.ops import Vault


class TopUpDesk:
    """Collaborators of the routes, and what all of them ask."""

    def __init__(
        self,
        db: Database,
        topups: TopUps,
        funding: Funding,
        ledger: Ledger,
        org: Org,
        merchants: Merchants,
        customers: Customers,
        vault: Vault,
        once: Once,
    ) -> None:
        self.db, self.topups, self._funding, self._ledger = db, topups, funding, ledger
        self._org, self._merchants, self._customers = org, merchants, customers
        self.vault, self.once = vault, once

    async def store(self, principal: Principal, ident: str) -> Store:
        """A store inside the key's scope. Raises `not_found`."""
        store = await self._org.find_store(from_edge("sto", ident, field="store"))
        if (
            store is None
            or not principal.may_see_store(store.id)
            or not principal.may_see_company(store.company)
        ):
            raise NOT_FOUND.error("There is no such store for this key.", field="store")
        return store

    async def till(self, store: str, terminal: str | None, cashier: str | None) -> Till:
        """The till a body names. Raises what `Merchants.till` raises."""
        return await self._merchants.find_till(
            store,
            from_edge("ter", terminal, field="terminal") if terminal else None,
            from_edge("csh", cashier, field="cashier") if cashier else None,
        )

    async def payer(self, principal: Principal, text: str | None) -> str | None:
        """A customer inside the key's scope. Raises `not_found`."""
        if text is None:
            return None
        ident = from_edge("cus", text, field="payer")
        async with self.db.read() as conn:
            if not principal.may_see_company(await self._customers.company_of(conn, ident)):
                raise NOT_FOUND.error("There is no such customer.")
        return ident

    async def find(self, principal: Principal, ident: str) -> TopUp:
        """A top-up inside the key's scope. Raises `not_found`."""
        async with self.db.read() as conn:
            found = await self.topups.get(conn, from_edge("top", ident))
        within, issuers = self.stores(principal), issuers_of(principal)
        if found.store is None:
            seen = issuers is None or found.issuer in issuers
        else:
            seen = within is None or found.store in within
        if not seen:
            raise NOT_FOUND.error("There is no such top-up.")
        return found

    def stores(self, principal: Principal) -> Sequence[str] | None:
        """The stores whose top-ups a key sees; None: every store."""
        return self._org.stores_within(principal.companies, principal.stores)

    async def view(self, principal: Principal, topup: TopUp, *, told: bool = False) -> TopUpView:
        """A top-up as it is now, with what its payer is to be shown."""
        told = told or await self.covers(principal, topup)
        if topup.collection is None:
            return topup_view(topup, told=told)
        async with self.db.read() as conn:
            collection = await self._funding.get(conn, topup.collection)
            orders = await self._funding.orders(conn, collection.id)
        current = next(order for order in orders if order.id == collection.current)
        waiting = current.waiting if current.open else None
        return topup_view(topup, told=told, collection=collection, waiting=waiting)

    async def covers(self, principal: Principal, topup: TopUp) -> bool:
        """Whether the key's scope covers the card, so that its balance may be told."""
        if principal.stores is not None or principal.companies is None:
            return principal.stores is None
        async with self.db.read() as conn:
            root = await self._ledger.root(conn, topup.root)
        return root is not None and principal.covers(root.issuer)


def issuers_of(principal: Principal) -> list[str] | None:
    """Whose cards' top-ups of no store a key sees; None: everybody's."""
    if principal.stores is not None:
        return []
    return None if principal.companies is None else list(principal.companies)
