"""Reports for programs: ids as at the edge, amounts in fen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

import msgspec

from kabao.base.ids import to_edge
from kabao.clearing.model.settlement import SETTLEMENT
from kabao.reports.model.drawing import Names
from kabao.reports.model.figures import PlaceLine
from kabao.reports.model.night import Position
from kabao.reports.model.vouchers import Voucher
from kabao.reports.ops import Report, StoreSheet

Edges = Callable[[str], str]
"""The id of a store or a company, as at the edge."""

COMPANY, STORE, CASHIER = "com", "sto", "csh"


class RollView(msgspec.Struct, frozen=True):
    """What an issuer owes to holders: opening and all `lines` together are the closing."""

    issuer: str
    currency: str
    opening: int
    lines: dict[str, int]
    closing: int


class PlaceView(msgspec.Struct, frozen=True):
    """A store's day, or a cashier's; `id` is null for what happened at none."""

    id: str | None
    name: str
    payments: int
    spent: int
    given_back: int
    loads: int
    loaded: int
    paid_out: int


class DoorView(msgspec.Struct, frozen=True):
    """Payments that came through one door."""

    door: str
    payments: int
    spent: int
    given_back: int


class ChannelView(msgspec.Struct, frozen=True):
    """Loads paid for in one way."""

    channel: str
    loads: int
    loaded: int
    went_back: int


class HourView(msgspec.Struct, frozen=True):
    """What cards paid in an hour of local time."""

    hour: int
    payments: int
    spent: int


class PositionView(msgspec.Struct, frozen=True):
    """Who owes whom; `settlement` leads to the slips behind it."""

    settlement: str
    issuer: str
    company: str
    store: str | None
    redeemed: int
    given_back: int
    fees: int
    cash_set_off: int
    net: int
    state: str
    due_on: date | None


class OpenView(msgspec.Struct, frozen=True):
    """What nobody has explained yet."""

    source: str
    kind: str
    count: int
    amount: int
    oldest: date
    age_days: int


class DayView(msgspec.Struct, frozen=True):
    """A day. `agrees`: a closed day's figures, read again, are those that were kept."""

    day: date
    closed: bool
    company: str | None
    digest: str
    agrees: bool | None
    roll: list[RollView]
    stores: list[PlaceView]
    doors: list[DoorView]
    channels: list[ChannelView]
    hours: list[HourView]
    positions: list[PositionView]
    open: list[OpenView]


class StoreSheetView(msgspec.Struct, frozen=True):
    """A store's day, cashier by cashier."""

    day: date
    closed: bool
    store: str
    cashiers: list[PlaceView]
    positions: list[PositionView]


class VoucherLineView(msgspec.Struct, frozen=True):
    """One side of a voucher, in fen."""

    account: str
    name: str
    ledger_account: str
    owner: str | None
    debit: int
    credit: int


class VoucherView(msgspec.Struct, frozen=True):
    """A voucher: its debits equal its credits."""

    number: str
    day: date
    company: str
    currency: str
    purpose: str
    transfers: int
    lines: list[VoucherLineView]


class JournalView(msgspec.Struct, frozen=True):
    """A day's journal."""

    day: date
    vouchers: list[VoucherView]


def day_view(report: Report, names: Names) -> DayView:
    """A day's report."""
    books = report.books
    return DayView(
        day=report.day,
        closed=report.closed,
        company=_edge(COMPANY, report.issuer),
        digest=report.digest.hex(),
        agrees=report.agrees,
        roll=[
            RollView(to_edge(COMPANY, r.issuer), r.currency, r.opening_fen, r.lines, r.closing_fen)
            for r in books.roll
        ],
        stores=_places(STORE, books.stores, names),
        doors=[DoorView(d.door, d.payments, d.spent_fen, d.given_back_fen) for d in books.doors],
        channels=[
            ChannelView(c.channel, c.loads, c.loaded_fen, c.back_fen) for c in books.channels
        ],
        hours=[HourView(h.hour, h.payments, h.spent_fen) for h in books.hours],
        positions=_positions(report.positions),
        open=[
            OpenView(
                i.source, i.kind, i.count, i.amount_fen, i.oldest, (report.day - i.oldest).days
            )
            for i in report.open_items
        ],
    )


def store_view(sheet: StoreSheet, names: Names) -> StoreSheetView:
    """A store's sheet."""
    return StoreSheetView(
        day=sheet.day,
        closed=sheet.closed,
        store=to_edge(STORE, sheet.store),
        cashiers=_places(CASHIER, sheet.cashiers, names),
        positions=_positions(sheet.positions),
    )


def journal_view(day: date, vouchers: Iterable[Voucher], edge: Edges) -> JournalView:
    """A day's vouchers."""
    return JournalView(day, [_voucher(one, edge) for one in vouchers])


def _voucher(voucher: Voucher, edge: Edges) -> VoucherView:
    return VoucherView(
        number=voucher.number,
        day=voucher.day,
        company=to_edge(COMPANY, voucher.issuer),
        currency=voucher.currency,
        purpose=voucher.purpose,
        transfers=voucher.transfers,
        lines=[
            VoucherLineView(
                account=line.account,
                name=line.name,
                ledger_account=line.ledger_account,
                owner=None if line.owner is None else edge(line.owner),
                debit=line.debit_fen,
                credit=line.credit_fen,
            )
            for line in voucher.lines
        ],
    )


def _places(prefix: str, lines: Iterable[PlaceLine], names: Names) -> list[PlaceView]:
    return [
        PlaceView(
            _edge(prefix, line.place),
            names(line.place),
            line.payments,
            line.spent_fen,
            line.given_back_fen,
            line.loads,
            line.loaded_fen,
            line.paid_out_fen,
        )
        for line in lines
    ]


def _positions(positions: Iterable[Position]) -> list[PositionView]:
    return [
        PositionView(
            settlement=to_edge(SETTLEMENT, p.settlement),
            issuer=to_edge(COMPANY, p.issuer),
            company=to_edge(COMPANY, p.company),
            store=_edge(STORE, p.store),
            redeemed=p.redeemed_fen,
            given_back=p.given_back_fen,
            fees=p.fees_fen,
            cash_set_off=p.cash_fen,
            net=p.net_fen,
            state=p.state,
            due_on=p.due_on,
        )
        for p in positions
    ]


def _edge(prefix: str, ident: str | None) -> str | None:
    return None if ident is None else to_edge(prefix, ident)
