"""`/v1/deposits`: cash of cards, from a store's safe to the bank (解款)."""

from __future__ import annotations

from datetime import date
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
    Amount,
    Currency,
    EdgeId,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.clearing.approvals_deposits import DIFFERENCE_ACTION, CashDifference
from kabao.clearing.model.deposits import (
    DEPOSIT,
    NO_DIFFERENCE,
    RULE,
    SHIFTS_MAX,
    Deposit,
    DepositState,
)
from kabao.clearing.ops.deposits import Deposits
from kabao.org.ops import Org

READ, WRITE, SETTLE = "deposits:read", "deposits:write", "deposits:settle"
SHIFT = "shf"


class HandOver(RequestBody, frozen=True, kw_only=True):
    """A bag with cash of cards, and of which shifts.

    Without shifts (a kiosk's boxes, older cash), what is declared is what is expected.
    `company`: whose account it is paid into, if not the store's company's.
    """

    store: EdgeId
    amount: Amount
    shifts: Annotated[tuple[EdgeId, ...], Meta(max_length=SHIFTS_MAX)] = ()
    company: EdgeId | None = None
    currency: Currency = "CNY"


class SettleDifference(RequestBody, frozen=True):
    """Why the difference is borne."""

    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class ShiftCash(msgspec.Struct, frozen=True):
    """What a shift has taken for cards, in fen."""

    shift: str
    cash: int


class DepositView(msgspec.Struct, frozen=True):
    """A deposit. `reference`: to be written for the bank with the money.

    `difference`: what the bank booked less what the books expect; below zero, it is short.
    """

    id: str
    reference: str
    company: str
    store: str
    day: date
    declared: int
    expected: int
    received: int | None
    difference: int | None
    currency: str
    status: DepositState
    created_at: str
    received_at: str | None
    shifts: list[ShiftCash] | None = None
    """Only where a single deposit is shown."""


def _view(one: Deposit, shifts: list[ShiftCash] | None = None) -> DepositView:
    return DepositView(
        id=to_edge(DEPOSIT, one.id),
        reference=one.reference,
        company=to_edge("com", one.company),
        store=to_edge("sto", one.store),
        day=one.day,
        declared=one.declared_fen,
        expected=one.expected_fen,
        received=one.received_fen,
        difference=one.difference_fen,
        currency=one.currency,
        status=one.state,
        created_at=rfc3339(to_us(one.created_at)),
        received_at=None if one.received_at is None else rfc3339(to_us(one.received_at)),
        shifts=shifts,
    )


@post("/v1/deposits", guards=[requires(WRITE)])
async def hand_over(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: HandOver,
    once: Once,
    deposits: Deposits,
    org: Org,
) -> Response[DepositView]:
    """Hand over a bag of cash: whoever pays it in writes its reference for the bank."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    store = from_edge("sto", data.store, field="store")
    place = org.store(store)
    if place is None or not (
        principal.may_see_store(store) and principal.may_see_company(place.company)
    ):
        raise NOT_FOUND.error("There is no such store.", field="store")
    company = None if data.company is None else from_edge("com", data.company, field="company")

    async def work(conn: Conn) -> DepositView:
        made = await deposits.hand_over(
            conn,
            store=store,
            company=company,
            currency=data.currency,
            declared_fen=data.amount,
            shifts=[from_edge(SHIFT, one, field="shifts") for one in data.shifts],
        )
        return _view(made)

    return await once(request, principal, data, work)


@get("/v1/deposits", guards=[requires(READ)])
async def list_deposits(
    principal: Principal,
    db: Database,
    deposits: Deposits,
    status: DepositState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[DepositView]:
    """List deposits, newest first."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await deposits.search(
            conn,
            principal.companies,
            principal.stores,
            state=status,
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda one: (one.id,))


@get("/v1/deposits/{deposit:str}", guards=[requires(READ)])
async def get_deposit(
    principal: Principal, db: Database, deposits: Deposits, org: Org, deposit: str
) -> DepositView:
    """Get a deposit, with the shifts whose cash is in it."""
    async with db.read() as conn:
        found = await _visible(conn, principal, org, deposits, deposit)
        cash = await deposits.shifts_of(conn, found.id)
    return _view(found, [ShiftCash(to_edge(SHIFT, one), fen) for one, fen in cash.items()])


@post("/v1/deposits/{deposit:str}/differences", guards=[requires(SETTLE)])
async def settle_difference(
    request: Request[Any, Any, Any],
    principal: Principal,
    deposit: str,
    data: SettleDifference,
    once: Once,
    deposits: Deposits,
    org: Org,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree that what was short or over is booked as that."""

    async def work(conn: Conn) -> ApprovalView:
        found = await _visible(conn, principal, org, deposits, deposit)
        if found.state is not DepositState.DIFFERS or found.received_fen is None:
            raise NO_DIFFERENCE.error(rule=RULE)
        payload = CashDifference(
            deposit=to_edge(DEPOSIT, found.id),
            expected=found.expected_fen,
            received=found.received_fen,
            difference=found.received_fen - found.expected_fen,
            currency=found.currency,
        )
        asked = await access.approvals.ask(
            conn,
            principal,
            DIFFERENCE_ACTION,
            payload,
            data.reason,
            companies=frozenset({found.company}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


async def _visible(
    conn: Conn, principal: Principal, org: Org, deposits: Deposits, text: str
) -> Deposit:
    """A deposit inside the key's scope: the store's, or whose account it is paid in to.

    Raises `not_found`.
    """
    found = await deposits.find(conn, from_edge(DEPOSIT, text))
    place = org.store(found.store)
    companies = (found.company, *([] if place is None else [place.company]))
    if not (
        principal.may_see_store(found.store) and any(map(principal.may_see_company, companies))
    ):
        raise NOT_FOUND.error("There is no such deposit.")
    return found


ROUTES = [hand_over, list_deposits, get_deposit, settle_difference]
