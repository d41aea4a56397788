"""`/v1/cards`: issue, see, list, and what happened to their value."""

from __future__ import annotations

import contextlib
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import Clock, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.cards import http_programmes
from kabao.cards.approvals import BATCH, PROGRAMME
from kabao.cards.claims import By
from kabao.cards.model import STATUS, Card, Carrier, NewCard, Programme, Secrets, is_over
from kabao.cards.ops import Cards
from kabao.cards.states import CardState
from kabao.customers.ops import Customers
from kabao.ledger.model import Account, Purpose, Root, Transfer
from kabao.ledger.ops import Ledger

CARD, CUSTOMER = "card", "cus"


class Status(StrEnum):
    """A card's state in the words of the API; `blocked` went missing from stock."""

    INACTIVE = "inactive"
    BLOCKED = "blocked"
    ACTIVE = "active"
    FROZEN = "frozen"
    LOST = "lost"
    EXPIRED = "expired"
    REPLACED = "replaced"
    CLOSED = "closed"


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """A card. Of its number only the last four digits are ever shown again."""

    id: str
    status: Status
    reason: str | None
    programme: str
    carrier: Carrier
    holder: str | None
    last4: str
    currency: str
    balance: int
    """Principal and bonus, including what open holds have set aside."""
    available: int
    expires_on: date | None
    """The last day on which it is good, to its end; null: it has no expiry."""
    batch: str | None
    serial: int | None
    replaces: str | None
    replaced_by: str | None
    issued_at: str
    activated_at: str | None


class IssuedView(CardView, frozen=True, kw_only=True):
    """A new card with what is known of it only now."""

    number: str
    pin: str
    track2: str
    barcode: str

    def __repr__(self) -> str:
        return f"IssuedView({self.id})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id)]


class IssueCard(RequestBody, frozen=True):
    """A card to issue. A registered one is active only with a holder we know."""

    programme: EdgeId
    carrier: Carrier
    holder: EdgeId | None = None


def card_view(card: Card, root: Root | None, programme: Programme, us: int) -> CardView:
    """A card as it is shown. A replaced card's value has gone on to another."""
    carries = root is not None and root.card == card.id
    return CardView(**_shown(card, root if carries else None, programme, us))


def _shown(card: Card, root: Root | None, programme: Programme, us: int) -> dict[str, Any]:
    status = STATUS[card.state]
    if card.state is CardState.ACTIVE and is_over(card.expires_on, us, programme.terms.time_zone):
        status = "expired"
    return {
        "id": to_edge(CARD, card.id),
        "status": Status(status),
        "reason": card.reason,
        "programme": to_edge(PROGRAMME, card.programme),
        "carrier": card.carrier,
        "holder": _edge(CUSTOMER, card.holder),
        "last4": card.last4,
        "currency": programme.currency,
        "balance": root.balance_fen if root else 0,
        "available": root.available_fen if root else 0,
        "expires_on": card.expires_on,
        "batch": _edge(BATCH, card.batch),
        "serial": card.serial,
        "replaces": _edge(CARD, card.replaces),
        "replaced_by": _edge(CARD, card.replaced_by),
        "issued_at": rfc3339(to_us(card.issued_at)),
        "activated_at": rfc3339(to_us(card.activated_at)) if card.activated_at else None,
    }


def issued_view(card: Card, secrets: Secrets, programme: Programme, us: int) -> IssuedView:
    """A fresh card with its number and PIN: for one answer, kept sealed."""
    return IssuedView(
        **_shown(card, None, programme, us),
        number=secrets.number,
        pin=secrets.pin,
        track2=secrets.track2,
        barcode=secrets.barcode,
    )


def _edge(prefix: str, ident: str | None) -> str | None:
    return None if ident is None else to_edge(prefix, ident)


async def visible_card(
    conn: Conn, principal: Principal, cards: Cards, text: str
) -> tuple[Card, Programme]:
    """A card that the key's scope covers, and its programme. Raises `not_found`."""
    card = await cards.find_card(conn, from_edge(CARD, text))
    programme = await cards.find_programme(conn, card.programme)
    if not principal.covers(programme.issuer):
        raise NOT_FOUND.error("There is no such card.")
    return card, programme


async def _visible_holder(conn: Conn, principal: Principal, customers: Customers, text: str) -> str:
    """A customer within the key's scope. Raises `not_found`."""
    ident = from_edge(CUSTOMER, text, field="holder")
    with contextlib.suppress(KabaoError):  # unknown, and then as if out of scope
        if principal.may_see_company(await customers.company_of(conn, ident)):
            return ident
    raise NOT_FOUND.error("There is no such customer.", field="holder")


@post("/v1/cards", guards=[requires("cards:write")])
async def issue_card(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: IssueCard,
    once: Once,
    cards: Cards,
    customers: Customers,
    clock: Clock,
) -> Response[IssuedView]:
    """Issue a card.

    Its number, PIN, track and barcode are in this answer and in no other; the
    answer can be had again with the same key for 24 hours.
    """

    async def work(conn: Conn) -> IssuedView:
        programme = await http_programmes.own_programme(
            conn, principal, cards, data.programme, field="programme"
        )
        holder = None
        if data.holder is not None:
            holder = await _visible_holder(conn, principal, customers, data.holder)
        new = NewCard(programme=programme.id, carrier=data.carrier, holder=holder)
        issued = await cards.issue(conn, new, By(actor=principal.id, company=principal.company))
        return issued_view(issued.card, issued.secrets, programme, clock.now_us())

    return await once(request, principal, data, work, secret=True)


@get("/v1/cards", guards=[requires("cards:read")])
async def list_cards(
    principal: Principal,
    db: Database,
    cards: Cards,
    ledger: Ledger,
    clock: Clock,
    programme: EdgeId | None = None,
    holder: EdgeId | None = None,
    status: Status | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CardView]:
    """List cards, newest first. A key for certain stores covers none."""
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await cards.list_cards(
            conn,
            issuers=principal.companies if principal.stores is None else (),
            programme=None if programme is None else from_edge(PROGRAMME, programme),
            holder=None if holder is None else from_edge(CUSTOMER, holder),
            states=None if status is None else [s for s, word in STATUS.items() if word == status],
            before=None if before is None else before[0],
            limit=limit + 1,
        )
        roots = {c.id: await ledger.root(conn, c.root) for c in found[:limit]}
        programmes = {
            ident: await cards.find_programme(conn, ident)
            for ident in {c.programme for c in found[:limit]}
        }
    us = clock.now_us()
    return page(
        found,
        limit,
        lambda card: card_view(card, roots[card.id], programmes[card.programme], us),
        lambda card: (card.id,),
    )


@get("/v1/cards/{card:str}", guards=[requires("cards:read")])
async def get_card(
    principal: Principal, db: Database, cards: Cards, ledger: Ledger, clock: Clock, card: str
) -> CardView:
    """Get a card."""
    async with db.read() as conn:
        found, programme = await visible_card(conn, principal, cards, card)
        root = await ledger.root(conn, found.root)
    return card_view(found, root, programme, clock.now_us())


# --- activities ----------------------------------------------------------------------


class ActivityType(StrEnum):
    """Why a card's value moved."""

    LOAD = "load"
    LOAD_VOID = "load_void"
    LOAD_REFUND = "load_refund"
    LOAD_HOLD = "load_hold"
    LOAD_RELEASE = "load_release"
    RECALL = "recall"
    BONUS = "bonus"
    BONUS_CLAWBACK = "bonus_clawback"
    BONUS_LAPSE = "bonus_lapse"
    PAYMENT = "payment"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    VOID = "void"
    REFUND = "refund"
    REVERSAL = "reversal"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    MERGE_IN = "merge_in"
    MERGE_OUT = "merge_out"
    CASH_OUT = "cash_out"
    CARD_RETURN = "card_return"
    ADJUST_INCREMENT = "adjust_increment"
    ADJUST_DECREMENT = "adjust_decrement"
    LOSS = "loss"
    """Sold without a line in this card's name, and paid by its issuer: in and out again."""


_BY_DIRECTION = {
    Purpose.TRANSFER: (ActivityType.TRANSFER_OUT, ActivityType.TRANSFER_IN),
    Purpose.MERGE: (ActivityType.MERGE_OUT, ActivityType.MERGE_IN),
    Purpose.ADJUSTMENT: (ActivityType.ADJUST_DECREMENT, ActivityType.ADJUST_INCREMENT),
}
_FREE = frozenset({Account.PRINCIPAL, Account.BONUS})
_BONUS = frozenset({Account.BONUS, Account.BONUS_HELD})


class ActivityView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a card's history; entries are never changed."""

    sequence: int
    """1, 2, 3, … per value, through every card that has carried it."""
    type: ActivityType
    value: Annotated[str, Meta(pattern="^(principal|bonus)$")]
    amount: int
    change: int
    """What it did to `available`: a hold takes away, its capture changes nothing more."""
    balance: int
    balance_after: int
    """`available` right after it."""
    currency: str
    operation: str
    """Entries of one operation, such as principal and bonus of one payment, share it."""
    related: str | None
    store: str | None
    terminal: str | None
    channel: str | None
    occurred_at: str
    recorded_at: str
    business_date: date


def activity_view(transfer: Transfer) -> ActivityView:
    """A transfer of a root as the card's holder would tell it."""
    debit, credit = Account(transfer.debit), Account(transfer.credit)
    change = transfer.amount_fen * ((credit in _FREE) - (debit in _FREE))
    purpose = Purpose(transfer.purpose)
    either = _BY_DIRECTION.get(purpose)
    available = transfer.principal_after_fen + transfer.bonus_after_fen
    store = transfer.redeeming_store or transfer.selling_store
    return ActivityView(
        sequence=transfer.seq,
        type=either[change > 0] if either else ActivityType(purpose.name.lower()),
        value="bonus" if debit in _BONUS or credit in _BONUS else "principal",
        amount=transfer.amount_fen,
        change=change,
        balance=available + transfer.held_after_fen,
        balance_after=available,
        currency=transfer.currency,
        operation=to_edge("op", transfer.op),
        related=_edge("op", transfer.related),
        store=_edge("sto", store),
        terminal=_edge("ter", transfer.terminal),
        channel=transfer.channel,
        occurred_at=rfc3339(transfer.occurred_us),
        recorded_at=rfc3339(transfer.recorded_us),
        business_date=transfer.business_date,
    )


@get("/v1/cards/{card:str}/activities", guards=[requires("cards:read")])
async def list_activities(
    principal: Principal,
    db: Database,
    cards: Cards,
    ledger: Ledger,
    card: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ActivityView]:
    """List what happened to a card's value, newest first."""
    before = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        found, _ = await visible_card(conn, principal, cards, card)
        transfers = await ledger.transfers(
            conn,
            found.root,
            before_seq=None if before is None else before[0],
            limit=limit + 1,
        )
    return page(transfers, limit, activity_view, lambda transfer: (transfer.seq,))


ROUTES = [issue_card, list_cards, get_card, list_activities, *http_programmes.ROUTES]
