"""`/v1/programmes` and `/v1/card-batches`: what is sold, and making many of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import Currency, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.cards.approvals import BATCH, PROGRAMME, BulkIssue, ProgrammeChange, Reference
from kabao.cards.claims import By
from kabao.cards.model import (
    LINE,
    Batch,
    BatchState,
    CardClass,
    Carrier,
    NewBatch,
    NewProgramme,
    Programme,
    ProgrammeState,
    Terms,
)
from kabao.cards.ops import Cards
from kabao.cards.ops.batches import ISSUE_ACTION
from kabao.cards.ops.programmes import CHANGE_ACTION
from kabao.org.model import Jurisdiction

COMPANY = "com"
Reason = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class ProgrammeView(msgspec.Struct, frozen=True, kw_only=True, rename={"card_class": "class"}):
    """A card product."""

    id: str
    issuer: str
    card_class: CardClass
    currency: str
    jurisdiction: str
    state: ProgrammeState
    version: int
    terms: Terms
    created_at: str
    changed_at: str


class CreateProgramme(RequestBody, frozen=True, rename={"card_class": "class"}):
    """A card product to be; `terms` without a number take what policy says."""

    card_class: CardClass
    terms: Terms
    issuer: EdgeId | None = None
    """Left out: the company of the key."""
    currency: Currency = "CNY"
    jurisdiction: Jurisdiction | None = None
    """Left out: the issuer's."""
    active: bool = False
    """Whether it issues cards at once; else it is a draft."""


class ChangeProgramme(RequestBody, frozen=True):
    """What is to be different. `terms` replace the whole of the terms."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    """The version this changes; when it is not the one in force: 409."""
    terms: Terms | None = None
    state: ProgrammeState | None = None


class AskForChange(ChangeProgramme, frozen=True, kw_only=True):
    """A change that a second person is to agree to."""

    reason: Reason


class AskForBatch(RequestBody, frozen=True, kw_only=True):
    """A bulk issue that a second person is to agree to."""

    programme: EdgeId
    carrier: Carrier
    count: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    reference: Reference = ""
    reason: Reason


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk issue: `issued` of `requested` cards are made."""

    id: str
    programme: str
    carrier: Carrier
    reference: str
    requested: int
    issued: int
    state: BatchState
    created_at: str
    ended_at: str | None


def programme_view(programme: Programme) -> ProgrammeView:
    """A programme as it is shown."""
    return ProgrammeView(
        id=to_edge(PROGRAMME, programme.id),
        issuer=to_edge(COMPANY, programme.issuer),
        card_class=programme.card_class,
        currency=programme.currency,
        jurisdiction=programme.jurisdiction,
        state=programme.state,
        version=programme.version,
        terms=programme.terms,
        created_at=rfc3339(to_us(programme.created_at)),
        changed_at=rfc3339(to_us(programme.changed_at)),
    )


def batch_view(batch: Batch) -> BatchView:
    """A bulk issue as it is shown."""
    return BatchView(
        id=to_edge(BATCH, batch.id),
        programme=to_edge(PROGRAMME, batch.programme),
        carrier=batch.carrier,
        reference=batch.reference,
        requested=batch.requested,
        issued=batch.issued,
        state=batch.state,
        created_at=rfc3339(to_us(batch.created_at)),
        ended_at=rfc3339(to_us(batch.ended_at)) if batch.ended_at else None,
    )


async def visible_programme(
    conn: Conn, principal: Principal, cards: Cards, text: str, field: str | None = None
) -> Programme:
    """A programme within the key's scope. Raises `not_found`."""
    ident = from_edge(PROGRAMME, text, field=field)
    found = await cards.find_programme(conn, ident, field)
    if not principal.may_see_company(found.issuer):
        raise NOT_FOUND.error("There is no such programme.", field=field)
    return found


async def own_programme(
    conn: Conn, principal: Principal, cards: Cards, text: str, field: str | None = None
) -> Programme:
    """A programme that the key may work on: a till sees it, its company has it.

    Raises `not_found`.
    """
    found = await visible_programme(conn, principal, cards, text, field)
    if not principal.covers(found.issuer):
        raise NOT_FOUND.error("There is no such programme.", field=field)
    return found


@post("/v1/programmes", guards=[requires("programmes:write")])
async def create_programme(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateProgramme,
    once: Once,
    cards: Cards,
) -> Response[ProgrammeView]:
    """Add a programme."""

    async def work(conn: Conn) -> ProgrammeView:
        issuer = principal.company
        if data.issuer is not None:
            issuer = from_edge(COMPANY, data.issuer, field="issuer")
        if not principal.covers(issuer):
            raise NOT_FOUND.error("There is no such company.", field="issuer")
        new = NewProgramme(
            issuer=issuer,
            card_class=data.card_class,
            terms=data.terms,
            currency=data.currency,
            jurisdiction=data.jurisdiction,
            active=data.active,
        )
        by = By(actor=principal.id, company=principal.company)
        return programme_view(await cards.create_programme(conn, new, by))

    response = await once(request, principal, data, work)
    await cards.catch_up()
    return response


@get("/v1/programmes", guards=[requires("programmes:read")])
async def list_programmes(
    principal: Principal,
    db: Database,
    cards: Cards,
    state: ProgrammeState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ProgrammeView]:
    """List programmes."""
    after = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        found = await cards.list_programmes(
            conn,
            issuers=principal.companies,
            state=state,
            after=None if after is None else after[0],
            limit=limit + 1,
        )
    return page(found, limit, programme_view, lambda programme: (programme.id,))


@get("/v1/programmes/{programme:str}", guards=[requires("programmes:read")])
async def get_programme(
    principal: Principal, db: Database, cards: Cards, programme: str
) -> ProgrammeView:
    """Get a programme."""
    async with db.read() as conn:
        return programme_view(await visible_programme(conn, principal, cards, programme))


@patch("/v1/programmes/{programme:str}", guards=[requires("programmes:write")])
async def change_programme(
    principal: Principal, data: ChangeProgramme, db: Database, cards: Cards, programme: str
) -> ProgrammeView:
    """Change a draft, or make it active.

    Any other change takes two people: `POST /v1/programmes/{programme}/changes`.
    """
    async with db.transaction() as conn:
        found = await own_programme(conn, principal, cards, programme)
        changed = await cards.change_programme(
            conn,
            found.id,
            version=data.version,
            terms=data.terms,
            state=data.state,
            by=By(actor=principal.id, company=principal.company),
        )
    await cards.catch_up()
    return programme_view(changed)


@post("/v1/programmes/{programme:str}/changes", guards=[requires("programmes:write")])
async def ask_for_change(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForChange,
    once: Once,
    cards: Cards,
    access: Access,
    clock: Clock,
    programme: str,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a changed programme."""

    async def work(conn: Conn) -> ApprovalView:
        found = await own_programme(conn, principal, cards, programme)
        await cards.check_change(conn, found.id, data.version, data.terms, data.state)
        payload = ProgrammeChange(
            to_edge(PROGRAMME, found.id), data.version, data.terms, data.state
        )
        asked = await access.approvals.ask(
            conn,
            principal,
            CHANGE_ACTION,
            payload,
            data.reason,
            companies=frozenset({found.issuer}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post("/v1/card-batches", guards=[requires("cards:write")])
async def ask_for_batch(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AskForBatch,
    once: Once,
    cards: Cards,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a bulk issue; its cards are then made in the background."""

    async def work(conn: Conn) -> ApprovalView:
        found = await own_programme(conn, principal, cards, data.programme, "programme")
        await cards.check_batch(
            conn, NewBatch(programme=found.id, carrier=data.carrier, count=data.count)
        )
        payload = BulkIssue(to_edge(PROGRAMME, found.id), data.carrier, data.count, data.reference)
        asked = await access.approvals.ask(
            conn,
            principal,
            ISSUE_ACTION,
            payload,
            data.reason,
            companies=frozenset({found.issuer}),
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@get("/v1/card-batches/{batch:str}", guards=[requires("cards:read")])
async def get_batch(principal: Principal, db: Database, cards: Cards, batch: str) -> BatchView:
    """Get a bulk issue and how far it has come."""
    async with db.read() as conn:
        found = await cards.find_batch(conn, from_edge(BATCH, batch))
        programme = await cards.find_programme(conn, found.programme)
    if not principal.covers(programme.issuer):
        raise NOT_FOUND.error("There is no such batch.")
    return batch_view(found)


ROUTES = [
    create_programme,
    list_programmes,
    get_programme,
    change_programme,
    ask_for_change,
    ask_for_batch,
    get_batch,
]
