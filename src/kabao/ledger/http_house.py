"""The journal between house accounts, for bookkeepers."""

from __future__ import annotations

from datetime import date

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from kabao.base.clock import rfc3339
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, NumberPosition, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.ledger.http import (
    COMPANY,
    OF_BOTH,
    OF_STORES,
    OPERATION,
    STORE,
    AccountName,
    PurposeName,
    kinds_of,
    named,
    owner_of,
)
from kabao.ledger.model import Account, HouseTransfer, Purpose
from kabao.ledger.ops import Ledger
from kabao.ledger.ports import Places


class HouseTransferView(msgspec.Struct, frozen=True, kw_only=True):
    """Money that moved between two house accounts, and no card. It is never changed."""

    number: int
    """1, 2, 3, … through the whole journal."""
    operation: str
    debit: AccountName
    debit_owner: str
    credit: AccountName
    credit_owner: str
    amount: int
    currency: str
    purpose: PurposeName
    issuer: str
    """Whose cards or debts it is about."""
    channel: str | None
    related: str | None
    """What it settles, pays or corrects: the id without its prefix."""
    for_date: date | None
    """The business day it settles or corrects."""
    recorded_at: str
    business_date: date


@get("/v1/ledger/house-transfers", guards=[requires("ledger:read")])
async def list_house_transfers(
    principal: Principal,
    db: Database,
    ledger: Ledger,
    org: Places,
    owner: EdgeId,
    account: AccountName,
    day: date,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[HouseTransferView]:
    """List what moved between a house account and others on a business day, in order.

    What cards moved on it is among its `transfers`.
    """
    found = owner_of(principal, org, owner)
    (kind,) = kinds_of(found, account)
    after = position(cursor, tuple[NumberPosition]) or (0,)
    async with db.read() as conn:
        rows = await ledger.house_account(
            conn, kind, found.ident, day, after=after[0], limit=limit + 1
        )
    return page(rows, limit, lambda row: house_transfer_view(row, org), lambda row: (row.no,))


def house_transfer_view(t: HouseTransfer, org: Places) -> HouseTransferView:
    """A transfer between house accounts for the outside."""
    debit, credit = Account(t.debit), Account(t.credit)
    return HouseTransferView(
        number=t.no,
        operation=to_edge(OPERATION, t.op),
        debit=named(debit),
        debit_owner=_owner_edge(debit, t.debit_owner, org),
        credit=named(credit),
        credit_owner=_owner_edge(credit, t.credit_owner, org),
        amount=t.amount_fen,
        currency=t.currency,
        purpose=PurposeName[Purpose(t.purpose).name],
        issuer=to_edge(COMPANY, t.issuer),
        channel=t.channel,
        related=t.related,
        for_date=t.for_date,
        recorded_at=rfc3339(t.recorded_us),
        business_date=t.business_date,
    )


def _owner_edge(account: Account, owner: str, org: Places) -> str:
    store = account in OF_STORES and (account not in OF_BOTH or org.store(owner) is not None)
    return to_edge(STORE if store else COMPANY, owner)


ROUTES: list[HTTPRouteHandler] = [list_house_transfers]
