"""`/v1/pos-batches`: what tills settled."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec
from litestar import get

from kabao.base.clock import BusinessDays, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.edges.iso8583 import sql_reading as sql
from kabao.edges.iso8583.differences import batch_id
from kabao.edges.iso8583.http_differences import ROUTES as DIFFERENCE_ROUTES
from kabao.edges.iso8583.http_where import STORE, TERMINAL, TimePosition, within
from kabao.edges.iso8583.model import Totals
from kabao.org.ops import Org

_NUMBER_DIGITS = 6
_decode_totals = msgspec.json.Decoder(Totals).decode


class BatchState(StrEnum):
    """How far a settlement is."""

    UPLOADING = "uploading"
    """The till's sums were not the host's; its messages are awaited."""
    SETTLED = "settled"


class TotalsView(msgspec.Struct, frozen=True):
    """Sums of a batch, in fen: `debit` took value off cards, `credit` put value on them."""

    debit: int
    debit_count: int
    credit: int
    credit_count: int


class PosBatchView(msgspec.Struct, frozen=True):
    """A batch whose settlement a till has asked for.

    `totals` are the host's, with which it is settled. `claimed` are the till's: null where the
    host settled it by itself, because the terminal was retired.
    """

    id: str
    terminal: str
    store: str
    number: int
    state: BatchState
    totals: TotalsView
    claimed: TotalsView | None
    currency: str
    asked_at: str
    settled_at: str | None


@get("/v1/pos-batches", guards=[requires("settlements:read")])
async def list_pos_batches(
    principal: Principal,
    db: Database,
    org: Org,
    days: BusinessDays,
    store: EdgeId | None = None,
    terminal: EdgeId | None = None,
    day: date | None = None,
    state: BatchState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[PosBatchView]:
    """List batches of tills, those last asked for first; `day` is the business day of that."""
    where = within(principal, org, days, store, terminal, day)
    before = position(cursor, tuple[TimePosition, IdPosition, NumberPosition])
    async with db.read() as conn:
        rows = await sql.batches(conn, where, state, before, limit + 1)
    return page(rows, limit, _batch, lambda b: (to_us(b.asked_at), b.terminal, b.batch))


@get("/v1/pos-batches/{pos_batch:str}", guards=[requires("settlements:read")])
async def get_pos_batch(
    principal: Principal, db: Database, org: Org, pos_batch: str
) -> PosBatchView:
    """Get a batch: `ter_….` and its number."""
    terminal, _, number = pos_batch.partition(".")
    ident = from_edge(TERMINAL, terminal)
    if len(number) != _NUMBER_DIGITS or not (number.isascii() and number.isdecimal()):
        raise NOT_FOUND.error()
    async with db.read() as conn:
        found = await sql.batch(conn, ident, int(number))
        if found is None or not await _sees(conn, principal, org, found.store):
            raise NOT_FOUND.error()
    return _batch(found)


async def _sees(conn: Conn, principal: Principal, org: Org, store: str) -> bool:
    found = await org.get_store(conn, store)
    return principal.may_see_company(found.company) and principal.may_see_store(store)


def _batch(row: sql.BatchShown) -> PosBatchView:
    claimed = _decode_totals(row.claimed) if row.claimed else None
    return PosBatchView(
        id=batch_id(row.terminal, row.batch),
        terminal=to_edge(TERMINAL, row.terminal),
        store=to_edge(STORE, row.store),
        number=row.batch,
        state=BatchState(row.state),
        totals=TotalsView(row.debit_fen, row.debit_count, row.credit_fen, row.credit_count),
        claimed=None if claimed is None else TotalsView(*msgspec.structs.astuple(claimed)),
        currency="CNY",
        asked_at=rfc3339(to_us(row.asked_at)),
        settled_at=None if row.settled_at is None else rfc3339(to_us(row.settled_at)),
    )


ROUTES = [list_pos_batches, get_pos_batch, *DIFFERENCE_ROUTES]
