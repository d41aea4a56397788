"""`/v1/reconciliations` and their breaks: how bills compare with our books, and what is done."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    LINE,
    AmountOrZero,
    Currency,
    EdgeId,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.funding.model.channels import CHANNEL
from kabao.funding.ops import Funding
from kabao.reconciliation.approvals import (
    CORRECTION_ACTION,
    SETTLEMENT_ACTION,
    NewCorrection,
    NewSettlement,
)
from kabao.reconciliation.model.breaks import BREAK, Break, BreakState, Class, Correction
from kabao.reconciliation.model.lines import LineKind
from kabao.reconciliation.model.runs import RUN, Run, RunState
from kabao.reconciliation.ops import Reconciliation

READ, WRITE = "reconciliations:read", "reconciliations:write"

Reason = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class FetchBill(RequestBody, frozen=True, kw_only=True):
    """A channel, and the day whose bill is to be fetched, also if it was before."""

    channel: EdgeId
    day: date


class CorrectBreak(RequestBody, frozen=True, kw_only=True):
    """`suspend` posts the difference to `unmatched`, `accept` posts nothing; what is suspended
    is released (`release`) or written off (`write_off`).
    """

    correction: Correction
    reason: Reason


class BookPayout(RequestBody, frozen=True, kw_only=True):
    """What has come to our bank for a bill, by the bank's statement."""

    received: AmountOrZero
    currency: Currency = "CNY"
    reason: Reason


class Wanted(msgspec.Struct, frozen=True):
    """A bill that will be fetched within a minute or so."""

    channel: str
    day: date


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One bill against our books. Digests are SHA-256 in hex.

    `theirs` and `ours` are what came less what went, by the bill and by our books, in fen;
    `fees_mfen` what the bill charges, in thousandths of a fen; `expected` what the source has to
    pay out, `received` what it has. The same lines and books give the same `result_sha256`.
    """

    id: str
    source: str
    subject: str
    company: str
    day: date
    status: RunState
    lines: int
    books: int
    pairs: int
    breaks: int
    theirs: int
    ours: int
    fees_mfen: int
    expected: int
    received: int | None
    lines_sha256: str
    books_sha256: str | None
    result_sha256: str | None


class WholeRun(RunView, frozen=True, kw_only=True):
    """A run, with how many breaks there are of each class."""

    classes: dict[str, int]


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """A difference. `difference` is what the bill has to our favour beyond our books, in fen.

    `why` is what closed it; `age_days` how long after its day it is looked at.
    """

    id: str
    reconciliation: str
    number: int
    class_: Class = msgspec.field(name="class")
    kind: LineKind
    status: BreakState
    line: int | None
    our_no: str
    our_sub_no: str
    their_no: str
    ours: int | None
    theirs: int | None
    our_fee_mfen: int | None
    their_fee_mfen: int | None
    our_status: str | None
    their_status: str | None
    our_day: date | None
    currency: str
    difference: int
    proposed: Correction
    explanation: str
    age_days: int
    why: str | None


def _shown(run: Run) -> dict[str, Any]:
    return {
        "id": to_edge(RUN, run.id),
        "source": run.source,
        "subject": run.subject,
        "company": to_edge("com", run.company),
        "day": run.day,
        "status": run.state,
        "lines": run.lines,
        "books": run.books,
        "pairs": run.pairs,
        "breaks": run.breaks,
        "theirs": run.theirs_fen,
        "ours": run.ours_fen,
        "fees_mfen": run.fees_mfen,
        "expected": run.expected_fen,
        "received": run.received_fen,
        "lines_sha256": run.lines_digest.hex(),
        "books_sha256": None if run.books_digest is None else run.books_digest.hex(),
        "result_sha256": None if run.result_digest is None else run.result_digest.hex(),
    }


def _break_view(run: Run, found: Break, today: date) -> BreakView:
    return BreakView(
        id=to_edge(BREAK, found.id),
        reconciliation=to_edge(RUN, found.run),
        number=found.no,
        class_=found.cls,
        kind=found.kind,
        status=found.state,
        line=found.source_no,
        our_no=found.our_no,
        our_sub_no=found.our_sub_no,
        their_no=found.their_no,
        ours=found.ours_fen,
        theirs=found.theirs_fen,
        our_fee_mfen=found.ours_fee_mfen,
        their_fee_mfen=found.theirs_fee_mfen,
        our_status=found.ours_status,
        their_status=found.theirs_status,
        our_day=found.ours_day,
        currency=found.currency,
        difference=found.difference_fen,
        proposed=found.proposed,
        explanation=found.explanation,
        age_days=(today - run.day).days,
        why=found.why,
    )


@post("/v1/reconciliations", guards=[requires(WRITE)], tags=["reconciliations"])
async def fetch_bill(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: FetchBill,
    once: Once,
    funding: Funding,
) -> Response[Wanted]:
    """Have a channel's bill fetched and compared now, also if it was before.

    The same file again changes nothing; another one takes the place of the former.
    """

    async def work(conn: Conn) -> Wanted:
        channel = await funding.channels.find(conn, from_edge(CHANNEL, data.channel))
        if not principal.covers(channel.company):
            raise NOT_FOUND.error("There is no such channel.")
        await funding.billing.fetch_in(conn, channel.id, data.day)
        return Wanted(data.channel, data.day)

    return await once(request, principal, data, work)


@get("/v1/reconciliations", guards=[requires(READ)], tags=["reconciliations"])
async def list_reconciliations(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    source: Annotated[str, Meta(max_length=40, pattern="^[a-z]+$")] | None = None,
    subject: EdgeId | None = None,
    day: date | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[RunView]:
    """List reconciliations, newest first. A key for certain stores sees none."""
    found = position(cursor, tuple[IdPosition])
    companies = principal.companies if principal.stores is None else frozenset()
    async with db.read() as conn:
        rows = await reconciliation.search(
            conn,
            None if companies is None else sorted(companies),
            source=source,
            subject=subject,
            day=day,
            before=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, lambda run: RunView(**_shown(run)), lambda run: (run.id,))


@get("/v1/reconciliations/{run:str}", guards=[requires(READ)], tags=["reconciliations"])
async def get_reconciliation(
    principal: Principal, db: Database, reconciliation: Reconciliation, run: EdgeId
) -> WholeRun:
    """Get a reconciliation, with how many breaks there are of each class."""
    async with db.read() as conn:
        found = await _visible(conn, principal, reconciliation, run)
        counts = await reconciliation.counts(conn, found.id)
    return WholeRun(**_shown(found), classes=counts)


async def _visible(
    conn: Conn, principal: Principal, reconciliation: Reconciliation, text: str
) -> Run:
    """A run inside the key's scope. Raises `not_found`."""
    found = await reconciliation.get(conn, from_edge(RUN, text))
    if not principal.covers(found.company):
        raise NOT_FOUND.error("There is no such reconciliation.")
    return found


@get("/v1/reconciliations/{run:str}/breaks", guards=[requires(READ)], tags=["reconciliations"])
async def list_breaks(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    clock: Clock,
    run: EdgeId,
    of_class: Class | None = None,
    status: BreakState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BreakView]:
    """List a reconciliation's breaks, in the order of the bill; what only we know comes last."""
    found = position(cursor, tuple[Annotated[int, Meta(ge=0)]])
    today = now(clock).date()
    async with db.read() as conn:
        seen = await _visible(conn, principal, reconciliation, run)
        after = 0 if found is None else found[0]
        rows = await reconciliation.breaks(
            conn, seen.id, cls=of_class, state=status, after=after, limit=limit + 1
        )
    return page(rows, limit, lambda one: _break_view(seen, one, today), lambda one: (one.no,))


@get(
    "/v1/reconciliation-breaks/{difference:str}", guards=[requires(READ)], tags=["reconciliations"]
)
async def get_break(
    principal: Principal,
    db: Database,
    reconciliation: Reconciliation,
    clock: Clock,
    difference: EdgeId,
) -> BreakView:
    """Get a break, what it means, and which correction is proposed."""
    async with db.read() as conn:
        run, seen = await _visible_break(conn, principal, reconciliation, difference)
    return _break_view(run, seen, now(clock).date())


async def _visible_break(
    conn: Conn, principal: Principal, reconciliation: Reconciliation, text: str
) -> tuple[Run, Break]:
    run, found = await reconciliation.get_break(conn, from_edge(BREAK, text))
    if not principal.covers(run.company):
        raise NOT_FOUND.error("There is no such break.")
    return run, found


@post(
    "/v1/reconciliation-breaks/{difference:str}/corrections",
    guards=[requires(WRITE)],
    tags=["reconciliations"],
)
async def correct_break(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CorrectBreak,
    once: Once,
    reconciliation: Reconciliation,
    access: Access,
    clock: Clock,
    difference: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to the correction of a break; then it is posted."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up

    async def work(conn: Conn) -> ApprovalView:
        run, seen = await _visible_break(conn, principal, reconciliation, difference)
        reconciliation.check(run, seen, data.correction)
        payload = NewCorrection(to_edge(BREAK, seen.id), data.correction, seen.difference_fen)
        touched = frozenset({run.company})
        asked = await access.approvals.ask(
            conn, principal, CORRECTION_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post(
    "/v1/reconciliations/{run:str}/settlement", guards=[requires(WRITE)], tags=["reconciliations"]
)
async def book_payout(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: BookPayout,
    once: Once,
    reconciliation: Reconciliation,
    access: Access,
    clock: Clock,
    run: EdgeId,
) -> Response[ApprovalView]:
    """Ask a second person to agree to what a channel has paid out for a bill.

    It is booked against what the channel holds, its fees with it; what differs from the bill
    waits in `unmatched`.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up

    async def work(conn: Conn) -> ApprovalView:
        found = await _visible(conn, principal, reconciliation, run)
        reconciliation.check_settlement(found)
        payload = NewSettlement(to_edge(RUN, found.id), data.received, found.expected_fen)
        touched = frozenset({found.company})
        asked = await access.approvals.ask(
            conn, principal, SETTLEMENT_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [
    fetch_bill,
    list_reconciliations,
    get_reconciliation,
    list_breaks,
    get_break,
    correct_break,
    book_payout,
]
