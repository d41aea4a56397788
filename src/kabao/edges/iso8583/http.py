"""`/v1/pos-batches` and `/v1/pos-differences`: what tills settled, and where they were wrong."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from kabao.base.clock import BusinessDays, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    IdPosition,
    Limit,
    NumberPosition,
    Page,
    TextPosition,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires
from kabao.edges.iso8583 import sql_reading as sql
from kabao.edges.iso8583.model import Totals
from kabao.org.ops import Org

STORE, TERMINAL = "sto", "ter"
_NUMBER_DIGITS = 6
_DAYS = date(2000, 1, 1), date(2999, 12, 31)
"""Within these a day has a first moment, and one after it."""

_TimePosition = Annotated[int, Meta(ge=0, le=32_503_680_000_000_000)]
"""Microseconds until the year 3000."""

_decode_totals = msgspec.json.Decoder(Totals).decode


class BatchState(StrEnum):
    """How far a settlement is."""

    UPLOADING = "uploading"
    """The till's sums were not the host's; its messages are awaited."""
    SETTLED = "settled"


class DifferenceKind(StrEnum):
    """How till and host differ about a message."""

    TILL_ONLY = "till_only"
    HOST_ONLY = "host_only"
    AMOUNT = "amount"
    LATE = "late"
    """It came, or was reversed, after the batch was settled."""


class Side(StrEnum):
    """Which sums a message counts in."""

    DEBIT = "debit"
    CREDIT = "credit"


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


class PosDifferenceView(msgspec.Struct, frozen=True):
    """A message about which till and host differ. The books stand; people look into it."""

    batch: str
    terminal: str
    store: str
    trace: int
    side: Side
    kind: DifferenceKind
    till_amount: int | None
    host_amount: int | None
    currency: str
    found_at: str


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
    where = _where(principal, org, days, store, terminal, day)
    before = position(cursor, tuple[_TimePosition, IdPosition, NumberPosition])
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


@get("/v1/pos-differences", guards=[requires("settlements:read")])
async def list_pos_differences(
    principal: Principal,
    db: Database,
    org: Org,
    days: BusinessDays,
    store: EdgeId | None = None,
    terminal: EdgeId | None = None,
    day: date | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[PosDifferenceView]:
    """List messages about which tills and host differ, those last found first."""
    where = _where(principal, org, days, store, terminal, day)
    before = position(
        cursor,
        tuple[
            _TimePosition, IdPosition, NumberPosition, NumberPosition, NumberPosition, TextPosition
        ],
    )
    async with db.read() as conn:
        rows = await sql.differences(conn, where, before, limit + 1)
    return page(
        rows,
        limit,
        _difference,
        lambda d: (to_us(d.found_at), d.terminal, d.batch, d.trace, d.direction, d.kind),
    )


def _where(
    principal: Principal,
    org: Org,
    days: BusinessDays,
    store: str | None,
    terminal: str | None,
    day: date | None,
) -> sql.Where:
    """What a list is about, within what the key sees. Raises `not_found`."""
    stores = org.stores_within(principal.companies, principal.stores)
    if store is not None:
        ident = from_edge(STORE, store, field="store")
        if org.store(ident) is None or (stores is not None and ident not in stores):
            raise NOT_FOUND.error(field="store")
        stores = [ident]
    if day is not None and not _DAYS[0] <= day <= _DAYS[1]:
        raise INVALID.error("There is no business of that day.", field="day")
    begin: datetime | None = days.start(day) if day is not None else None
    end = days.start(day + timedelta(days=1)) if day is not None else None
    named = from_edge(TERMINAL, terminal, field="terminal") if terminal is not None else None
    return sql.Where(stores, named, begin, end)


async def _sees(conn: Conn, principal: Principal, org: Org, store: str) -> bool:
    found = await org.get_store(conn, store)
    return principal.may_see_company(found.company) and principal.may_see_store(store)


def _batch(row: sql.BatchShown) -> PosBatchView:
    claimed = _decode_totals(row.claimed) if row.claimed else None
    return PosBatchView(
        id=_batch_id(row.terminal, row.batch),
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


def _difference(row: sql.DifferenceShown) -> PosDifferenceView:
    return PosDifferenceView(
        batch=_batch_id(row.terminal, row.batch),
        terminal=to_edge(TERMINAL, row.terminal),
        store=to_edge(STORE, row.store),
        trace=row.trace,
        side=Side.DEBIT if row.direction < 0 else Side.CREDIT,
        kind=DifferenceKind(row.kind),
        till_amount=row.till_fen,
        host_amount=row.host_fen,
        currency="CNY",
        found_at=rfc3339(to_us(row.found_at)),
    )


def _batch_id(terminal: str, number: int) -> str:
    return f"{to_edge(TERMINAL, terminal)}.{number:0{_NUMBER_DIGITS}}"


ROUTES = [list_pos_batches, get_pos_batch, list_pos_differences]
