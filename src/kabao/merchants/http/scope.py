"""What the routes of this slice share: which stores a key sees, and seeing own changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from litestar import Request, Response

from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.once import Once
from kabao.base.web.pages import IdPosition, position
from kabao.base.web.principal import Principal
from kabao.merchants.model import Shift, Terminal
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

COMPANY, STORE, TERMINAL, CASHIER, SHIFT, FEE_PLAN = "com", "sto", "ter", "csh", "shf", "fee"

V = TypeVar("V")


async def once_and_refresh(
    once: Once,
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Any,
    work: Callable[[Conn], Awaitable[V]],
    merchants: Merchants,
) -> Response[V]:
    """Do the work once, then let this process see what has changed."""
    response = await once(request, principal, data, work)
    await merchants.catch_up()
    return response


async def require_visible(
    conn: Conn, principal: Principal, org: Org, store: str, *, field: str | None = None
) -> None:
    """Raises `not_found` for what belongs to a store outside the key's scope."""
    found = await org.get_store(conn, store)
    if not (principal.may_see_company(found.company) and principal.may_see_store(store)):
        raise NOT_FOUND.error(field=field)


async def visible_terminal(
    conn: Conn, principal: Principal, org: Org, merchants: Merchants, text: str
) -> Terminal:
    """A terminal inside the key's scope. Raises `not_found`."""
    terminal = await merchants.get_terminal(conn, from_edge(TERMINAL, text))
    await require_visible(conn, principal, org, terminal.store)
    return terminal


async def visible_shift(
    conn: Conn, principal: Principal, org: Org, merchants: Merchants, text: str
) -> Shift:
    """A shift inside the key's scope. Raises `not_found`."""
    shift = await merchants.shifts.get(conn, from_edge(SHIFT, text))
    await require_visible(conn, principal, org, shift.store)
    return shift


async def named_store(conn: Conn, principal: Principal, org: Org, text: str) -> str:
    """The store a request names in its field `store`. Raises `not_found`."""
    ident = from_edge(STORE, text, field="store")
    await require_visible(conn, principal, org, ident, field="store")
    return ident


async def stores_to_list(
    conn: Conn, principal: Principal, org: Org, text: str | None
) -> list[str] | None:
    """The stores a list is about: the one that is asked for, or all the key sees."""
    if text is not None:
        return [await named_store(conn, principal, org, text)]
    return org.stores_within(principal.companies, principal.stores)


def after(cursor: str | None) -> str | None:
    """The id after which a page starts."""
    found = position(cursor, tuple[IdPosition])
    return None if found is None else found[0]
