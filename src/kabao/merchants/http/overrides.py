"""`/v1/overrides` and cashiers' PINs: a second person at the till."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from msgspec import Meta

from kabao.access.model import Deed, Origin
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import AmountOrZero, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.base.web.problems import request_id_of
from kabao.merchants.http.scope import CASHIER, STORE, named_store, require_visible
from kabao.merchants.model import OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

OVERRIDE = "ovr"

Pin = Annotated[str, Meta(min_length=4, max_length=12, pattern="^[0-9]*$")]


class AskOverride(RequestBody, frozen=True):
    """A cashier asks, a supervisor of the store allows it with the own PIN."""

    verb: OverrideVerb
    store: EdgeId
    cashier: EdgeId
    subject: EdgeId
    supervisor: EdgeId
    pin: Pin
    amount: AmountOrZero = 0

    def __repr__(self) -> str:
        return f"AskOverride(verb={self.verb!r}, subject={self.subject!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("verb", self.verb), ("subject", self.subject)]


class OverrideView(msgspec.Struct, frozen=True):
    """An override: name it in the request it is for, once, before it expires."""

    id: str
    verb: OverrideVerb
    store: str
    cashier: str
    supervisor: str
    subject: str
    amount: int
    expires_at: str


class CashierPinView(msgspec.Struct, frozen=True):
    """A cashier's new PIN, shown once."""

    cashier: str
    pin: str


@post("/v1/cashiers/{cashier:str}/pin", guards=[requires("merchants:write")])
async def draw_cashier_pin(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    access: Access,
    merchants: Merchants,
    cashier: EdgeId,
) -> Response[CashierPinView]:
    """Draw a new PIN for a cashier; the one before is void."""

    async def work(conn: Conn) -> CashierPinView:
        found = await merchants.get_cashier(conn, from_edge(CASHIER, cashier))
        await require_visible(conn, principal, org, found.store)
        view = CashierPinView(
            cashier=to_edge(CASHIER, found.id),
            pin=await merchants.overrides.draw_pin(conn, found.id),
        )
        await access.log.write(conn, principal, Deed(verb="cashiers:pin", subject=view.cashier))
        return view

    return await once(request, principal, None, work, secret=True)


@post("/v1/overrides", guards=[requires("overrides:write")], status_code=201)
async def allow(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskOverride,
    db: Database,
    org: Org,
    merchants: Merchants,
) -> OverrideView:
    """Have a supervisor allow one thing to a cashier, once.

    Every try counts, so there is no Idempotency-Key. Whatever is wrong with
    supervisor or PIN, the answer is 422 `override_refused`.
    """
    async with db.read() as conn:
        store = await named_store(conn, principal, org, data.store)
    ask = OverrideAsk(
        verb=data.verb,
        store=store,
        cashier=from_edge(CASHIER, data.cashier, field="cashier"),
        subject=data.subject,
        amount_fen=data.amount,
    )
    client = request.client
    made = await merchants.overrides.grant(
        ask,
        from_edge(CASHIER, data.supervisor, field="supervisor"),
        data.pin,
        by=principal,
        origin=Origin(client.host if client else "", request_id_of(request.scope)),
    )
    return OverrideView(
        id=to_edge(OVERRIDE, made.id),
        verb=made.verb,
        store=to_edge(STORE, made.store),
        cashier=to_edge(CASHIER, made.cashier),
        supervisor=to_edge(CASHIER, made.supervisor),
        subject=made.subject,
        amount=made.amount_fen,
        expires_at=rfc3339(to_us(made.expires_at)),
    )


ROUTES = [draw_cashier_pin, allow]
