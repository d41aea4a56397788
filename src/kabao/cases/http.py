"""`/v1/cases`: what waits for a person, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINES, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.cases.model import Case, CaseState, Fact, Note
from kabao.cases.ops import CASE, Cases, Wanted

READ, WRITE = "cases:read", "cases:write"

CaseKind = Annotated[str, Meta(min_length=3, max_length=80, pattern="^[a-z_.]+$")]
Words = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=LINES)]


class TakeCase(RequestBody, frozen=True):
    """`take_over`: also from somebody who is at it already."""

    take_over: bool = False


class NoteBody(RequestBody, frozen=True):
    """Something to remember. No personal data, no secrets."""

    text: Words


class ResolveCase(RequestBody, frozen=True):
    """What came of it."""

    outcome: Words


class CaseView(msgspec.Struct, frozen=True):
    """Something a person must look at.

    `due_at` is when somebody must have taken it. The same thing happening again
    counts in `occurrences`; `last_at` is the newest.
    """

    id: str
    kind: str
    subject: str
    company: str
    store: str | None
    facts: dict[str, Fact]
    status: CaseState
    occurrences: int
    opened_at: str
    last_at: str
    due_at: str
    overdue: bool
    taken_by: str | None
    taken_at: str | None
    resolved_by: str | None
    resolved_at: str | None
    outcome: str | None


class NoteView(msgspec.Struct, frozen=True):
    """What somebody wrote down."""

    by: str
    text: str
    at: str


class WholeCase(CaseView, frozen=True):
    """A case with its notes, oldest first."""

    notes: list[NoteView]


def _shown(case: Case, at: datetime) -> dict[str, Any]:
    return {
        "id": to_edge(CASE, case.id),
        "kind": case.kind,
        "subject": case.subject,
        "company": to_edge("com", case.company),
        "store": None if case.store is None else to_edge("sto", case.store),
        "facts": case.facts,
        "status": case.state,
        "occurrences": case.occurrences,
        "opened_at": _time(case.opened_at),
        "last_at": _time(case.last_at),
        "due_at": _time(case.due_at),
        "overdue": case.overdue(at),
        "taken_by": case.taken_name,
        "taken_at": None if case.taken_at is None else _time(case.taken_at),
        "resolved_by": case.resolved_name,
        "resolved_at": None if case.resolved_at is None else _time(case.resolved_at),
        "outcome": case.outcome,
    }


def _time(at: datetime) -> str:
    return rfc3339(to_us(at))


def _note(note: Note) -> NoteView:
    return NoteView(by=note.name, text=note.text, at=_time(note.at))


@get("/v1/cases", guards=[requires(READ)], tags=["cases"])
async def list_cases(
    principal: Principal,
    db: Database,
    cases: Cases,
    clock: Clock,
    status: CaseState | None = None,
    kind: CaseKind | None = None,
    subject: EdgeId | None = None,
    overdue: bool = False,  # noqa: FBT001, FBT002 -- a query parameter
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[CaseView]:
    """Cases, newest first; with `overdue` those that nobody has taken in time."""
    at, place = now(clock), position(cursor, tuple[IdPosition])
    wanted = Wanted(
        companies=principal.companies,
        stores=principal.stores,
        state=status,
        kind=kind,
        subject=subject,
        overdue_at=at if overdue else None,
        before=None if place is None else place[0],
        limit=limit + 1,
    )
    async with db.read() as conn:
        rows = await cases.search(conn, wanted)
    return page(rows, limit, lambda case: CaseView(**_shown(case, at)), lambda case: (case.id,))


@get("/v1/cases/{case:str}", guards=[requires(READ)], tags=["cases"])
async def get_case(
    principal: Principal, db: Database, cases: Cases, clock: Clock, case: EdgeId
) -> WholeCase:
    """A case with everything that was noted."""
    async with db.read() as conn:
        found = await cases.get(conn, principal, from_edge(CASE, case))
        return await _whole(conn, cases, clock, found)


async def _whole(conn: Conn, cases: Cases, clock: Clock, case: Case) -> WholeCase:
    notes = [_note(note) for note in await cases.notes(conn, case.id)]
    return WholeCase(**_shown(case, now(clock)), notes=notes)


@post("/v1/cases/{case:str}/take", guards=[requires(WRITE)], status_code=200, tags=["cases"])
async def take_case(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TakeCase,
    once: Once,
    cases: Cases,
    clock: Clock,
    case: EdgeId,
) -> Response[WholeCase]:
    """Say that one is at it, which stops its clock (S-17)."""

    async def work(conn: Conn) -> WholeCase:
        ident = from_edge(CASE, case)
        taken = await cases.take(conn, principal, ident, over=data.take_over)
        return await _whole(conn, cases, clock, taken)

    return await once(request, principal, data, work)


@post("/v1/cases/{case:str}/notes", guards=[requires(WRITE)], tags=["cases"])
async def note_case(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: NoteBody,
    once: Once,
    cases: Cases,
    clock: Clock,
    case: EdgeId,
) -> Response[WholeCase]:
    """Write something down."""

    async def work(conn: Conn) -> WholeCase:
        noted = await cases.note(conn, principal, from_edge(CASE, case), data.text)
        return await _whole(conn, cases, clock, noted)

    return await once(request, principal, data, work)


@post("/v1/cases/{case:str}/resolve", guards=[requires(WRITE)], status_code=200, tags=["cases"])
async def resolve_case(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ResolveCase,
    once: Once,
    cases: Cases,
    clock: Clock,
    case: EdgeId,
) -> Response[WholeCase]:
    """Say what came of it."""

    async def work(conn: Conn) -> WholeCase:
        resolved = await cases.resolve(conn, principal, from_edge(CASE, case), data.outcome)
        return await _whole(conn, cases, clock, resolved)

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [list_cases, get_case, take_case, note_case, resolve_case]
