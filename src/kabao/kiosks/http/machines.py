"""What machines do: begin a visit, report what happens, load what was inserted."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from msgspec.structs import replace

from kabao.base.clock import to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID
from kabao.base.ids import is_id
from kabao.base.web.fields import KEY_HEADER, EdgeId, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import unsecret
from kabao.cards.model import Resolved
from kabao.kiosks.http.bodies import BeginBody, EventBody, FinishBody, ReportBody
from kabao.kiosks.http.scope import WRITE, named_machine, visible_visit
from kabao.kiosks.http.views import LoadedView, ReportedView, SessionView, loaded, session_view
from kabao.kiosks.model import Event
from kabao.kiosks.ops import SESSION, Kiosks
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


@post("/v1/kiosk-sessions", guards=[requires(WRITE)], tags=["kiosks"])
async def begin_session(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: BeginBody,
    once: Once,
    kiosks: Kiosks,
    org: Org,
    merchants: Merchants,
) -> Response[SessionView]:
    """A customer begins: which card it is, and how much cash it can take.

    The machine takes no note beyond `most`. A wrong secret counts, as at any till.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    said, card, most_fen = replace(data, source=unsecret(data.source)), None, 0
    terminal, store = await named_machine(principal, org, merchants, data.terminal)
    if not await once.answered(request, principal):
        card, most_fen = await kiosks.greet(principal.company, data.source, terminal)

    async def work(conn: Conn) -> SessionView:
        assert isinstance(card, Resolved), "greeted, unless it was answered before"
        return session_view(await kiosks.begin(conn, terminal, store, card, most_fen))

    return await once(request, principal, said, work)


@post("/v1/kiosk-events", guards=[requires(WRITE)], status_code=200, tags=["kiosks"])
async def report_events(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ReportBody,
    once: Once,
    kiosks: Kiosks,
    org: Org,
    merchants: Merchants,
) -> Response[ReportedView]:
    """What happened to a machine: notes, jams, its cassette. Each event is known once.

    Events are numbered without gaps. What comes again is known already; what comes too early
    is refused with `events_missing`, and the number to send from.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    terminal, store = await named_machine(principal, org, merchants, data.terminal)
    events = [_event(terminal.id, each) for each in data.events]

    async def work(conn: Conn) -> ReportedView:
        kiosk = await kiosks.report(conn, terminal, store, events)
        return ReportedView(kiosk.next_sequence)

    return await once(request, principal, data, work)


@post(
    "/v1/kiosk-sessions/{session:str}/finish",
    guards=[requires(WRITE)],
    status_code=200,
    tags=["kiosks"],
)
async def finish_session(
    request: Request[Any, Any, Any],
    principal: Principal,
    session: EdgeId,
    data: FinishBody,
    once: Once,
    db: Database,
    kiosks: Kiosks,
    org: Org,
) -> Response[LoadedView]:
    """Load what was inserted. The notes must have been reported before: the sum is theirs."""
    found = await visible_visit(principal, db, kiosks, org, session)

    async def work(conn: Conn) -> LoadedView:
        after, topup = await kiosks.finish(conn, principal.company, found.id, data.amount)
        return loaded(after, topup.id, topup.amount_fen)

    return await once(request, principal, data, work)


def _event(terminal: str, body: EventBody) -> Event:
    return Event(
        terminal=terminal,
        sequence=body.sequence,
        type=body.type,
        value_fen=body.value,
        session=_named(body.session) if body.session else None,
        box=None,
        occurred_us=to_us(body.occurred_at),
    )


def _named(text: str) -> str:
    """A visit that an event names. One there is not is no reason to lose the note."""
    head, _, ident = text.partition("_")
    if head != SESSION or not is_id(ident):
        raise INVALID.error("A visit is named by its id.", field="events")
    return ident


ROUTES = [begin_session, report_events, finish_session]
