"""`/v1/shifts/{shift}/totals`: what a shift has taken (X), and its count at the end (Z)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from litestar import get

from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import SHIFT, TERMINAL, visible_shift
from kabao.merchants.model import Taken, TotalLine, ZReport
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


class TotalLineView(msgspec.Struct, frozen=True):
    """One verb by one tender; `amount` is negative when more went out than came in."""

    verb: str
    tender: Taken
    count: int
    amount: int


class TotalsView(msgspec.Struct, frozen=True):
    """An X reading of an open shift, or the Z report of a closed one.

    `cash_expected` and `cash_declared` hold the float, if one was said. While a
    shift is open, policy may keep its cash from the keys of tills: the cashier
    counts first (`till.count.blind`). `late` is what was booked to
    the shift after its report: payments that were in flight when it was closed.
    """

    shift: str
    terminal: str
    kind: str
    number: int | None
    lines: list[TotalLineView]
    cash_expected: int | None
    cash_declared: int | None
    cash_difference: int | None
    currency: str
    late: list[TotalLineView]
    created_at: str


def report_view(report: ZReport, late: Iterable[TotalLine] = ()) -> TotalsView:
    """A Z report for the outside."""
    return TotalsView(
        shift=to_edge(SHIFT, report.shift),
        terminal=to_edge(TERMINAL, report.terminal),
        kind="z",
        number=report.number,
        lines=_lines(report.lines),
        cash_expected=report.cash_expected_fen,
        cash_declared=report.cash_declared_fen,
        cash_difference=report.cash_difference_fen,
        currency="CNY",
        late=_lines(late),
        created_at=rfc3339(to_us(report.created_at)),
    )


def _lines(lines: Iterable[TotalLine]) -> list[TotalLineView]:
    return [TotalLineView(one.verb, one.tender, one.count, one.amount_fen) for one in lines]


@get("/v1/shifts/{shift:str}/totals", guards=[requires("merchants:read")])
async def get_shift_totals(
    principal: Principal, db: Database, org: Org, merchants: Merchants, clock: Clock, shift: EdgeId
) -> TotalsView:
    """What a shift has taken: the books' view while it is open, its Z report afterwards."""
    async with db.read() as conn:
        found = await visible_shift(conn, principal, org, merchants, shift)
        counted = await merchants.shifts.report(conn, found)
        if counted is not None:
            return report_view(*counted)
        totals = await merchants.shifts.totals(conn, found)
    blind = principal.stores is not None and merchants.shifts.drawers.is_blind()
    lines = [one for one in totals.lines if not blind or one.tender is not Taken.CASH]
    return TotalsView(
        shift=to_edge(SHIFT, found.id),
        terminal=to_edge(TERMINAL, found.terminal),
        kind="x",
        number=None,
        lines=_lines(lines),
        cash_expected=None if blind else totals.cash_fen,
        cash_declared=None,
        cash_difference=None,
        currency="CNY",
        late=[],
        created_at=rfc3339(to_us(now(clock))),
    )


ROUTES = [get_shift_totals]
