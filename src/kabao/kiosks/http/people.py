"""What people do: look, credit what a machine did not load, count boxes."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get, post

from kabao.access.model import ApprovalView, Deed, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, EdgeId, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.kiosks.approvals import CREDIT_ACTION
from kabao.kiosks.http.bodies import AskCreditBody, CountBody, CreditBody
from kabao.kiosks.http.scope import CREDIT, READ, require_visible, visible_visit
from kabao.kiosks.http.views import (
    BoxView,
    CountedView,
    KioskView,
    LoadedView,
    NotesView,
    SessionView,
    WholeSession,
    box_view,
    counted_view,
    credit_view,
    loaded,
    payout_view,
    session_of,
    session_view,
)
from kabao.kiosks.model import State
from kabao.kiosks.ops import BOX, SESSION, Kiosks
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


@post(
    "/v1/kiosk-sessions/{session:str}/credit",
    guards=[requires(CREDIT)],
    status_code=200,
    tags=["kiosks"],
)
async def credit_session(
    request: Request[Any, Any, Any],
    principal: Principal,
    session: EdgeId,
    data: CreditBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    access: Access,
) -> Response[LoadedView]:
    """Load what a machine took and did not load, as a case told; the case is resolved with it.

    Onto another card than the machine saw, from a sum on, it takes two persons.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await visible_visit(principal, db, kiosks, org, session)
    card = from_edge("card", data.card, field="card") if data.card else None

    async def work(conn: Conn) -> LoadedView:
        after, topup = await kiosks.loads.by_person(conn, principal, found.id, card, data.reason)
        deed = Deed(verb="kiosks:credit", subject=to_edge(SESSION, found.id), reason=data.reason)
        await access.log.write(conn, principal, deed)
        return loaded(after, topup.id, topup.amount_fen)

    return await once(request, principal, data, work)


@post(
    "/v1/kiosk-sessions/{session:str}/credit/requests",
    guards=[requires(CREDIT)],
    status_code=201,
    tags=["kiosks"],
)
async def ask_for_credit(
    request: Request[Any, Any, Any],
    principal: Principal,
    session: EdgeId,
    data: AskCreditBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree that what is left of a visit goes onto another card."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    found = await visible_visit(principal, db, kiosks, org, session)
    card = from_edge("card", data.card, field="card")

    async def work(conn: Conn) -> ApprovalView:
        payload = await kiosks.loads.ask(conn, principal, found.id, data.amount, card)
        companies = frozenset({found.company})
        asked = await access.approvals.ask(
            conn, principal, CREDIT_ACTION, payload, data.reason, companies=companies
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post(
    "/v1/kiosk-boxes/{box:str}/count", guards=[requires(CREDIT)], status_code=200, tags=["kiosks"]
)
async def count_box(
    request: Request[Any, Any, Any],
    principal: Principal,
    box: EdgeId,
    data: CountBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
) -> Response[CountedView]:
    """Say what was found in a box that was taken out. What differs from the events is a case."""
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    async with db.read() as conn:
        found = await kiosks.boxes.get(conn, from_edge(BOX, box))
    require_visible(principal, org, found.store)
    pieces = {each.value: each.count for each in data.pieces}
    if len(pieces) != len(data.pieces):
        raise INVALID.error("Each banknote once.", field="pieces")

    async def work(conn: Conn) -> CountedView:
        return counted_view(*await kiosks.boxes.count(conn, found.id, pieces))

    return await once(request, principal, data, work)


@get("/v1/kiosk-sessions", guards=[requires(READ)], tags=["kiosks"])
async def list_sessions(
    principal: Principal,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    terminal: EdgeId | None = None,
    status: State | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[SessionView]:
    """Visits, newest first; those that were `left` wait for a person if they have a rest."""
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await kiosks.sessions(
            conn,
            stores=org.stores_within(principal.companies, principal.stores),
            terminal=from_edge("ter", terminal, field="terminal") if terminal else None,
            state=status,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, session_view, lambda session: (session.id,))


@get("/v1/kiosk-sessions/{session:str}", guards=[requires(READ)], tags=["kiosks"])
async def get_session(
    principal: Principal, session: EdgeId, db: Database, kiosks: Kiosks, org: Org
) -> WholeSession:
    """A visit, what of it went onto cards, and what was paid out."""
    found = await visible_visit(principal, db, kiosks, org, session)
    async with db.read() as conn:
        credits_ = [credit_view(each) for each in await kiosks.credits(conn, found.id)]
        payouts = [payout_view(each) for each in await kiosks.payouts.of(conn, found.id)]
    return WholeSession(**session_of(found), credits=credits_, payouts=payouts)


@get("/v1/kiosks/{terminal:str}", guards=[requires(READ)], tags=["kiosks"])
async def get_kiosk(
    principal: Principal,
    terminal: EdgeId,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    merchants: Merchants,
) -> KioskView:
    """How far a machine's events are known, and what its box should hold."""
    async with db.read() as conn:
        found = await merchants.get_terminal(conn, from_edge("ter", terminal))
        require_visible(principal, org, found.store)
        kiosk, notes = await kiosks.kiosk(conn, found.id)
    return KioskView(
        to_edge("ter", found.id),
        kiosk.next_sequence,
        to_edge(BOX, kiosk.box) if kiosk.box else None,
        [NotesView(value, notes[value]) for value in sorted(notes)],
        sum(value * count for value, count in notes.items()),
        "CNY",
    )


@get("/v1/kiosk-boxes", guards=[requires(READ)], tags=["kiosks"])
async def list_boxes(
    principal: Principal,
    db: Database,
    kiosks: Kiosks,
    org: Org,
    terminal: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BoxView]:
    """Boxes of banknotes, newest first."""
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await kiosks.boxes.search(
            conn,
            stores=org.stores_within(principal.companies, principal.stores),
            terminal=from_edge("ter", terminal, field="terminal") if terminal else None,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, box_view, lambda box: (box.id,))


ROUTES = [
    credit_session,
    ask_for_credit,
    count_box,
    list_sessions,
    get_session,
    get_kiosk,
    list_boxes,
]
