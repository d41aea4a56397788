"""The HTTP door of the ledger: accounts, transfers, loads and days. Nothing here moves money.

An account belongs to a card (`principal`, `bonus` and what holds set aside of
each) or to the house: a store's or a company's, by kind and owner.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.binding import PATIENT
from kabao.base.web.fields import Currency, EdgeId, Moment, RequestBody
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
from kabao.ledger.lots import LotLeft
from kabao.ledger.model import Account, Purpose, Root, Transfer
from kabao.ledger.ops import Ledger
from kabao.ledger.ports import Carriers, Diary, LotOrders, Places

CARD, STORE, COMPANY, OPERATION = "card", "sto", "com", "op"

OF_BOTH = frozenset({Account.PAYABLE, Account.UNDER_WAY})
"""House accounts whose owner is a store, or a company that is paid without one."""

OF_STORES = frozenset({Account.CASH, Account.REDEEMED, Account.CASH_DIFFERENCE}) | OF_BOTH
"""House accounts whose owner is a store; those of all others are companies."""

GROWS_BY_DEBIT = frozenset(
    {
        Account.CASH,
        Account.BONUS_COST,
        Account.COLLECTED,
        Account.RECEIVABLE,
        Account.BANK,
        Account.CHANNEL_FEES,
        Account.CASH_DIFFERENCE,
        Account.DISPUTED,
    }
)
"""What the house has or has spent; all other accounts are what it owes."""

LATEST_US = to_us(datetime(9999, 1, 1, tzinfo=UTC))
MomentPosition = Annotated[int, Meta(ge=0, lt=LATEST_US)]
"""A moment inside a cursor, in microseconds."""

AccountName = StrEnum(  # type: ignore[misc]  # the names are those of the chart
    "AccountName", {account.name: account.name.lower() for account in Account}
)
PurposeName = StrEnum(  # type: ignore[misc]  # as above
    "PurposeName", {purpose.name: purpose.name.lower() for purpose in Purpose}
)


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it stands, now or at the moment asked for. Whole fen.

    `balance` is credit less debit; of what the house has, has spent or is owed (`cash`,
    `bonus_cost`, `collected`, `receivable`, `bank`, `channel_fees`, `cash_difference`,
    `disputed`) it is debit less credit.
    """

    account: AccountName
    owner: str
    """`card_…`: the card that carries the value now; `sto_…` or `com_…`."""
    currency: str
    debit: int
    credit: int
    balance: int


class Accounts(msgspec.Struct, frozen=True):
    """Accounts of one owner. `at` null: now."""

    at: str | None
    data: list[AccountView]


class TransferView(msgspec.Struct, frozen=True, kw_only=True):
    """Value that moved: `debit` gave it, `credit` took it. It is never changed."""

    card: str
    """The card that carries this value now."""
    sequence: int
    """1, 2, 3, … per value, through every card that has carried it."""
    operation: str
    """What one request did shares it."""
    related: str | None
    """The operation this one undoes or completes."""
    debit: AccountName
    credit: AccountName
    house: str | None
    """Owner of the house account; null when value went into or out of a hold."""
    amount: int
    currency: str
    purpose: PurposeName
    principal_after: int
    bonus_after: int
    held_after: int
    issuer: str
    selling_store: str | None
    redeeming_store: str | None
    terminal: str | None
    cashier: str | None
    shift: str | None
    channel: str | None
    occurred_at: str
    recorded_at: str
    business_date: date


class LotView(msgspec.Struct, frozen=True, kw_only=True):
    """One load, what it was, and what is left of it, holds included."""

    sequence: int
    operation: str
    principal: int
    bonus: int
    price: int
    """What was paid for it."""
    principal_left: int
    bonus_left: int
    currency: str
    contract_date: date
    selling_store: str | None
    selling_company: str | None
    channel: str
    payer: str | None


class DayView(msgspec.Struct, frozen=True):
    """A business day nothing can be posted into any more."""

    day: date
    transfers: int
    closed_at: str


class CloseDay(RequestBody, frozen=True):
    """The last day to close; days before it that are still open are closed with it."""

    day: date


class DaysClosed(msgspec.Struct, frozen=True):
    """The days up to this one are closed; `transfers` is how many it had."""

    day: date
    transfers: int


class _Owner(msgspec.Struct, frozen=True):
    """The owner of house accounts, inside the key's scope."""

    ident: str
    edge: str
    kinds: tuple[Account, ...]


# --- accounts ---------------------------------------------------------------------------


@get("/v1/ledger/accounts", guards=[requires("ledger:read")])
async def list_accounts(
    principal: Principal,
    db: Database,
    ledger: Ledger,
    cards: Carriers,
    org: Places,
    card: EdgeId | None = None,
    owner: EdgeId | None = None,
    account: AccountName | None = None,
    currency: Currency = "CNY",
    at: Moment | None = None,
) -> Accounts:
    """List the accounts of a card, or the house accounts of a store or company.

    With their balances now, or as they were `at` a past moment.
    """
    _one_of(card, owner)
    us = None if at is None else _past(at)
    async with db.read() as conn:
        if card is not None:
            root = await _root(conn, principal, cards, ledger, card)
            sums = await ledger.sub_accounts(conn, root.id, us)
            shown = [
                _account(kind, to_edge(CARD, root.card), root.currency, *sums[kind])
                for kind in sums
                if account in {None, named(kind)}
            ]
        else:
            found = owner_of(principal, org, owner or "")
            shown = []
            for kind in kinds_of(found, account):
                sum_ = await ledger.house_balance(conn, kind, found.ident, currency, us)
                shown.append(_account(kind, found.edge, currency, sum_.debit_fen, sum_.credit_fen))
    return Accounts(None if us is None else rfc3339(us), shown)


def _account(kind: Account, owner: str, currency: str, debit: int, credit: int) -> AccountView:
    balance = debit - credit if kind in GROWS_BY_DEBIT else credit - debit
    return AccountView(
        account=named(kind),
        owner=owner,
        currency=currency,
        debit=debit,
        credit=credit,
        balance=balance,
    )


# --- transfers --------------------------------------------------------------------------


@get("/v1/ledger/transfers", guards=[requires("ledger:read")])
async def list_transfers(
    principal: Principal,
    db: Database,
    ledger: Ledger,
    cards: Carriers,
    org: Places,
    card: EdgeId | None = None,
    owner: EdgeId | None = None,
    account: AccountName | None = None,
    day: date | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[TransferView]:
    """List the transfers of a card, newest first; or those of a house account on a day.

    Of the house: `owner`, `account` and business `day`, in the order of time.
    """
    _one_of(card, owner)
    if card is not None:
        if account is not None or day is not None:
            raise INVALID.error("`account` and `day` go with `owner`.", field="account")
        return await _of_card(principal, db, ledger, cards, card, limit, cursor)
    if account is None or day is None:
        missing = "account" if account is None else "day"
        raise INVALID.error("A house account is named by owner, account and day.", field=missing)
    found = owner_of(principal, org, owner or "")
    (kind,) = kinds_of(found, account)
    after = position(cursor, tuple[MomentPosition, IdPosition, NumberPosition])
    async with db.read() as conn:
        rows = await ledger.house_page(conn, kind, found.ident, day, after=after, limit=limit + 1)
        carriers = await ledger.carriers(conn, {row.root for row in rows})
    return page(
        rows,
        limit,
        lambda row: transfer_view(row, carriers[row.root]),
        lambda row: (row.recorded_us, row.root, row.seq),
    )


async def _of_card(
    principal: Principal,
    db: Database,
    ledger: Ledger,
    cards: Carriers,
    card: str,
    limit: int,
    cursor: str | None,
) -> Page[TransferView]:
    before = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        root = await _root(conn, principal, cards, ledger, card)
        rows = await ledger.transfers(
            conn, root.id, before_seq=None if before is None else before[0], limit=limit + 1
        )
    return page(rows, limit, lambda row: transfer_view(row, root.card), lambda row: (row.seq,))


def transfer_view(t: Transfer, card: str) -> TransferView:
    """A transfer for the outside; `card` carries its root now."""
    debit, credit = Account(t.debit), Account(t.credit)
    house = credit if debit.of_root else debit
    owner = STORE if house in OF_STORES else COMPANY
    return TransferView(
        card=to_edge(CARD, card),
        sequence=t.seq,
        operation=to_edge(OPERATION, t.op),
        related=_edge(OPERATION, t.related),
        debit=named(debit),
        credit=named(credit),
        house=_edge(owner, t.house),
        amount=t.amount_fen,
        currency=t.currency,
        purpose=PurposeName[Purpose(t.purpose).name],
        principal_after=t.principal_after_fen,
        bonus_after=t.bonus_after_fen,
        held_after=t.held_after_fen,
        issuer=to_edge(COMPANY, t.issuer),
        selling_store=_edge(STORE, t.selling_store),
        redeeming_store=_edge(STORE, t.redeeming_store),
        terminal=_edge("ter", t.terminal),
        cashier=_edge("csh", t.cashier),
        shift=_edge("shf", t.shift),
        channel=t.channel,
        occurred_at=rfc3339(t.occurred_us),
        recorded_at=rfc3339(t.recorded_us),
        business_date=t.business_date,
    )


# --- loads ------------------------------------------------------------------------------


@get("/v1/ledger/lots", guards=[requires("ledger:read")])
async def list_lots(
    principal: Principal,
    db: Database,
    ledger: Ledger,
    cards: Carriers,
    lot_order: LotOrders,
    card: EdgeId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[LotView]:
    """List the loads of a card, oldest first, and what is left of each.

    Which load a spent fen came from is derived, in the order policy says.
    """
    after = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        root = await _root(conn, principal, cards, ledger, card)
        derived = await ledger.lots(conn, root.id, lot_order(root.programme))
    rows = [left for left in derived.left if after is None or left.lot.seq > after[0]]
    return page(
        rows[: limit + 1], limit, lambda left: _lot_view(left, root), lambda left: (left.lot.seq,)
    )


def _lot_view(left: LotLeft, root: Root) -> LotView:
    lot = left.lot.lot
    return LotView(
        sequence=left.lot.seq,
        operation=to_edge(OPERATION, left.lot.op),
        principal=lot.principal_fen,
        bonus=lot.bonus_fen,
        price=lot.price_fen,
        principal_left=left.principal_fen,
        bonus_left=left.bonus_fen,
        currency=root.currency,
        contract_date=lot.contract_date,
        selling_store=_edge(STORE, lot.selling_store),
        selling_company=_edge(COMPANY, lot.selling_company),
        channel=lot.channel,
        payer=_edge("cus", lot.payer),
    )


# --- days -------------------------------------------------------------------------------


@get("/v1/ledger/days", guards=[requires("ledger:read")])
async def list_days(
    db: Database, ledger: Ledger, limit: Limit = DEFAULT_LIMIT, cursor: Cursor | None = None
) -> Page[DayView]:
    """List closed business days, newest first."""
    before = position(cursor, tuple[date])
    async with db.read() as conn:
        rows = await ledger.closed_days(
            conn, before=None if before is None else before[0], limit=limit + 1
        )
    return page(
        rows,
        limit,
        lambda row: DayView(row.business_date, row.transfers, rfc3339(to_us(row.closed_at))),
        lambda row: (row.business_date,),
    )


@post(
    "/v1/ledger/days/close",
    guards=[requires("settlements:write")],
    status_code=200,
    opt=PATIENT,
)
async def close_day(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CloseDay,
    once: Once,
    ledger: Ledger,
    diary: Diary,
) -> Response[DaysClosed]:
    """Close a business day of the whole group, and all before it. It is never opened again."""
    if not principal.whole_group:
        raise FORBIDDEN.error("This needs a key for the whole group.")

    async def work(conn: Conn) -> DaysClosed:
        transfers = await ledger.close_day(conn, data.day)
        await diary.note(conn, principal, "days:close", data.day.isoformat())
        return DaysClosed(data.day, transfers)

    return await once(request, principal, data, work)


def _past(at: datetime) -> int:
    """A moment the journal can know of. Raises `invalid`."""
    us = to_us(at)
    if not 0 <= us < LATEST_US:
        raise INVALID.error("There is nothing to know of that time.", field="at")
    return us


# --- what is in scope -------------------------------------------------------------------


def _one_of(card: str | None, owner: str | None) -> None:
    if (card is None) == (owner is None):
        raise INVALID.error("Name a card, or the owner of a house account.", field="card")


async def _root(
    conn: Conn, principal: Principal, cards: Carriers, ledger: Ledger, text: str
) -> Root:
    """The root of a card whose issuer is in scope; a key for certain stores covers none."""
    found = await cards.find_card(conn, from_edge(CARD, text, field="card"))
    root = await ledger.root(conn, found.root)
    if root is None or not principal.covers(root.issuer):
        raise NOT_FOUND.error("There is no such card.", field="card")
    return root


def owner_of(principal: Principal, org: Places, text: str) -> _Owner:
    """A store or a company in scope. Raises `not_found`."""
    if text.startswith(f"{STORE}_"):
        ident = from_edge(STORE, text, field="owner")
        store = org.store(ident)
        if store is None or not (
            principal.may_see_store(ident) and principal.may_see_company(store.company)
        ):
            raise NOT_FOUND.error("There is no such store.", field="owner")
        return _Owner(ident, text, tuple(a for a in Account if a in OF_STORES))
    ident = from_edge(COMPANY, text, field="owner")
    if org.company(ident) is None or not principal.covers(ident):
        raise NOT_FOUND.error("There is no such company.", field="owner")
    of_companies = frozenset(Account) - OF_STORES | OF_BOTH
    return _Owner(ident, text, tuple(a for a in Account if not a.of_root and a in of_companies))


def kinds_of(owner: _Owner, account: AccountName | None) -> tuple[Account, ...]:
    """The kinds of an owner's accounts that are wanted. Raises `invalid`."""
    if account is None:
        return owner.kinds
    kind = Account[account.name]
    if kind not in owner.kinds:
        raise INVALID.error("This owner has no such account.", field="account")
    return (kind,)


def named(account: Account) -> AccountName:
    """The name of an account, as doors show it."""
    return AccountName[account.name]


def _edge(prefix: str, ident: str | None) -> str | None:
    return None if ident is None else to_edge(prefix, ident)


ROUTES: list[HTTPRouteHandler] = [
    list_accounts,
    list_transfers,
    list_lots,
    list_days,
    close_day,
]
