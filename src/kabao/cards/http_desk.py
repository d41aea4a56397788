"""What the routes of cards' lives and stock share: where it happens, and which card."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.principal import Principal
from kabao.cards.claims import By, ByHolder, Claim
from kabao.cards.http import CARD, CUSTOMER
from kabao.cards.model import Card, Programme
from kabao.cards.ops import Cards
from kabao.customers.ops import Customers
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

STORE, TERMINAL, CASHIER = "sto", "ter", "csh"

Pin = Annotated[str, Meta(pattern="^[0-9]{4,12}$", description="4 to 12 digits.")]


class Here(RequestBody, frozen=True, kw_only=True):
    """Where it happens. With a terminal, the person asking stands at a counter."""

    store: EdgeId | None = None
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None


class Claimed(Here, frozen=True, kw_only=True):
    """A request on the strength of a claim to the card."""

    claim: Claim

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


def by_of(principal: Principal, here: Here, org: Org, merchants: Merchants) -> By:
    """Who does it, and where.

    A key that is bound to stores says in which of them it acts. Raises
    `invalid`, `not_found`, and what `Merchants.till` raises.
    """
    if here.store is None:
        if principal.stores is not None or here.terminal is not None or here.cashier is not None:
            raise INVALID.error("Say in which store.", field="store")
        return By(actor=principal.id, company=principal.company)
    store = org.store(from_edge(STORE, here.store, field="store"))
    if (
        store is None
        or not principal.may_see_store(store.id)
        or not principal.may_see_company(store.company)
    ):
        raise NOT_FOUND.error("There is no such store.", field="store")
    till = merchants.till(
        store.id,
        _inside(TERMINAL, here.terminal, "terminal"),
        _inside(CASHIER, here.cashier, "cashier"),
    )
    return By(
        actor=principal.id,
        company=principal.company,
        store=store.id,
        terminal=None if till.terminal is None else till.terminal.id,
        cashier=None if till.cashier is None else till.cashier.id,
        shift=None if till.shift is None else till.shift.id,
        channel="counter",
    )


def _inside(prefix: str, text: str | None, field: str) -> str | None:
    return None if text is None else from_edge(prefix, text, field=field)


async def card_at(
    conn: Conn,
    principal: Principal,
    cards: Cards,
    org: Org,
    text: str,
    by: By,
    *,
    brought: bool = True,
) -> tuple[Card, Programme]:
    """A card the caller may work on: one that its scope covers, or one that was
    `brought` to a store in its scope that is inside the issuer's group.

    What the house does for reasons of its own, nobody has brought: a counter
    would learn from it what is on any card of the group. Raises `not_found`.
    """
    card = await cards.find_card(conn, from_edge(CARD, text))
    programme = await cards.find_programme(conn, card.programme)
    own = principal.covers(programme.issuer)
    here = brought and by.store is not None and org.accepts(programme.issuer, by.store)
    if not (own or here):
        raise NOT_FOUND.error("There is no such card.")
    return card, programme


async def customer_of(
    conn: Conn, principal: Principal, customers: Customers, text: str, field: str
) -> str:
    """A customer within the key's scope. Raises `not_found`."""
    ident = from_edge(CUSTOMER, text, field=field)
    if not principal.may_see_company(await customers.company_of(conn, ident)):
        raise NOT_FOUND.error("There is no such customer.", field=field)
    return ident


def claim_of(claim: Claim) -> Claim:
    """A claim with the customer's inside id. Raises `not_found`."""
    if isinstance(claim, ByHolder):
        return ByHolder(from_edge(CUSTOMER, claim.customer, field="claim"))
    return claim


def optional_claim(claim: Claim | None) -> Claim | None:
    """As `claim_of`, for one that may be missing."""
    return None if claim is None else claim_of(claim)


def as_dict(view: msgspec.Struct) -> dict[str, Any]:
    """The fields of a view, to make a larger one of."""
    return msgspec.structs.asdict(view)
