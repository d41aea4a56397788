"""What the routes of this slice share: which customers a key sees."""

from __future__ import annotations

from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.principal import Principal
from kabao.customers.ops import Customers

CUSTOMER, COMPANY, CONSENT, VERIFICATION = "cus", "com", "cns", "ver"


async def visible(conn: Conn, principal: Principal, customers: Customers, text: str) -> str:
    """The id of a customer within the key's scope. Raises `not_found`."""
    ident = from_edge(CUSTOMER, text)
    if not principal.may_see_company(await customers.company_of(conn, ident)):
        raise NOT_FOUND.error("There is no such customer.")
    return ident
