"""What the routes of this slice share: who may touch what, and seeing one's own changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from litestar import Request, Response
from msgspec import Meta

from kabao.base.db import Conn
from kabao.base.errors import FORBIDDEN, NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.fields import LINE
from kabao.base.web.once import Once
from kabao.base.web.pages import IdPosition, position
from kabao.base.web.principal import Principal
from kabao.org.model import Store
from kabao.org.ops import Org

COMPANY, STORE, BRAND_LINK = "com", "sto", "bln"

LongName = Annotated[str, Meta(min_length=1, max_length=120, pattern=LINE)]

V = TypeVar("V")


async def once_and_refresh(
    once: Once,
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Any,
    work: Callable[[Conn], Awaitable[V]],
    org: Org,
) -> Response[V]:
    """Do the work once, then let this process see the graph as it now is."""
    response = await once(request, principal, data, work)
    await org.catch_up()
    return response


def require_whole_group(principal: Principal) -> None:
    """Companies and links say who accepts whose cards: nobody extends that for themselves."""
    if not principal.whole_group:
        raise FORBIDDEN.error("This needs a key for the whole group.")


async def visible_store(conn: Conn, principal: Principal, org: Org, text: str) -> Store:
    """A store within the key's scope. Raises `not_found`."""
    store = await org.get_store(conn, from_edge(STORE, text))
    if not (principal.may_see_company(store.company) and principal.may_see_store(store.id)):
        raise NOT_FOUND.error("There is no such store.")
    return store


def after(cursor: str | None) -> str | None:
    """The id after which a page starts."""
    found = position(cursor, tuple[IdPosition])
    return None if found is None else found[0]
