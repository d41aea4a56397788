"""`/v1/terminals/{terminal}/swap-codes` and `/take-over`: other hardware for a dead till."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from msgspec import Meta

from kabao.access.model import Deed
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import TERMINAL, once_and_refresh, visible_terminal
from kabao.merchants.http.terminals import TerminalView, terminal_view
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.proofs.ops import Proofs

CODE = "otp"


class SwapCodeView(msgspec.Struct, frozen=True):
    """A one-time code, shown once: read it out to whoever stands at the till."""

    id: str
    code: str
    expires_at: str
    tries: int


class TakeOver(RequestBody, frozen=True):
    """This terminal takes over the number of a dead one."""

    terminal: EdgeId
    code_id: EdgeId
    code: Annotated[str, Meta(min_length=4, max_length=12, pattern="^[0-9]*$")]

    def __repr__(self) -> str:
        return f"TakeOver(terminal={self.terminal!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("terminal", self.terminal)]


@post("/v1/terminals/{terminal:str}/swap-codes", guards=[requires("merchants:write")])
async def draw_swap_code(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    access: Access,
    merchants: Merchants,
    terminal: EdgeId,
) -> Response[SwapCodeView]:
    """Draw a one-time code with which other hardware may replace this terminal."""

    async def work(conn: Conn) -> SwapCodeView:
        found = await visible_terminal(conn, principal, org, merchants, terminal)
        sent, digits = await merchants.swaps.begin(conn, found.id)
        deed = Deed(verb="terminals:swap-code", subject=to_edge(TERMINAL, found.id))
        await access.log.write(conn, principal, deed)
        expires_at = rfc3339(to_us(sent.expires_at))
        return SwapCodeView(to_edge(CODE, sent.id), digits, expires_at, sent.tries)

    return await once(request, principal, None, work, secret=True)


@post("/v1/terminals/{terminal:str}/take-over", guards=[requires("shifts:write")], status_code=200)
async def take_over(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TakeOver,
    db: Database,
    once: Once,
    org: Org,
    access: Access,
    proofs: Proofs,
    merchants: Merchants,
    terminal: EdgeId,
) -> Response[TerminalView]:
    """Take over the number of a dead terminal: that one is retired, its keys end."""
    async with db.read() as conn:
        spare = await visible_terminal(conn, principal, org, merchants, terminal)
        dead = await visible_terminal(conn, principal, org, merchants, data.terminal)
    code = from_edge(CODE, data.code_id)
    refused: KabaoError | None = None
    try:
        # Apart from what follows: a try counts whatever becomes of it.
        await proofs.check(code, data.code)
    except KabaoError as wrong:
        refused = wrong  # a repetition gets its first answer all the same

    async def work(conn: Conn) -> TerminalView:
        if refused is not None:
            raise refused
        changed = await merchants.swaps.take_over(conn, dead.id, spare.id, code)
        deed = Deed(
            verb="terminals:take-over",
            subject=to_edge(TERMINAL, changed.id),
            reason=f"replaces {to_edge(TERMINAL, dead.id)}",
        )
        await access.log.write(conn, principal, deed)
        return terminal_view(changed)

    return await once_and_refresh(once, request, principal, data, work, merchants)


ROUTES = [draw_swap_code, take_over]
