"""`/v1/settlements`: what issuers owe stores, and the slips behind every figure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from enum import StrEnum

import msgspec
from litestar import get

from kabao.base.clock import rfc3339
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId
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
from kabao.clearing.model.settlement import (
    INSTRUCTION,
    SETTLEMENT,
    WINDOW,
    Instruction,
    InstructionState,
    Settlement,
    SettlementState,
)
from kabao.clearing.ops import Clearing
from kabao.clearing.ops.reading import Wanted
from kabao.ledger.model import Account, Purpose, Transfer
from kabao.ledger.ops import Ledger

READ = "settlements:read"


class InstructionView(msgspec.Struct, frozen=True, kw_only=True):
    """A payment between two parties that nets many settlements."""

    id: str
    payer: str
    payee_store: str | None
    payee_company: str
    amount: int
    currency: str
    due_on: date
    status: InstructionState
    settlements: list[str]
    """Those of them that this key may see."""


def sees(principal: Principal, i: Instruction) -> bool:
    """Whether a payment is the key's to see: it pays it, or is paid. Others that pay the same
    payee, and what a company gets when the key is for a store of it, are strangers' affairs.
    """
    if principal.covers(i.payer_company) or principal.covers(i.payee_company):
        return True
    store = i.payee_store
    return (
        store is not None
        and principal.may_see_store(store)
        and principal.may_see_company(i.payee_company)
    )


def instruction_view(i: Instruction, shown: Collection[str]) -> InstructionView:
    """An instruction for the outside; of its settlements those that may be shown."""
    return InstructionView(
        id=to_edge(INSTRUCTION, i.id),
        payer=to_edge("com", i.payer_company),
        payee_store=None if i.payee_store is None else to_edge("sto", i.payee_store),
        payee_company=to_edge("com", i.payee_company),
        amount=i.amount_fen,
        currency=i.currency,
        due_on=i.due_on,
        status=i.state,
        settlements=[to_edge(SETTLEMENT, each) for each in i.settlement_ids if each in shown],
    )


class SettlementView(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer owes a store for one window. Whole fen.

    `amount` = redeemed - given_back - fees + fees_returned - cash; below zero the store owes.
    """

    id: str
    window: str
    day: date
    issuer: str
    store: str
    company: str
    currency: str
    redeemed: int
    given_back: int
    fees: int
    fees_returned: int
    cash: int
    """Cash taken for the issuer that the store keeps."""
    amount: int
    transfers: int
    status: SettlementState
    due_on: date | None


def settlement_view(s: Settlement) -> SettlementView:
    """A settlement for the outside."""
    return SettlementView(
        id=to_edge(SETTLEMENT, s.id),
        window=to_edge(WINDOW, s.window),
        day=s.day,
        issuer=to_edge("com", s.issuer),
        store=to_edge("sto", s.store),
        company=to_edge("com", s.company),
        currency=s.currency,
        redeemed=s.redeemed_fen,
        given_back=s.given_back_fen,
        fees=s.fee_fen,
        fees_returned=s.fee_returned_fen,
        cash=s.cash_fen,
        amount=s.amount_fen,
        transfers=s.transfers,
        status=s.state,
        due_on=s.due_on,
    )


class SettlementWhole(msgspec.Struct, frozen=True):
    """A settlement, and the payments that pay it among others, as far as this key may see them;
    none where all was set off.
    """

    settlement: SettlementView
    instructions: list[InstructionView]


class Figure(StrEnum):
    """A figure of a settlement that consists of slips."""

    REDEMPTIONS = "redemptions"
    CASH = "cash"


class SettledTransferView(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer behind a settlement. `amount` below zero: it was given back, or paid out."""

    operation: str
    payment: str | None
    """Its slip: `GET /v1/receipts?payment=`; null for cash."""
    card: str
    """The card that carries the value now."""
    purpose: str
    amount: int
    currency: str
    terminal: str | None
    cashier: str | None
    occurred_at: str
    recorded_at: str
    business_date: date


@get("/v1/settlements", guards=[requires(READ)])
async def list_settlements(
    principal: Principal,
    db: Database,
    clearing: Clearing,
    day: date | None = None,
    window: EdgeId | None = None,
    issuer: EdgeId | None = None,
    store: EdgeId | None = None,
    status: SettlementState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SettlementView]:
    """List settlements inside the key's scope."""
    after = position(cursor, tuple[IdPosition])
    wanted = Wanted(
        day=day,
        window=None if window is None else from_edge(WINDOW, window, field="window"),
        issuer=None if issuer is None else from_edge("com", issuer, field="issuer"),
        store=None if store is None else from_edge("sto", store, field="store"),
        state=status,
        stores=principal.stores,
        companies=principal.companies,
        after=None if after is None else after[0],
        limit=limit + 1,
    )
    async with db.read() as conn:
        rows = await clearing.reading.settlements(conn, wanted)
    return page(rows, limit, settlement_view, lambda row: (row.id,))


@get("/v1/settlements/{settlement:str}", guards=[requires(READ)])
async def get_settlement(
    principal: Principal, db: Database, clearing: Clearing, settlement: str
) -> SettlementWhole:
    """Get a settlement, and how it is paid."""
    async with db.read() as conn:
        found = await visible(conn, principal, clearing, settlement)
        paid = [i for i in await clearing.reading.paid_by(conn, found) if sees(principal, i)]
        about = {each for i in paid for each in i.settlement_ids}
        shown = await clearing.reading.visible(conn, about, principal.stores, principal.companies)
    return SettlementWhole(settlement_view(found), [instruction_view(i, shown) for i in paid])


@get("/v1/settlements/{settlement:str}/transfers", guards=[requires(READ)])
async def list_slips(
    principal: Principal,
    db: Database,
    clearing: Clearing,
    ledger: Ledger,
    settlement: str,
    figure: Figure = Figure.REDEMPTIONS,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SettledTransferView]:
    """List what a figure of a settlement is made of, oldest first: together they are it, but for
    what disputes charged the store, which are not of cards.
    """
    start = position(cursor, tuple[NumberPosition, IdPosition, NumberPosition])
    async with db.read() as conn:
        found = await visible(conn, principal, clearing, settlement)
        account = Account.CASH if figure is Figure.CASH else Account.REDEEMED
        rows = await clearing.reading.transfers(conn, found, account, start, limit + 1)
        cards = await ledger.carriers(conn, {row.root for row in rows})
    return page(
        rows,
        limit,
        lambda row: _slip(row, cards[row.root]),
        lambda row: (row.recorded_us, row.root, row.seq),
    )


def _slip(t: Transfer, card: str) -> SettledTransferView:
    cash = Account.CASH in {t.debit, t.credit}
    grows = t.debit == Account.CASH or t.credit == Account.REDEEMED
    return SettledTransferView(
        operation=to_edge("op", t.op),
        payment=None if cash else to_edge("pay", t.related or t.op),
        card=to_edge("card", card),
        purpose=Purpose(t.purpose).name.lower(),
        amount=t.amount_fen if grows else -t.amount_fen,
        currency=t.currency,
        terminal=None if t.terminal is None else to_edge("ter", t.terminal),
        cashier=None if t.cashier is None else to_edge("csh", t.cashier),
        occurred_at=rfc3339(t.occurred_us),
        recorded_at=rfc3339(t.recorded_us),
        business_date=t.business_date,
    )


async def visible(conn: Conn, principal: Principal, clearing: Clearing, text: str) -> Settlement:
    """A settlement inside the key's scope: the store's, or the issuer's. Raises `not_found`."""
    found = await clearing.reading.settlement(conn, from_edge(SETTLEMENT, text))
    seen = found is not None and principal.may_see_store(found.store)
    companies = () if found is None else (found.company, found.issuer)
    if found is None or not (seen and any(map(principal.may_see_company, companies))):
        raise NOT_FOUND.error("There is no such settlement.")
    return found


ROUTES = [list_settlements, get_settlement, list_slips]
