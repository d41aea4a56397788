"""`/v1/disputes`: what holders say was wrong, and what came of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import FORBIDDEN, INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, Amount, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.disputes.approvals import (
    CREDIT_ACTION,
    OUTCOME_ACTION,
    DisputeCredit,
    DisputeOutcome,
)
from kabao.disputes.model import (
    DISPUTE,
    Bearer,
    Dispute,
    DisputeState,
    Outcome,
    Reason,
    check_ending,
)
from kabao.disputes.ops import Disputes, Pack, Papers, Wanted
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.payments.ops import Payments

READ, WRITE = "disputes:read", "disputes:write"

Words = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]
SlipCode = Annotated[str, Meta(pattern=r"^[0-9]{8}$(?!\n)")]


class OpenDispute(RequestBody, frozen=True):
    """What the holder says. `amount` null: all that is left of the payment."""

    payment: EdgeId
    reason: Reason
    amount: Amount | None = None


class AnswerDispute(RequestBody, frozen=True):
    """What the store says. No personal data in the note."""

    accepts: bool
    note: Words


class AskForCredit(RequestBody, frozen=True):
    """Why the holder is lent it."""

    reason: Words


class AskForOutcome(RequestBody, frozen=True):
    """How it is to end. `bearer` exactly where the holder is right: who bears it."""

    outcome: Outcome
    reason: Words
    bearer: Bearer | None = None


class DisputeView(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute. Amounts in fen.

    `lent`: provisionally, until the outcome. Afterwards `given` is what the holder kept,
    `taken_back` what was still on the card of the credit, `owed` what the holder owes of it.
    """

    id: str
    payment: str
    card: str
    issuer: str
    store: str
    amount: int
    currency: str
    reason: Reason
    status: DisputeState
    accepted: bool | None
    lent: int
    evidence_due_on: date | None
    decide_by: date
    overdue: bool
    outcome: Outcome | None
    bearer: Bearer | None
    given: int
    taken_back: int
    owed: int
    opened_at: str
    decided_at: str | None


def _view(one: Dispute) -> DisputeView:
    return DisputeView(
        id=to_edge(DISPUTE, one.id),
        payment=to_edge("pay", one.payment),
        card=to_edge("card", one.card),
        issuer=to_edge("com", one.issuer),
        store=to_edge("sto", one.store),
        amount=one.amount_fen,
        currency=one.currency,
        reason=one.reason,
        status=one.state,
        accepted=one.accepted,
        lent=one.lent_fen,
        evidence_due_on=one.evidence_due_on,
        decide_by=one.decide_by,
        overdue=one.overdue,
        outcome=one.outcome,
        bearer=one.bearer,
        given=one.given_fen,
        taken_back=one.taken_back_fen,
        owed=one.owed_fen,
        opened_at=rfc3339(to_us(one.opened_at)),
        decided_at=None if one.decided_at is None else rfc3339(to_us(one.decided_at)),
    )


@post("/v1/disputes", guards=[requires(WRITE)])
async def open_dispute(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: OpenDispute,
    once: Once,
    disputes: Disputes,
    payments: Payments,
    ledger: Ledger,
) -> Response[DisputeView]:
    """Open a dispute about a payment, within 180 days of it. For keys of the card's issuer.

    A payment is disputed once at a time, and never for more than was not given back.
    """

    async def work(conn: Conn) -> DisputeView:
        ident = from_edge("pay", data.payment, field="payment")
        payment = await payments.get(conn, ident)
        issuers = await ledger.issuers(conn, {payment.root} if payment.root else set())
        if not all(principal.covers(issuer) for issuer in issuers.values()) or not issuers:
            raise NOT_FOUND.error("There is no such payment.", field="payment")
        return _view(await disputes.open(conn, principal.id, ident, data.amount, data.reason))

    return await once(request, principal, data, work)


@get("/v1/disputes", guards=[requires(READ)])
async def list_disputes(
    principal: Principal,
    db: Database,
    disputes: Disputes,
    org: Org,
    *,
    status: DisputeState | None = None,
    payment: EdgeId | None = None,
    overdue: bool | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[DisputeView]:
    """List disputes, newest first: about one's cards, and in one's stores."""
    before = position(cursor, tuple[IdPosition])
    wanted = Wanted(
        issuers=_issuers(principal),
        stores=org.stores_within(principal.companies, principal.stores),
        state=status,
        payment=None if payment is None else from_edge("pay", payment, field="payment"),
        overdue=overdue,
        before=None if before is None else before[0],
        limit=limit + 1,
    )
    async with db.read() as conn:
        rows = await disputes.search(conn, wanted)
    return page(rows, limit, _view, lambda one: (one.id,))


@get("/v1/disputes/{dispute:str}", guards=[requires(READ)])
async def get_dispute(
    principal: Principal, db: Database, disputes: Disputes, dispute: EdgeId
) -> DisputeView:
    """Get a dispute."""
    async with db.read() as conn:
        return _view(await _seen(conn, principal, disputes, dispute))


@get("/v1/disputes/{dispute:str}/evidence", guards=[requires(READ)])
async def get_evidence(
    principal: Principal,
    db: Database,
    disputes: Disputes,
    papers: Papers,
    dispute: EdgeId,
    verification_code: SlipCode | None = None,
) -> Pack:
    """Get the evidence pack: receipts with their proofs, the till, and every step in time.

    With the `verification_code` of the holder's slip it says whose receipt that is: for the
    issuer's keys alone, because a store could guess the code that takes goods back (P-12).
    """
    async with db.read() as conn:
        one = await _seen(conn, principal, disputes, dispute)
        if verification_code is not None and not principal.covers(one.issuer):
            raise FORBIDDEN.error("Only the issuer compares codes.", rule="P-12")
        return await papers.pack(conn, one, verification_code)


@post("/v1/disputes/{dispute:str}/ask-store", guards=[requires(WRITE)], status_code=200)
async def ask_store(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    disputes: Disputes,
    dispute: EdgeId,
) -> Response[DisputeView]:
    """Ask the store for its papers. The day they are due follows from the workday calendar."""

    async def work(conn: Conn) -> DisputeView:
        one = await _own(conn, principal, disputes, dispute)
        return _view(await disputes.ask_store(conn, principal.id, one.id))

    return await once(request, principal, None, work)


@post("/v1/disputes/{dispute:str}/answer", guards=[requires(WRITE)], status_code=200)
async def answer_dispute(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AnswerDispute,
    once: Once,
    disputes: Disputes,
    dispute: EdgeId,
) -> Response[DisputeView]:
    """Answer for the store: it accepts, or contests. For keys that see the store."""

    async def work(conn: Conn) -> DisputeView:
        one = await _seen(conn, principal, disputes, dispute)
        if not _of_store(principal, one):
            raise NOT_FOUND.error("There is no such dispute.")
        answered = await disputes.answer(
            conn, principal.id, one.id, data.note, accepts=data.accepts
        )
        return _view(answered)

    return await once(request, principal, data, work)


@post("/v1/disputes/{dispute:str}/credit", guards=[requires(WRITE)], status_code=200)
async def credit_dispute(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    disputes: Disputes,
    dispute: EdgeId,
) -> Response[DisputeView]:
    """Lend the card what the dispute is about, until its outcome.

    Above policy's amount a second person agrees first: `credit-requests`.
    """

    async def work(conn: Conn) -> DisputeView:
        one = await _own(conn, principal, disputes, dispute)
        return _view(await disputes.credit(conn, principal.id, one.id))

    return await once(request, principal, None, work)


@post("/v1/disputes/{dispute:str}/credit-requests", guards=[requires(WRITE)])
async def ask_for_credit(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForCredit,
    once: Once,
    disputes: Disputes,
    access: Access,
    clock: Clock,
    dispute: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a provisional credit."""

    async def work(conn: Conn) -> ApprovalView:
        one = await _own(conn, principal, disputes, dispute)
        asked = await access.approvals.ask(
            conn,
            principal,
            CREDIT_ACTION,
            DisputeCredit(to_edge(DISPUTE, one.id), one.amount_fen),
            data.reason,
            companies=frozenset({one.issuer}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post("/v1/disputes/{dispute:str}/outcome-requests", guards=[requires(WRITE)])
async def ask_for_outcome(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForOutcome,
    once: Once,
    disputes: Disputes,
    access: Access,
    clock: Clock,
    dispute: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to how a dispute ends. It is posted the moment they do.

    Whoever asks that a store be charged sees its company, and so does who agrees.
    """
    if not check_ending(data.outcome, data.bearer):
        raise INVALID.error("Somebody bears it where the holder is right.", field="bearer")

    async def work(conn: Conn) -> ApprovalView:
        one = await _own(conn, principal, disputes, dispute)
        charged = {one.store_company} if data.bearer is Bearer.STORE else set()
        asked = await access.approvals.ask(
            conn,
            principal,
            OUTCOME_ACTION,
            DisputeOutcome(to_edge(DISPUTE, one.id), data.outcome, data.bearer),
            data.reason,
            companies=frozenset({one.issuer} | charged),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


async def _seen(conn: Conn, principal: Principal, disputes: Disputes, text: str) -> Dispute:
    """A dispute about one's cards, or in one's stores. Raises `not_found`."""
    one = await disputes.get(conn, from_edge(DISPUTE, text))
    if not (principal.covers(one.issuer) or _of_store(principal, one)):
        raise NOT_FOUND.error("There is no such dispute.")
    return one


async def _own(conn: Conn, principal: Principal, disputes: Disputes, text: str) -> Dispute:
    """A dispute about one's cards. Raises `not_found`."""
    one = await disputes.get(conn, from_edge(DISPUTE, text))
    if not principal.covers(one.issuer):
        raise NOT_FOUND.error("There is no such dispute.")
    return one


def _issuers(principal: Principal) -> list[str] | None:
    """Whose cards a key's disputes may be about; None: anybody's."""
    if principal.stores is not None:
        return []
    return None if principal.companies is None else sorted(principal.companies)


def _of_store(principal: Principal, one: Dispute) -> bool:
    return principal.may_see_store(one.store) and principal.may_see_company(one.store_company)


ROUTES: list[HTTPRouteHandler] = [
    open_dispute,
    list_disputes,
    get_dispute,
    get_evidence,
    ask_store,
    answer_dispute,
    credit_dispute,
    ask_for_credit,
    ask_for_outcome,
]
