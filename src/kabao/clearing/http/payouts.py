"""`/v1/payout-releases`, `/v1/payouts`, `/v1/payout-batches`: what was settled, paid."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import BusinessDays, Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
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
from kabao.clearing.approvals_payouts import RELEASE_ACTION, Release
from kabao.clearing.http.accounts import companies_of
from kabao.clearing.model.accounts import ACCOUNT
from kabao.clearing.model.payouts import (
    BATCH,
    PAYOUT,
    BatchState,
    Payout,
    PayoutBatch,
    PayoutState,
)
from kabao.clearing.model.settlement import INSTRUCTION
from kabao.clearing.ops.payouts import Payouts

READ, WRITE = "settlements:read", "settlements:write"


class AskForRelease(RequestBody, frozen=True, kw_only=True):
    """Pay what is due by a day, no later than today, which it is where none is named.

    What came back is among it.
    """

    company: EdgeId
    until: date | None = None
    currency: Currency = "CNY"
    reason: Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class PayoutView(msgspec.Struct, frozen=True):
    """A payout. `reason`: why it was rejected or came back, in ISO 20022's codes.

    `attempt`: the first, or one after another that failed; each has its own number.
    """

    id: str
    instruction: str
    attempt: int
    batch: str
    payer: str
    payee_company: str
    payee_store: str | None
    account: str
    amount: int
    currency: str
    status: PayoutState
    reason: str | None
    created_at: str
    paid_at: str | None
    ended_at: str | None


class BatchView(msgspec.Struct, frozen=True):
    """A file of payouts (pain.001). `digest`: SHA-256 of what was sent, hex."""

    id: str
    company: str
    day: date
    payouts: int
    amount: int
    currency: str
    status: BatchState
    digest: str | None
    approval: str
    created_at: str
    sent_at: str | None


def _view(one: Payout) -> PayoutView:
    return PayoutView(
        id=to_edge(PAYOUT, one.id),
        instruction=to_edge(INSTRUCTION, one.instruction),
        attempt=one.attempt,
        batch=to_edge(BATCH, one.batch),
        payer=to_edge("com", one.payer),
        payee_company=to_edge("com", one.payee_company),
        payee_store=None if one.payee_store is None else to_edge("sto", one.payee_store),
        account=to_edge(ACCOUNT, one.account),
        amount=one.amount_fen,
        currency=one.currency,
        status=one.state,
        reason=one.reason,
        created_at=rfc3339(to_us(one.created_at)),
        paid_at=None if one.paid_at is None else rfc3339(to_us(one.paid_at)),
        ended_at=None if one.ended_at is None else rfc3339(to_us(one.ended_at)),
    )


def _batch_view(one: PayoutBatch) -> BatchView:
    return BatchView(
        id=to_edge(BATCH, one.id),
        company=to_edge("com", one.company),
        day=one.day,
        payouts=one.payouts,
        amount=one.amount_fen,
        currency=one.currency,
        status=one.state,
        digest=None if one.digest is None else one.digest.hex(),
        approval=to_edge("apr", one.approval),
        created_at=rfc3339(to_us(one.created_at)),
        sent_at=None if one.sent_at is None else rfc3339(to_us(one.sent_at)),
    )


@post("/v1/payout-releases", guards=[requires(WRITE)])
async def ask_for_release(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForRelease,
    once: Once,
    payouts: Payouts,
    access: Access,
    clock: Clock,
    days: BusinessDays,
) -> Response[ApprovalView]:
    """Ask a second person to agree that what is due is paid.

    It names how many payouts and how much, and how many have no account to go to. Once agreed
    to it is a file for the company's bank; if other sums are due by then, it is refused.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    company = from_edge("com", data.company, field="company")
    if not principal.covers(company):
        raise NOT_FOUND.error("There is no such company.", field="company")
    today = days.of(clock.now_us())
    until = data.until or today
    if until > today:
        raise INVALID.error("Nothing is paid before it is due.", rule="C-03", field="until")

    async def work(conn: Conn) -> ApprovalView:
        due = await payouts.payable(conn, company, data.currency, until)
        payload = Release(
            company=data.company,
            currency=data.currency,
            until=until,
            payouts=len(due.ready),
            amount=due.amount_fen,
            blocked=len(due.blocked),
            digest=due.digest,
        )
        asked = await access.approvals.ask(
            conn,
            principal,
            RELEASE_ACTION,
            payload,
            data.reason,
            companies=frozenset({company}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@get("/v1/payouts", guards=[requires(READ)])
async def list_payouts(
    principal: Principal,
    db: Database,
    payouts: Payouts,
    batch: EdgeId | None = None,
    status: PayoutState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[PayoutView]:
    """List payouts, newest first: those a company makes or gets; for a store, its own."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await payouts.search(
            conn,
            None if principal.companies is None else list(principal.companies),
            None if principal.stores is None else list(principal.stores),
            batch=None if batch is None else from_edge(BATCH, batch),
            state=status,
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda one: (one.id,))


@get("/v1/payouts/{payout:str}", guards=[requires(READ)])
async def get_payout(
    principal: Principal, db: Database, payouts: Payouts, payout: str
) -> PayoutView:
    """Get a payout."""
    async with db.read() as conn:
        found = await payouts.get(conn, from_edge(PAYOUT, payout))
    if not _sees(principal, found):
        raise NOT_FOUND.error("There is no such payout.")
    return _view(found)


def _sees(principal: Principal, one: Payout) -> bool:
    if principal.stores is not None and one.payee_store not in principal.stores:
        return False
    return principal.may_see_company(one.payer) or principal.may_see_company(one.payee_company)


@get("/v1/payout-batches", guards=[requires(READ)])
async def list_batches(
    principal: Principal,
    db: Database,
    payouts: Payouts,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BatchView]:
    """List files of payouts, newest first. A key for certain stores sees none."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await payouts.batches(
            conn,
            companies_of(principal),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _batch_view, lambda one: (one.id,))


@get("/v1/payout-batches/{payout_batch:str}", guards=[requires(READ)])
async def get_batch(
    principal: Principal, db: Database, payouts: Payouts, payout_batch: str
) -> BatchView:
    """Get a file of payouts."""
    async with db.read() as conn:
        found = await payouts.batch(conn, from_edge(BATCH, payout_batch))
    if not principal.covers(found.company):
        raise NOT_FOUND.error("There is no such file of payouts.")
    return _batch_view(found)


ROUTES = [ask_for_release, list_payouts, get_payout, list_batches, get_batch]
