"""`/v1/terminals`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import Deed
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page, page
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import (
    STORE,
    TERMINAL,
    after,
    named_store,
    once_and_refresh,
    stores_to_list,
    visible_terminal,
)
from kabao.merchants.model import Certification, NewTerminal, Terminal, TerminalKind, TerminalState
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

TerminalNo = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=8,
        pattern=LINE,
        description="Field 41 of ISO 8583: 8 of 0-9, A-Z. Allotted when left out.",
    ),
]
Scheme = Annotated[
    str, Meta(min_length=1, max_length=32, pattern=LINE, description="For example `pci_pts`.")
]


class CertificationBody(RequestBody, frozen=True):
    """What a terminal's security was certified by (P-23)."""

    scheme: Scheme
    number: ShortText
    expires_on: date | None = None


class CreateTerminal(RequestBody, frozen=True):
    """A terminal is set up in a store."""

    store: EdgeId
    model: Annotated[str, Meta(min_length=1, max_length=60, pattern=LINE)]
    terminal_no: TerminalNo | None = None
    certification: CertificationBody | None = None
    kind: TerminalKind = TerminalKind.TILL


class Certify(RequestBody, frozen=True):
    """A terminal's security was certified anew, or no longer is: then without `certification`."""

    reason: ShortText
    certification: CertificationBody | None = None


class TerminalView(msgspec.Struct, frozen=True):
    """One till or reader."""

    id: str
    store: str
    terminal_no: str
    model: str
    certification: Certification | None
    kind: TerminalKind
    state: TerminalState
    created_at: str


def terminal_view(terminal: Terminal) -> TerminalView:
    """A terminal for the outside."""
    return TerminalView(
        id=to_edge(TERMINAL, terminal.id),
        store=to_edge(STORE, terminal.store),
        terminal_no=terminal.terminal_no,
        model=terminal.model,
        certification=terminal.certification,
        kind=terminal.kind,
        state=terminal.state,
        created_at=rfc3339(to_us(terminal.created_at)),
    )


@post("/v1/terminals", guards=[requires("merchants:write")])
async def create_terminal(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: CreateTerminal,
    once: Once,
    org: Org,
    merchants: Merchants,
) -> Response[TerminalView]:
    """Set up a terminal in a store."""

    async def work(conn: Conn) -> TerminalView:
        new = NewTerminal(
            store=await named_store(conn, principal, org, data.store),
            model=data.model,
            terminal_no=data.terminal_no,
            certification=_certification(data.certification),
            kind=data.kind,
        )
        return terminal_view(await merchants.add_terminal(conn, new))

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/terminals", guards=[requires("merchants:read")])
async def list_terminals(
    principal: Principal,
    db: Database,
    org: Org,
    merchants: Merchants,
    store: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[TerminalView]:
    """List terminals, of one store or all."""
    async with db.read() as conn:
        rows = await merchants.list_terminals(
            conn,
            stores=await stores_to_list(conn, principal, org, store),
            after=after(cursor),
            limit=limit + 1,
        )
    return page(rows, limit, terminal_view, lambda terminal: (terminal.id,))


@get("/v1/terminals/{terminal:str}", guards=[requires("merchants:read")])
async def get_terminal(
    principal: Principal, db: Database, org: Org, merchants: Merchants, terminal: str
) -> TerminalView:
    """Get a terminal."""
    async with db.read() as conn:
        return terminal_view(await visible_terminal(conn, principal, org, merchants, terminal))


@post("/v1/terminals/{terminal:str}/block", guards=[requires("merchants:write")], status_code=200)
async def block_terminal(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    terminal: str,
) -> Response[TerminalView]:
    """Block a terminal for the time being."""

    async def work(conn: Conn) -> TerminalView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        return terminal_view(
            await merchants.set_terminal_state(conn, found.id, TerminalState.BLOCKED)
        )

    return await once_and_refresh(once, request, principal, None, work, merchants)


@post("/v1/terminals/{terminal:str}/unblock", guards=[requires("merchants:write")], status_code=200)
async def unblock_terminal(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    terminal: str,
) -> Response[TerminalView]:
    """Let a blocked terminal be used again."""

    async def work(conn: Conn) -> TerminalView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        return terminal_view(
            await merchants.set_terminal_state(conn, found.id, TerminalState.ACTIVE)
        )

    return await once_and_refresh(once, request, principal, None, work, merchants)


@post("/v1/terminals/{terminal:str}/retire", guards=[requires("merchants:write")], status_code=200)
async def retire_terminal(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    terminal: str,
) -> Response[TerminalView]:
    """Retire a terminal for good."""

    async def work(conn: Conn) -> TerminalView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        return terminal_view(
            await merchants.set_terminal_state(conn, found.id, TerminalState.RETIRED)
        )

    return await once_and_refresh(once, request, principal, None, work, merchants)


@post(
    "/v1/terminals/{terminal:str}/certification",
    guards=[requires("merchants:write")],
    status_code=200,
)
async def certify_terminal(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: Certify,
    once: Once,
    org: Org,
    access: Access,
    merchants: Merchants,
    terminal: EdgeId,
) -> Response[TerminalView]:
    """Record what a terminal's security is certified by; what was before stays in the log."""

    async def work(conn: Conn) -> TerminalView:
        before = await visible_terminal(conn, principal, org, merchants, terminal)
        changed = await merchants.certify(conn, before.id, _certification(data.certification))
        deed = Deed(
            verb="terminals:certify",
            subject=to_edge(TERMINAL, before.id),
            reason=f"{data.reason}; before: {_told(before.certification)}",
        )
        await access.log.write(conn, principal, deed)
        return terminal_view(changed)

    return await once_and_refresh(once, request, principal, data, work, merchants)


def _told(certification: Certification | None) -> str:
    if certification is None:
        return "none"
    until = f" until {certification.expires_on}" if certification.expires_on else ""
    return f"{certification.scheme} {certification.number}{until}"


def _certification(given: CertificationBody | None) -> Certification | None:
    if given is None:
        return None
    return Certification(given.scheme, given.number, given.expires_on)


ROUTES = [
    create_terminal,
    list_terminals,
    get_terminal,
    block_terminal,
    unblock_terminal,
    retire_terminal,
    certify_terminal,
]
