"""`/v1/terminals/{terminal}/keys`: master keys, injected by two persons."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import Deed
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import TERMINAL, once_and_refresh, visible_terminal
from kabao.merchants.model import TerminalKeyEntry, TerminalKeyState
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.vault.model import TerminalCipher

KEY, OPERATOR = "tmk", "opr"

Component = Annotated[
    str,
    Meta(
        min_length=32,
        max_length=32,
        pattern="^[0-9A-Fa-f]*$",
        description="16 random bytes as hex, known to one person.",
    ),
]
CheckValue = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=8,
        pattern="^[0-9A-Fa-f]*$",
        description="Of the component: the first 4 bytes of an encrypted block of zeros.",
    ),
]


class _Secret(RequestBody, frozen=True):
    """A body that shows nothing of itself."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class FirstComponent(_Secret, frozen=True):
    """A person begins a new master key with a component."""

    component: Component
    algorithm: TerminalCipher = TerminalCipher.TDES
    check_value: CheckValue | None = None


class SecondComponent(_Secret, frozen=True):
    """Another person completes it."""

    component: Component
    check_value: CheckValue | None = None


class TerminalKeyView(msgspec.Struct, frozen=True):
    """What may be known of a master key.

    `check_value` is the first component's while `state` is `half`, then the key's.
    """

    id: str
    terminal: str
    version: int
    algorithm: TerminalCipher
    state: TerminalKeyState
    check_value: str
    first_by: str
    second_by: str | None
    created_at: str
    activated_at: str | None
    ended_at: str | None


def _view(entry: TerminalKeyEntry) -> TerminalKeyView:
    return TerminalKeyView(
        id=to_edge(KEY, entry.id),
        terminal=to_edge(TERMINAL, entry.terminal),
        version=entry.version,
        algorithm=entry.algorithm,
        state=entry.state,
        check_value=entry.check_value,
        first_by=to_edge(OPERATOR, entry.first_by),
        second_by=None if entry.second_by is None else to_edge(OPERATOR, entry.second_by),
        created_at=rfc3339(to_us(entry.created_at)),
        activated_at=None if entry.activated_at is None else rfc3339(to_us(entry.activated_at)),
        ended_at=None if entry.ended_at is None else rfc3339(to_us(entry.ended_at)),
    )


@post("/v1/terminals/{terminal:str}/keys", guards=[requires("terminal-keys:write")])
async def begin_terminal_key(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: FirstComponent,
    once: Once,
    org: Org,
    access: Access,
    merchants: Merchants,
    terminal: EdgeId,
) -> Response[TerminalKeyView]:
    """Enter the first component of a new master key; the one in use stays so."""

    async def work(conn: Conn) -> TerminalKeyView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        entry = await merchants.keys.begin(
            conn,
            found.id,
            data.algorithm,
            data.component,
            person=await access.approvals.person(conn, principal),
            check_value=data.check_value,
        )
        deed = Deed(verb="terminal-keys:begin", subject=to_edge(KEY, entry.id))
        await access.log.write(conn, principal, deed)
        return _view(entry)

    return await once_and_refresh(once, request, principal, data, work, merchants)


@post(
    "/v1/terminals/{terminal:str}/keys/{key:str}/complete",
    guards=[requires("terminal-keys:write")],
    status_code=200,
)
async def complete_terminal_key(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SecondComponent,
    once: Once,
    org: Org,
    access: Access,
    merchants: Merchants,
    terminal: EdgeId,
    key: EdgeId,
) -> Response[TerminalKeyView]:
    """Enter the second component, as another person: the key is in use, its predecessor ends."""

    async def work(conn: Conn) -> TerminalKeyView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        entry = await merchants.keys.get(conn, from_edge(KEY, key))
        if entry.terminal != found.id:
            raise NOT_FOUND.error("There is no such key of this terminal.")
        entry = await merchants.keys.complete(
            conn,
            entry.id,
            data.component,
            person=await access.approvals.person(conn, principal),
            check_value=data.check_value,
        )
        deed = Deed(verb="terminal-keys:complete", subject=to_edge(KEY, entry.id))
        await access.log.write(conn, principal, deed)
        return _view(entry)

    return await once_and_refresh(once, request, principal, data, work, merchants)


@get("/v1/terminals/{terminal:str}/keys", guards=[requires("merchants:read")])
async def list_terminal_keys(
    principal: Principal,
    db: Database,
    org: Org,
    merchants: Merchants,
    terminal: EdgeId,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[TerminalKeyView]:
    """A terminal's master keys, newest first, without their material."""
    before = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        rows = await merchants.keys.list_of(
            conn, found.id, before=None if before is None else before[0], limit=limit + 1
        )
    return page(rows, limit, _view, lambda entry: (entry.version,))


ROUTES = [begin_terminal_key, complete_terminal_key, list_terminal_keys]
