"""`/v1/netting-windows`: what is netted together, and who pays whom (L-12)."""

from __future__ import annotations

from datetime import date

import msgspec
from litestar import get

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
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
from kabao.clearing.http.settlements import READ
from kabao.clearing.model.days import Window, WindowState
from kabao.clearing.model.netting import Claim, Payment, Position
from kabao.clearing.model.runs import PROVISIONAL, Run
from kabao.clearing.model.settlement import INSTRUCTION, RUN, WINDOW
from kabao.clearing.ops import Clearing


class NettingWindowView(msgspec.Struct, frozen=True, kw_only=True):
    """Every transfer between two cuts of the books. Digests: SHA-256 of the canonical bytes."""

    id: str
    number: int
    day: date
    until: str
    cut_at: str
    status: WindowState
    inputs_digest: str | None
    result_digest: str | None


class NettingRunView(msgspec.Struct, frozen=True, kw_only=True):
    """One netting of a window. The provisional one moved nothing."""

    id: str
    number: int
    provisional: bool
    run_at: str
    inputs_digest: str
    result_digest: str


class NettingWindowWhole(msgspec.Struct, frozen=True):
    """A window and its runs."""

    window: NettingWindowView
    runs: list[NettingRunView]


class NettedPartyView(msgspec.Struct, frozen=True, kw_only=True):
    """A party's balance in a run. `net` above zero: it is paid; below: it pays."""

    party: str
    currency: str
    owed: int
    owes: int
    set_off: int
    net: int


class NettedClaimView(msgspec.Struct, frozen=True, kw_only=True):
    """An edge of the graph: what an issuer owed for a store. Below zero: it was owed."""

    debtor: str
    owner: str
    company: str
    amount: int
    currency: str
    carried: bool
    """It waits for the next run: the store owes, and its issuer's terms say so."""


class NettedPaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """What is left to pay when all is set off. `carried`: too little, for the next run."""

    instruction: str
    payer: str
    payee: str
    amount: int
    currency: str
    carried: bool


class NettingGraphView(msgspec.Struct, frozen=True, kw_only=True):
    """Who owed whom before a run, and who pays whom after it."""

    run: str
    provisional: bool
    parties: list[NettedPartyView]
    claims: list[NettedClaimView]
    payments: list[NettedPaymentView]


@get("/v1/netting-windows", guards=[requires(READ)])
async def list_windows(
    db: Database, clearing: Clearing, limit: Limit = DEFAULT_LIMIT, cursor: Cursor | None = None
) -> Page[NettingWindowView]:
    """List netting windows, newest first."""
    before = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        rows = await clearing.reading.windows(
            conn, None if before is None else before[0], limit + 1
        )
    return page(rows, limit, _view, lambda row: (row.no,))


@get("/v1/netting-windows/{window:str}", guards=[requires(READ)])
async def get_window(db: Database, clearing: Clearing, window: str) -> NettingWindowWhole:
    """Get a netting window and its runs."""
    async with db.read() as conn:
        found = await clearing.reading.window(conn, from_edge(WINDOW, window))
        if found is None:
            raise NOT_FOUND.error("There is no such netting window.")
        runs = await clearing.reading.runs(conn, found.id)
    return NettingWindowWhole(_view(found), [_run_view(run) for run in runs])


@get("/v1/netting-windows/{window:str}/graph", guards=[requires(READ)])
async def get_graph(
    principal: Principal, db: Database, clearing: Clearing, window: str
) -> list[NettingGraphView]:
    """Get who owes whom in a window and who pays whom, by run: its final ones, else the
    provisional one. A key sees what its companies take part in.
    """
    async with db.read() as conn:
        found = await clearing.reading.window(conn, from_edge(WINDOW, window))
        if found is None:
            raise NOT_FOUND.error("There is no such netting window.")
        runs = await clearing.reading.runs(conn, found.id)
    final = [run for run in runs if run.no != PROVISIONAL] or runs
    return [_graph(principal, run) for run in final]


def _view(window: Window) -> NettingWindowView:
    return NettingWindowView(
        id=to_edge(WINDOW, window.id),
        number=window.no,
        day=window.day,
        until=rfc3339(to_us(window.until)),
        cut_at=rfc3339(to_us(window.cut_at)),
        status=window.state,
        inputs_digest=None if window.inputs_digest is None else window.inputs_digest.hex(),
        result_digest=None if window.result_digest is None else window.result_digest.hex(),
    )


def _run_view(run: Run) -> NettingRunView:
    return NettingRunView(
        id=to_edge(RUN, run.id),
        number=run.no,
        provisional=run.no == PROVISIONAL,
        run_at=rfc3339(to_us(run.run_at)),
        inputs_digest=run.inputs_digest.hex(),
        result_digest=run.result_digest.hex(),
    )


def _graph(principal: Principal, run: Run) -> NettingGraphView:
    result = run.read_result()
    stores = {c.owner for c in (*result.netted, *result.kept) if c.owner != c.company}
    company = {c.party: c.company for c in result.netted} | {
        p.party: p.company for p in result.payments
    }

    def seen(*companies: str) -> bool:
        return any(principal.covers(each) for each in companies)

    return NettingGraphView(
        run=to_edge(RUN, run.id),
        provisional=run.no == PROVISIONAL,
        parties=[
            _party(p, stores) for p in result.positions if seen(company.get(p.party, p.party))
        ],
        claims=[
            _claim(c, carried=carried)
            for carried, claims in ((False, result.netted), (True, result.kept))
            for c in claims
            if seen(c.debtor, c.company)
        ],
        payments=[_payment(p) for p in result.payments if seen(p.payer, p.company)],
    )


def _party(p: Position, stores: set[str]) -> NettedPartyView:
    return NettedPartyView(
        party=to_edge("sto" if p.party in stores else "com", p.party),
        currency=p.currency,
        owed=p.owed_fen,
        owes=p.owes_fen,
        set_off=p.set_off_fen,
        net=p.net_fen,
    )


def _claim(c: Claim, *, carried: bool) -> NettedClaimView:
    return NettedClaimView(
        debtor=to_edge("com", c.debtor),
        owner=to_edge("com" if c.owner == c.company else "sto", c.owner),
        company=to_edge("com", c.company),
        amount=c.amount_fen,
        currency=c.currency,
        carried=carried,
    )


def _payment(p: Payment) -> NettedPaymentView:
    return NettedPaymentView(
        instruction=to_edge(INSTRUCTION, p.id),
        payer=to_edge("com", p.payer),
        payee=to_edge("com" if p.store is None else "sto", p.party),
        amount=p.amount_fen,
        currency=p.currency,
        carried=p.carried,
    )


ROUTES = [list_windows, get_window, get_graph]
