"""A store that something new is set up in."""

from __future__ import annotations

from kabao.base.db import Conn
from kabao.org.model import STORE_CLOSED, Store
from kabao.org.ops import Org


async def open_store(conn: Conn, org: Org, ident: str) -> Store:
    """A store that does business. Raises `not_found`, `store_closed`."""
    store = await org.get_store(conn, ident)
    if not store.is_open:
        raise STORE_CLOSED.error(field="store")
    return store
