"""`/v1/shifts/{shift}/cash` and `/counts`: what comes into a drawer and leaves it, and counts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    Amount,
    Count,
    EdgeId,
    RequestBody,
    ShortText,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.merchants.http.scope import CASHIER, visible_shift
from kabao.merchants.model import (
    DrawerEntry,
    EntryKind,
    OverrideVerb,
    Pieces,
    alone_fen,
)
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org


class MoveCash(RequestBody, frozen=True):
    """Cash that comes into a drawer or leaves it, and why."""

    type: Literal["paid_in", "paid_out", "drop"]
    amount: Amount
    reason: ShortText
    override: EdgeId | None = None


class PiecesBody(RequestBody, frozen=True):
    """So many coins or notes of one value in fen."""

    value: Amount
    count: Count


class CountDrawer(RequestBody, frozen=True):
    """All that is in the drawer, the float included."""

    pieces: Annotated[list[PiecesBody], Meta(max_length=20)]


class DrawerEntryView(msgspec.Struct, frozen=True):
    """One movement; `over` and `short` are booked when a shift ends. `supervisor` of a drop is
    its witness.
    """

    id: str
    type: EntryKind
    amount: int
    reason: str | None
    supervisor: str | None
    created_at: str


class DrawerView(msgspec.Struct, frozen=True):
    """What came into a shift's drawer and left it, other than by sales; oldest first."""

    data: list[DrawerEntryView]


class CountView(msgspec.Struct, frozen=True):
    """A count, as it was said: what there should be is told when the shift is closed."""

    number: int
    amount: int
    currency: str
    created_at: str


_TAKES_TWO = {EntryKind.PAID_OUT: OverrideVerb.PAID_OUT, EntryKind.DROP: OverrideVerb.DROP}
"""What takes a second person from a sum on."""


def _entry_view(entry: DrawerEntry) -> DrawerEntryView:
    return DrawerEntryView(
        id=to_edge("drw", entry.id),
        type=entry.kind,
        amount=entry.amount_fen,
        reason=entry.reason,
        supervisor=to_edge(CASHIER, entry.supervisor) if entry.supervisor else None,
        created_at=rfc3339(to_us(entry.created_at)),
    )


@post("/v1/shifts/{shift:str}/cash", guards=[requires("shifts:write")])
async def move_cash(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    db: Database,
    org: Org,
    merchants: Merchants,
    shift: EdgeId,
    data: MoveCash,
) -> Response[DrawerEntryView]:
    """Put cash into an open drawer, take some out, or drop it into the safe.

    From a sum on that policy names, all that a shift has paid out without a supervisor
    together, paying out takes one (`POST /v1/overrides`, verb `paid_out`, the shift as its
    subject); dropping takes a witness in the same way (verb `drop`), another cashier of the
    store.
    """
    key = idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    async with db.read() as conn:
        found = await visible_shift(conn, principal, org, merchants, shift)
        before = await merchants.shifts.drawers.entries(conn, found.id)
    kind, overrides = EntryKind(data.type), merchants.overrides
    second = alone = None
    if (verb := _TAKES_TWO.get(kind)) is not None and not await once.answered(request, principal):
        second = await overrides.at_drawer(
            found,
            verb,
            (alone_fen(before, kind), data.amount),
            from_edge("ovr", data.override, field="override") if data.override else None,
            key=f"{principal.company}/drawer/{key}",
        )
        alone = overrides.rules().alone_at_drawer(verb) if second is None else None

    async def work(conn: Conn) -> DrawerEntryView:
        entry = await merchants.shifts.drawers.move(
            conn, found.id, kind, data.amount, data.reason, second, alone=alone
        )
        return _entry_view(entry)

    return await once(request, principal, data, work)


@get("/v1/shifts/{shift:str}/cash", guards=[requires("merchants:read")])
async def get_drawer(
    principal: Principal, db: Database, org: Org, merchants: Merchants, shift: EdgeId
) -> DrawerView:
    """What came into a shift's drawer and left it, other than by sales."""
    async with db.read() as conn:
        found = await visible_shift(conn, principal, org, merchants, shift)
        entries = await merchants.shifts.drawers.entries(conn, found.id)
    return DrawerView([_entry_view(entry) for entry in entries])


@post("/v1/shifts/{shift:str}/counts", guards=[requires("shifts:write")])
async def count_drawer(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    org: Org,
    merchants: Merchants,
    shift: EdgeId,
    data: CountDrawer,
) -> Response[CountView]:
    """Say what is in an open drawer, piece by piece, before closing the shift.

    The answer does not say what there should be. A drawer may be counted again, as often as
    policy allows; the last count holds.
    """

    async def work(conn: Conn) -> CountView:
        found = await visible_shift(conn, principal, org, merchants, shift)
        pieces = [Pieces(each.value, each.count) for each in data.pieces]
        count = await merchants.shifts.drawers.count(conn, found.id, pieces)
        return CountView(count.no, count.amount_fen, "CNY", rfc3339(to_us(count.created_at)))

    return await once(request, principal, data, work)


ROUTES = [move_cash, get_drawer, count_drawer]
