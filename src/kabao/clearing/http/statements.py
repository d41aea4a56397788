"""`/v1/settlements/{id}/statement`: for people, spreadsheets and books."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from msgspec import Meta

from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.base.sheets.pdf import pdf
from kabao.base.web.binding import also
from kabao.base.web.principal import Principal, requires
from kabao.clearing.http.settlements import visible
from kabao.clearing.model.settlement import SETTLEMENT, SettlementState
from kabao.clearing.model.statements import LineKind, Statement
from kabao.clearing.ops import Clearing, Statements
from kabao.clearing.papers import Names
from kabao.clearing.papers.camt import camt
from kabao.clearing.papers.sheet import sheet
from kabao.clearing.papers.table import table

Written = Annotated[
    Literal["json", "csv", "camt053", "pdf"],
    Meta(description="JSON, a table, camt.053.001.08 or a document."),
]


class LineView(msgspec.Struct, frozen=True):
    """A line. Below zero it makes less what the store is owed."""

    line: LineKind
    amount: int


class StatementView(msgspec.Struct, frozen=True, kw_only=True):
    """A store's statement. `opening` plus the lines is `closing`, in whole fen."""

    settlement: str
    day: date
    status: SettlementState
    due_on: date | None
    issuer: str
    store: str
    company: str
    account: str | None
    currency: str
    opening: int
    lines: list[LineView]
    closing: int
    transfers: int


class StatementDesk:
    """What drawing statements needs; one collaborator for the route."""

    def __init__(self, statements: Statements, clearing: Clearing, fonts_dir: Path | None) -> None:
        self.statements, self.clearing, self.fonts_dir = statements, clearing, fonts_dir


@get(
    "/v1/settlements/{settlement:str}/statement",
    guards=[requires("settlements:read")],
    opt=also("text/csv", "application/xml", "application/pdf"),
)
async def get_statement(
    principal: Principal,
    db: Database,
    statement_desk: StatementDesk,
    settlement: str,
    format: Written = "json",  # noqa: A002 -- the name of the query parameter
) -> Response[Any]:
    """Get a store's statement of one settlement. Made again, it is the same bytes."""
    desk = statement_desk
    async with db.read() as conn:
        found = await visible(conn, principal, desk.clearing, settlement)
        one = await desk.statements.of(conn, found)
        names = await desk.statements.names(conn, one)
    match format:
        case "csv":
            return Response(table(one, names), media_type="text/csv")
        case "camt053":
            return Response(camt(one, names), media_type="application/xml")
        case "pdf":
            drawn = await asyncio.to_thread(pdf, sheet(one, names), desk.fonts_dir)
            return Response(drawn, media_type="application/pdf")
        case "json":
            return Response(_view(one, names))


def _view(one: Statement, names: Names) -> StatementView:
    return StatementView(
        settlement=to_edge(SETTLEMENT, one.settlement),
        day=one.day,
        status=one.state,
        due_on=one.due_on,
        issuer=to_edge("com", one.issuer),
        store=to_edge("sto", one.store),
        company=to_edge("com", one.company),
        account=names.account,
        currency=one.currency,
        opening=one.opening_fen,
        lines=[LineView(line.kind, line.amount_fen) for line in one.lines],
        closing=one.closing_fen,
        transfers=one.transfers,
    )


ROUTES = [get_statement]
