"""`/v1/cards/{card}/…`: what happens to a card besides paying.

Sub-actions answer 200 with the card. New numbers and PINs are in one answer
only, which can be had again with the same key for 24 hours.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.base.web.fields import Amount, Currency, EdgeId, RequestBody, Text
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.cards import http_stock
from kabao.cards.approvals_life import PinReset
from kabao.cards.claims import Claim
from kabao.cards.http import (
    CARD,
    CUSTOMER,
    CardView,
    IssuedView,
    card_view,
    visible_card,
)
from kabao.cards.http_desk import (
    STORE,
    TERMINAL,
    Claimed,
    Here,
    Pin,
    as_dict,
    by_of,
    card_at,
    claim_of,
    customer_of,
    optional_claim,
)
from kabao.cards.model import Card, Carrier, Issued, Programme
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.cards.ops.secrets import RESET_ACTION
from kabao.cards.sql_life import Recorded
from kabao.cards.states import Reason
from kabao.customers.ops import Customers
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy.names import CASH_OUT_MAX_FEN

AnyRequest = Request[Any, Any, Any]


# --- requests -----------------------------------------------------------------------------


class Activate(Here, frozen=True, kw_only=True):
    """Plastic names the till that has it in stock; a card from the post, a claim."""

    holder: EdgeId | None = None
    claim: Claim | None = None


class Freeze(Here, frozen=True, kw_only=True):
    """`holder_request` comes with a claim, the house's own reasons without."""

    reason: Literal["holder_request", "dispute", "risk", "authority"]
    claim: Claim | None = None


class Unfreeze(Here, frozen=True, kw_only=True):
    """A reason must outweigh the one the card is frozen for."""

    reason: Literal["holder_request", "dispute_closed", "risk_cleared", "authority_released"]
    claim: Claim | None = None


class ReportLoss(Claimed, frozen=True, kw_only=True):
    """A registered card on its holder's word, a bearer card on the card's own
    secret or a proof of purchase.
    """

    reason: Literal["lost", "stolen"] = "lost"


class Replace(Claimed, frozen=True, kw_only=True):
    """A new carrier for the same value."""

    carrier: Carrier
    reason: Literal["lost", "stolen", "damaged", "secret_seen", "carrier_changed"] | None = None


class Exchange(Claimed, frozen=True, kw_only=True):
    """An expired card: for a new one, or with a new validity (`carrier` null)."""

    carrier: Carrier | None = None


class Transfer(Claimed, frozen=True, kw_only=True):
    """Give the card to another person."""

    to: EdgeId
    reason: Literal["given", "inherited"] = "given"


class Merge(Claimed, frozen=True, kw_only=True):
    """Move all value of the card in the path to another card, and close the first."""

    into: EdgeId


class CashOut(Claimed, frozen=True, kw_only=True):
    """Pay a small remainder in cash; without an amount, all paid value."""

    payee: EdgeId
    """The person who takes the money, whose identity is known."""
    amount: Amount | None = None
    currency: Currency = "CNY"
    close: bool = False
    """Close the card afterwards; free bonus on it is lost."""


class Close(Here, frozen=True, kw_only=True):
    """End a card without paid value. A card that was never sold needs no claim."""

    claim: Claim | None = None
    reason: Literal["holder_request", "returned", "unsold"] | None = None
    lapse_bonus: bool = False
    """Agreed that free bonus is lost."""


class ChangePin(RequestBody, frozen=True, kw_only=True):
    """The old PIN and the new."""

    old_pin: Pin
    new_pin: Pin

    def __repr__(self) -> str:
        return "ChangePin(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class ResetPin(Claimed, frozen=True, kw_only=True):
    """Carry out a reset that a second person has agreed to."""

    reason: Literal["forgotten", "secret_seen"] = "forgotten"


class AskForReset(RequestBody, frozen=True, kw_only=True):
    """Why a PIN is to be reset, for the second person."""

    reason: Annotated[Text, Meta(min_length=1)]


# --- answers --------------------------------------------------------------------------------


class PinView(CardView, frozen=True, kw_only=True):
    """A card with its new PIN, shown now and never again."""

    pin: str

    def __repr__(self) -> str:
        return f"PinView({self.id})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]


class RenewedView(CardView, frozen=True, kw_only=True):
    """A card with what is new of its secrets: plastic that is transferred keeps its
    number, a card that is only given a new validity keeps them all.
    """

    number: str | None = None
    pin: str | None = None
    track2: str | None = None
    barcode: str | None = None

    def __repr__(self) -> str:
        return f"RenewedView({self.id})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]


class MergedView(msgspec.Struct, frozen=True, kw_only=True):
    """Both cards after a merge."""

    source: CardView
    target: CardView
    amount: int
    currency: str


class CashedOutView(msgspec.Struct, frozen=True, kw_only=True):
    """What to hand over in cash, and the card."""

    card: CardView
    amount: int
    currency: str
    rule: str


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a card's record."""

    sequence: int
    verb: str
    reason: str
    from_state: str
    to_state: str
    basis: str
    """On what the one who asked was believed: holder, possession, purchase, staff, system."""
    other_card: str | None
    party: str | None
    amount: int | None
    note: str
    done_by: str
    store: str | None
    terminal: str | None
    approval: str | None
    at: str


def change_view(line: Recorded) -> ChangeView:
    """A line of the record for the outside."""
    return ChangeView(
        sequence=line.n,
        verb=line.verb,
        reason=line.reason,
        from_state=line.from_state,
        to_state=line.to_state,
        basis=line.basis,
        other_card=_edge(CARD, line.other_card),
        party=_edge(CUSTOMER, line.party),
        amount=line.amount_fen,
        note=line.note,
        done_by=line.done_by,
        store=_edge(STORE, line.store),
        terminal=_edge(TERMINAL, line.terminal),
        approval=_edge("apr", line.approval),
        at=rfc3339(to_us(line.at)),
    )


def _edge(prefix: str, ident: str | None) -> str | None:
    return None if ident is None else to_edge(prefix, ident)


class Counter:
    """What every route here needs, under the one name `counter`."""

    def __init__(
        self,
        cards: Cards,
        life: Life,
        ledger: Ledger,
        org: Org,
        merchants: Merchants,
        customers: Customers,
        clock: Clock,
    ) -> None:
        self.cards, self.life, self.ledger = cards, life, ledger
        self.org, self.merchants, self.customers = org, merchants, customers
        self.clock = clock

    async def show(self, conn: Conn, card: Card, programme: Programme) -> CardView:
        """A card as it is now."""
        root = await self.ledger.root(conn, card.root)
        return card_view(card, root, programme, self.clock.now_us())

    async def issued(self, conn: Conn, issued: Issued, programme: Programme) -> IssuedView:
        """A fresh carrier with the value it has taken over."""
        shown, s = await self.show(conn, issued.card, programme), issued.secrets
        return IssuedView(
            **as_dict(shown), number=s.number, pin=s.pin, track2=s.track2, barcode=s.barcode
        )


# --- routes ---------------------------------------------------------------------------------


@post("/v1/cards/{card:str}/activate", guards=[requires("cards:activate")], status_code=200)
async def activate(
    request: AnyRequest,
    principal: Principal,
    data: Activate,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CardView]:
    """Activate a card.

    Plastic only at the till or store that has it in stock. A registered card
    needs a holder whose real name is known.
    """
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        holder = None
        if data.holder is not None:
            holder = await customer_of(conn, principal, c.customers, data.holder, "holder")
        changed = await c.life.activate(
            conn, found.id, by, holder=holder, claim=optional_claim(data.claim)
        )
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/freeze", guards=[requires("cards:block")], status_code=200)
async def freeze(
    request: AnyRequest, principal: Principal, data: Freeze, once: Once, counter: Counter, card: str
) -> Response[CardView]:
    """Freeze a card. It pays no more; refunds still reach it."""
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        brought = data.claim is not None
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by, brought=brought)
        changed = await c.life.freeze(
            conn, found.id, Reason(data.reason), optional_claim(data.claim), by
        )
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/unfreeze", guards=[requires("cards:unblock")], status_code=200)
async def unfreeze(
    request: AnyRequest,
    principal: Principal,
    data: Unfreeze,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CardView]:
    """Lift a freeze, for a reason that outweighs the one it is held for."""
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        brought = data.claim is not None
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by, brought=brought)
        changed = await c.life.unfreeze(
            conn, found.id, Reason(data.reason), optional_claim(data.claim), by
        )
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/report-loss", guards=[requires("cards:block")], status_code=200)
async def report_loss(
    request: AnyRequest,
    principal: Principal,
    data: ReportLoss,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CardView]:
    """Report a card lost: it is stopped at once.

    A bearer card is stopped for 72 hours, and whoever has it may undo that.
    """
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        changed = await c.life.report_loss(
            conn, found.id, claim_of(data.claim), Reason(data.reason), by
        )
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/withdraw-loss", guards=[requires("cards:unblock")], status_code=200)
async def withdraw_loss(
    request: AnyRequest,
    principal: Principal,
    data: Claimed,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CardView]:
    """Take a loss report back: the card was found."""
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        changed = await c.life.withdraw_loss(conn, found.id, claim_of(data.claim), by)
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/replace", guards=[requires("cards:write")], status_code=200)
async def replace(
    request: AnyRequest,
    principal: Principal,
    data: Replace,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[IssuedView]:
    """Replace a card: a new number and PIN for the same value.

    Electronic, or plastic at a counter: in use at once. Plastic by post waits
    up to 24 hours after a loss report and is activated on arrival.
    """
    c = counter

    async def work(conn: Conn) -> IssuedView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        reason = None if data.reason is None else Reason(data.reason)
        issued = await c.life.replace(
            conn, found.id, claim_of(data.claim), data.carrier, reason, by
        )
        return await c.issued(conn, issued, programme)

    return await once(request, principal, data, work, secret=True)


@post("/v1/cards/{card:str}/exchange", guards=[requires("cards:write")], status_code=200)
async def exchange(
    request: AnyRequest,
    principal: Principal,
    data: Exchange,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[RenewedView]:
    """Exchange an expired card for a new one, or give it a new validity. Its value is kept."""
    c = counter

    async def work(conn: Conn) -> RenewedView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        claim = claim_of(data.claim)
        if data.carrier is None:
            changed = await c.life.reactivate(conn, found.id, claim, by)
            return RenewedView(**as_dict(await c.show(conn, changed, programme)))
        issued = await c.life.exchange(conn, found.id, claim, data.carrier, by)
        return RenewedView(**as_dict(await c.issued(conn, issued, programme)))

    return await once(request, principal, data, work, secret=True)


@post("/v1/cards/{card:str}/transfer", guards=[requires("cards:write")], status_code=200)
async def transfer(
    request: AnyRequest,
    principal: Principal,
    data: Transfer,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[RenewedView]:
    """Give a card to another person, with a new PIN; effective with the answer."""
    c = counter

    async def work(conn: Conn) -> RenewedView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        to = await customer_of(conn, principal, c.customers, data.to, "to")
        moved = await c.life.transfer(
            conn, found.id, claim_of(data.claim), to, Reason(data.reason), by
        )
        if isinstance(moved, Issued):
            return RenewedView(**as_dict(await c.issued(conn, moved, programme)))
        shown = await c.show(conn, moved.card, programme)
        return RenewedView(**as_dict(shown), pin=moved.pin)

    return await once(request, principal, data, work, secret=True)


@post("/v1/cards/{card:str}/merge", guards=[requires("cards:write")], status_code=200)
async def merge(
    request: AnyRequest, principal: Principal, data: Merge, once: Once, counter: Counter, card: str
) -> Response[MergedView]:
    """Merge a card into another of its class and issuer; it is closed."""
    c = counter

    async def work(conn: Conn) -> MergedView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        into, other = await card_at(conn, principal, c.cards, c.org, data.into, by)
        merged = await c.life.merge(conn, found.id, into.id, claim_of(data.claim), by)
        return MergedView(
            source=await c.show(conn, merged.source, programme),
            target=await c.show(conn, merged.target, other),
            amount=merged.principal_fen + merged.bonus_fen,
            currency=programme.currency,
        )

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/cash-out", guards=[requires("cards:write")], status_code=200)
async def cash_out(
    request: AnyRequest,
    principal: Principal,
    data: CashOut,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CashedOutView]:
    """Pay a small remainder in cash at a counter. Free bonus is never paid out."""
    c = counter

    async def work(conn: Conn) -> CashedOutView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        payee = await customer_of(conn, principal, c.customers, data.payee, "payee")
        paid = await c.life.cash_out(
            conn, found.id, claim_of(data.claim), payee, data.amount, by, close=data.close
        )
        rules = c.cards.rules_of(programme, c.cards.today(programme))
        return CashedOutView(
            card=await c.show(conn, paid.card, programme),
            amount=paid.amount_fen,
            currency=programme.currency,
            rule=rules.row(CASH_OUT_MAX_FEN),
        )

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/close", guards=[requires("cards:write")], status_code=200)
async def close(
    request: AnyRequest, principal: Principal, data: Close, once: Once, counter: Counter, card: str
) -> Response[CardView]:
    """Close a card whose paid value is gone, for ever."""
    c = counter

    async def work(conn: Conn) -> CardView:
        by = by_of(principal, data, c.org, c.merchants)
        brought = data.claim is not None
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by, brought=brought)
        changed = await c.life.close(
            conn,
            found.id,
            optional_claim(data.claim),
            None if data.reason is None else Reason(data.reason),
            by,
            lapse_bonus=data.lapse_bonus,
        )
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/pin", guards=[requires("cards:write")], status_code=200)
async def change_pin(
    request: AnyRequest,
    principal: Principal,
    data: ChangePin,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[CardView]:
    """Change a PIN. A wrong old one counts like a wrong one at a till."""
    c = counter

    async def work(conn: Conn) -> CardView:
        found, programme = await visible_card(conn, principal, c.cards, card)
        by = by_of(principal, Here(), c.org, c.merchants)
        changed = await c.life.change_pin(conn, found.id, data.old_pin, data.new_pin, by)
        return await c.show(conn, changed, programme)

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/pin-reset/requests", guards=[requires("cards:write")])
async def ask_for_reset(
    request: AnyRequest,
    principal: Principal,
    data: AskForReset,
    once: Once,
    counter: Counter,
    access: Access,
    card: str,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a PIN reset; then `POST /v1/cards/{card}/pin-reset`."""
    c = counter

    async def work(conn: Conn) -> ApprovalView:
        found, programme = await visible_card(conn, principal, c.cards, card)
        asked = await access.approvals.ask(
            conn,
            principal,
            RESET_ACTION,
            PinReset(to_edge(CARD, found.id)),
            data.reason,
            companies=frozenset({programme.issuer}),
        )
        return view(asked, now(c.clock))

    return await once(request, principal, data, work)


@post("/v1/cards/{card:str}/pin-reset", guards=[requires("cards:write")], status_code=200)
async def reset_pin(
    request: AnyRequest,
    principal: Principal,
    data: ResetPin,
    once: Once,
    counter: Counter,
    card: str,
) -> Response[PinView]:
    """Draw a new PIN for a card, once a second person has agreed. It is in this answer only."""
    c = counter

    async def work(conn: Conn) -> PinView:
        by = by_of(principal, data, c.org, c.merchants)
        found, programme = await card_at(conn, principal, c.cards, c.org, card, by)
        fresh = await c.life.reset_pin(
            conn, found.id, claim_of(data.claim), Reason(data.reason), by
        )
        return PinView(**as_dict(await c.show(conn, fresh.card, programme)), pin=fresh.pin)

    return await once(request, principal, data, work, secret=True)


@get("/v1/cards/{card:str}/changes", guards=[requires("cards:read")])
async def list_changes(
    principal: Principal,
    db: Database,
    counter: Counter,
    card: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ChangeView]:
    """List what was done to a card, by whom and why, newest first."""
    before = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        found, _ = await visible_card(conn, principal, counter.cards, card)
        lines = await counter.life.history(
            conn, found.id, before=None if before is None else before[0], limit=limit + 1
        )
    return page(lines, limit, change_view, lambda line: (line.n,))


ROUTES_LIFE = [
    activate,
    freeze,
    unfreeze,
    report_loss,
    withdraw_loss,
    replace,
    exchange,
    transfer,
    merge,
    cash_out,
    close,
    change_pin,
    ask_for_reset,
    reset_pin,
    list_changes,
    *http_stock.ROUTES,
]
