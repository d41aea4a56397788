"""`/v1/settlement-accounts`: where companies and stores are paid."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    LINE,
    Currency,
    EdgeId,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.clearing.approvals_accounts import ACCOUNT_ACTION, NewAccount
from kabao.clearing.model.accounts import ACCOUNT, AccountState, SettlementAccount
from kabao.clearing.model.batches import Payee
from kabao.clearing.ops.accounts import Accounts

READ, WRITE = "settlement-accounts:read", "settlement-accounts:write"


class SetAccount(RequestBody, frozen=True, kw_only=True):
    """An account at a bank. It must be in the name of the company, or of the store (CR-91)."""

    company: EdgeId
    store: EdgeId | None = None
    name: Annotated[str, Meta(min_length=1, max_length=140, pattern=LINE)]
    account: Annotated[str, Meta(pattern=r"^[0-9]{8,32}$(?!\n)", description="Its number.")]
    bank: Annotated[
        str, Meta(pattern=r"^[0-9]{12}$(?!\n)", description="CNAPS number of its bank (行号).")
    ]
    currency: Currency = "CNY"
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class AccountView(msgspec.Struct, frozen=True):
    """A settlement account, masked. `reason`: why its bank sent money back."""

    id: str
    company: str
    store: str | None
    bank: str
    account: str
    currency: str
    status: AccountState
    reason: str | None
    created_at: str


def _view(one: SettlementAccount) -> AccountView:
    return AccountView(
        id=to_edge(ACCOUNT, one.id),
        company=to_edge("com", one.company),
        store=None if one.store is None else to_edge("sto", one.store),
        bank=one.bank,
        account=f"****{one.last_digits}",
        currency=one.currency,
        status=one.state,
        reason=one.reason,
        created_at=rfc3339(to_us(one.created_at)),
    )


@post("/v1/settlement-accounts", guards=[requires(WRITE)])
async def set_account(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SetAccount,
    once: Once,
    settlement_accounts: Accounts,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to where a company or a store is paid.

    From then on it takes the place of the account there was. Nothing shows it whole again.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    company = from_edge("com", data.company, field="company")
    if not principal.covers(company):
        raise NOT_FOUND.error("There is no such company.", field="company")
    store = None if data.store is None else from_edge("sto", data.store, field="store")

    async def work(conn: Conn) -> ApprovalView:
        payee = Payee(data.name, data.account, data.bank)
        made = await settlement_accounts.propose(conn, company, store, payee, data.currency)
        company_name, *of_store = settlement_accounts.names(company, store)
        payload = NewAccount(
            account=to_edge(ACCOUNT, made.id),
            company=data.company,
            store=data.store,
            bank=made.bank,
            last_digits=made.last_digits,
            name=data.name,
            company_name=company_name,
            store_name=of_store[0] if of_store else None,
        )
        touched = frozenset({company})
        asked = await access.approvals.ask(
            conn, principal, ACCOUNT_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@get("/v1/settlement-accounts", guards=[requires(READ)])
async def list_accounts(
    principal: Principal,
    db: Database,
    settlement_accounts: Accounts,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[AccountView]:
    """List settlement accounts, newest first. A key for certain stores sees none."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await settlement_accounts.search(
            conn,
            companies_of(principal),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda one: (one.id,))


@get("/v1/settlement-accounts/{settlement_account:str}", guards=[requires(READ)])
async def get_account(
    principal: Principal, db: Database, settlement_accounts: Accounts, settlement_account: str
) -> AccountView:
    """Get a settlement account."""
    async with db.read() as conn:
        found = await settlement_accounts.find(conn, from_edge(ACCOUNT, settlement_account))
    if not principal.covers(found.company):
        raise NOT_FOUND.error("There is no such settlement account.")
    return _view(found)


def companies_of(principal: Principal) -> list[str] | None:
    """Whose papers a key may list: None is everybody's. A key for certain stores sees none."""
    if principal.stores is not None:
        return []
    return None if principal.companies is None else list(principal.companies)


ROUTES = [set_account, list_accounts, get_account]
