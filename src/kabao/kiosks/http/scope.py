"""Which machines and visits a key sees."""

from __future__ import annotations

from kabao.base.db import Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.principal import Principal
from kabao.kiosks.model import Session
from kabao.kiosks.ops import SESSION, Kiosks
from kabao.merchants.model import Terminal
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org

READ, WRITE, CREDIT = "kiosks:read", "kiosks:write", "kiosks:credit"
PAYOUT = "kiosks:payout"


async def named_machine(
    principal: Principal, org: Org, merchants: Merchants, text: str
) -> tuple[Terminal, Store]:
    """A machine in the key's scope, and its store. Blocked or retired, it still reports.

    Raises `not_found`.
    """
    ident = from_edge("ter", text, field="terminal")
    terminal = merchants.terminal(ident)
    if terminal is None:
        await merchants.look()
        terminal = merchants.terminal(ident)
    store = await org.find_store(terminal.store) if terminal is not None else None
    if terminal is None or store is None:
        raise NOT_FOUND.error("There is no such terminal.", field="terminal")
    require_visible(principal, org, store.id)
    return terminal, store


def require_visible(principal: Principal, org: Org, store: str) -> None:
    """Raises `not_found` for what belongs to a store outside the key's scope."""
    within = org.stores_within(principal.companies, principal.stores)
    if within is not None and store not in within:
        raise NOT_FOUND.error()


async def visible_visit(
    principal: Principal, db: Database, kiosks: Kiosks, org: Org, text: str
) -> Session:
    """A visit in the key's scope. Raises `not_found`."""
    async with db.read() as conn:
        found = await kiosks.get(conn, from_edge(SESSION, text))
    require_visible(principal, org, found.store)
    return found
