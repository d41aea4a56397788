"""`/v1/topups`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from msgspec import Meta
from msgspec.structs import replace

from kabao.base.clock import rfc3339
from kabao.base.db import Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.binding import KEYED
from kabao.base.web.fields import (
    KEY_HEADER,
    Amount,
    Currency,
    EdgeId,
    RequestBody,
    ShortText,
    idempotency_key,
)
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import unsecret
from kabao.cards.model import CardRef, Source
from kabao.customers.ops import Customers
from kabao.ledger.ops import Ledger
from kabao.merchants.model import NO_TILL, Till
from kabao.merchants.ops import Merchants
from kabao.org.model import Store
from kabao.org.ops import Org
from kabao.topups.model import TopUp
from kabao.topups.model.undoing import NOT_CASH
from kabao.topups.ops import NewTopUp, TopUps
from kabao.vault.ops import Vault

_canonical = msgspec.json.Encoder(order="deterministic").encode


class TopUpBody(RequestBody, frozen=True):
    """A top-up to make: the card by its id, or by what the customer shows."""

    amount: Amount
    currency: Currency
    channel: Annotated[Literal["cash"], Meta(description="Cash at a counter.")]
    store: EdgeId
    card: EdgeId | None = None
    source: Source | None = None
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    reference: ShortText | None = None
    payer: EdgeId | None = None


class VoidBody(RequestBody, frozen=True):
    """The till that gives the cash back, nothing said: the one that took it; and the
    override by which a supervisor allows it.
    """

    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    override: EdgeId | None = None


class TopUpCard(msgspec.Struct, frozen=True):
    """The card that was loaded."""

    id: str
    last4: str


class TopUpView(msgspec.Struct, frozen=True):
    """A top-up as the outside sees it."""

    id: str
    status: str
    amount: int
    bonus: int
    """Given on top."""
    currency: str
    channel: str
    card: TopUpCard
    balance_after: int | None
    """Null for a key that neither covers the card nor was shown its secret."""
    store: str | None
    """Null for what was bought in an own online channel."""
    terminal: str | None
    cashier: str | None
    reference: str | None
    created_at: str


def topup_view(t: TopUp, *, told: bool) -> TopUpView:
    """A top-up for the outside; `told` whether the caller may know the balance."""
    return TopUpView(
        to_edge("top", t.id),
        t.status,
        t.amount_fen,
        t.bonus_fen,
        t.currency,
        t.channel,
        TopUpCard(to_edge("card", t.card), t.last4),
        t.balance_after_fen if told else None,
        to_edge("sto", t.store) if t.store else None,
        to_edge("ter", t.terminal) if t.terminal else None,
        to_edge("csh", t.cashier) if t.cashier else None,
        t.reference,
        rfc3339(t.created_us),
    )


@post("/v1/topups", guards=[requires("topups:write")], status_code=201, opt=KEYED, tags=["topups"])
async def create(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TopUpBody,
    topups: TopUps,
    org: Org,
    merchants: Merchants,
    customers: Customers,
    ledger: Ledger,
    db: Database,
    vault: Vault,
) -> TopUpView:
    """Load a card with cash at a counter."""
    if (data.card is None) == (data.source is None):
        raise INVALID.error("Name the card by its id or by its source.", field="source")
    key = f"topup/{idempotency_key(request.headers.get(KEY_HEADER))}"
    said = replace(data, source=unsecret(data.source)) if data.source else data
    store = await _store(org, principal, data.store)
    # A till that was blocked since still gets the first answer again.
    done_before = await topups.was_done(principal.company, key)
    till = NO_TILL if done_before else await _till(merchants, store.id, data)
    new = NewTopUp(
        principal.company,
        key,
        vault.mac("idempotency", _canonical(said)),
        data.source or CardRef(data.card or ""),
        data.amount,
        data.currency,
        store,
        till,
        data.reference,
        await _payer(principal, data.payer, customers, db) if data.payer else None,
    )
    done = await topups.load(new)
    shown = not isinstance(new.source, CardRef)
    return topup_view(done, told=shown or await _covers(principal, done, ledger, db))


@post(
    "/v1/topups/{topup:str}/void",
    guards=[requires("topups:void")],
    status_code=200,
    opt=KEYED,
    tags=["topups"],
)
async def void(
    request: Request[Any, Any, Any],
    principal: Principal,
    topup: EdgeId,
    data: VoidBody,
    topups: TopUps,
    org: Org,
    merchants: Merchants,
    ledger: Ledger,
    db: Database,
    vault: Vault,
) -> TopUpView:
    """Undo a top-up made by mistake, in the same shift, while none of it is spent.

    A supervisor allows it by an override (`POST /v1/overrides`, verb `topup_void`)
    to the cashier named here, or else to the one who took the cash.
    """
    found = await _find(principal, topup, topups, org, db)
    key = f"topup-void/{idempotency_key(request.headers.get(KEY_HEADER))}"
    mac = vault.mac("idempotency", _canonical([found.id, data]))
    till = supervisor = None
    if not await topups.was_done(principal.company, key):
        if data.terminal or data.cashier:
            till = await _till(merchants, _where(found), data)
        supervisor = await topups.allowed(
            found,
            till.cashier.id if till and till.cashier else None,
            from_edge("ovr", data.override, field="override") if data.override else None,
            key=f"{principal.company}/{key}",
        )
    done = await topups.void(principal.company, key, mac, found, supervisor, till)
    return topup_view(done, told=await _covers(principal, done, ledger, db))


@get("/v1/topups/{topup:str}", guards=[requires("topups:read")], tags=["topups"])
async def show(
    principal: Principal, topup: EdgeId, topups: TopUps, org: Org, ledger: Ledger, db: Database
) -> TopUpView:
    """A top-up as it is now."""
    found = await _find(principal, topup, topups, org, db)
    return topup_view(found, told=await _covers(principal, found, ledger, db))


@get("/v1/topups", guards=[requires("topups:read")], tags=["topups"])
async def search(
    principal: Principal,
    topups: TopUps,
    org: Org,
    ledger: Ledger,
    db: Database,
    card: EdgeId | None = None,
    reference: ShortText | None = None,
    day: date | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[TopUpView]:
    """Top-ups by card or by the caller's reference, newest first.

    Without either, those of one business day: `day`, or today.
    """
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await topups.search(
            conn,
            stores=org.stores_within(principal.companies, principal.stores),
            issuers=_issuers(principal),
            card=from_edge("card", card, field="card") if card else None,
            reference=reference,
            day=day,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    told = {t.card: await _covers(principal, t, ledger, db) for t in found[:limit]}
    return page(found, limit, lambda t: topup_view(t, told=told[t.card]), lambda t: (t.id,))


async def _till(merchants: Merchants, store: str, body: TopUpBody | VoidBody) -> Till:
    """The till a body names. Raises what `Merchants.till` raises."""
    return await merchants.find_till(
        store,
        from_edge("ter", body.terminal, field="terminal") if body.terminal else None,
        from_edge("csh", body.cashier, field="cashier") if body.cashier else None,
    )


async def _store(org: Org, principal: Principal, ident: str) -> Store:
    """A store inside the key's scope. Raises `not_found`."""
    store = await org.find_store(from_edge("sto", ident, field="store"))
    if (
        store is None
        or not principal.may_see_store(store.id)
        or not principal.may_see_company(store.company)
    ):
        raise NOT_FOUND.error("There is no such store for this key.", field="store")
    return store


async def _payer(principal: Principal, text: str, customers: Customers, db: Database) -> str:
    """A customer inside the key's scope. Raises `not_found`."""
    ident = from_edge("cus", text, field="payer")
    async with db.read() as conn:
        if not principal.may_see_company(await customers.company_of(conn, ident)):
            raise NOT_FOUND.error("There is no such customer.")
    return ident


async def _find(principal: Principal, ident: str, topups: TopUps, org: Org, db: Database) -> TopUp:
    """A top-up inside the key's scope. Raises `not_found`."""
    async with db.read() as conn:
        found = await topups.get(conn, from_edge("top", ident))
    within = org.stores_within(principal.companies, principal.stores)
    issuers = _issuers(principal)
    if found.store is None:
        seen = issuers is None or found.issuer in issuers
    else:
        seen = within is None or found.store in within
    if not seen:
        raise NOT_FOUND.error("There is no such top-up.")
    return found


def _issuers(principal: Principal) -> list[str] | None:
    """Whose cards' top-ups of no store a key sees; None: everybody's."""
    if principal.stores is not None:
        return []
    return None if principal.companies is None else list(principal.companies)


def _where(topup: TopUp) -> str:
    """The store of a top-up. Raises `topup_not_cash` where there is none."""
    if topup.store is None:
        raise NOT_CASH.error()
    return topup.store


async def _covers(principal: Principal, topup: TopUp, ledger: Ledger, db: Database) -> bool:
    """Whether the key's scope covers the card, so that its balance may be told."""
    if principal.stores is not None or principal.companies is None:
        return principal.stores is None
    async with db.read() as conn:
        root = await ledger.root(conn, topup.root)
    return root is not None and principal.covers(root.issuer)


ROUTES = [create, void, show, search]
