"""`/v1/offline-sales`: what tills sold while their line was dead, and the report of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    Amount,
    Currency,
    EdgeId,
    Moment,
    RequestBody,
    ShortText,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import Cursor, IdPosition, Limit, NumberPosition, page, position
from kabao.base.web.principal import Principal, requires
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.payments.model import UNKNOWN_STORE, Place
from kabao.payments.offline import CHANNEL, OfflineSale, OfflineSales, Shown
from kabao.payments.offline_terms import GRANT_MAX
from kabao.payments.sql_offline import OfflineRow, Totals

UPLOAD_MAX = 50
"""Sales in one upload: a till's day is bounded by policy, and a transaction by this."""


class SaleBody(RequestBody, frozen=True):
    """A sale made while the line was dead."""

    sequence: Annotated[
        int, Meta(ge=1, le=2**53 - 1, description="The till's own number of the sale.")
    ]
    amount: Amount
    currency: Currency
    source: Shown
    occurred_at: Moment
    grant: Annotated[
        str, Meta(max_length=GRANT_MAX, description="As the terms had it for this card.")
    ]
    cashier: EdgeId | None = None
    reference: ShortText | None = None


class UploadBody(RequestBody, frozen=True):
    """Sales of one till, oldest first."""

    store: EdgeId
    terminal: EdgeId
    sales: Annotated[list[SaleBody], Meta(min_length=1, max_length=UPLOAD_MAX)]


class OfflineSaleView(msgspec.Struct, frozen=True):
    """What became of a sale: `paid` by the card, `lost` by its issuer, `refused` to the store."""

    terminal: str
    sequence: int
    store: str
    amount: int
    paid: int
    lost: int
    refused: int
    currency: str
    payment: str | None
    reason: str | None
    rule: str | None
    reference: str | None
    sold_on: date
    occurred_at: str
    uploaded_at: str


class OfflineTermsView(msgspec.Struct, frozen=True):
    """What a till may sell if its line dies: a document and its signature."""

    document: Annotated[
        str,
        Meta(
            description="JSON: store, terminal, currency, taken_at, valid_until, terminal_max and "
            "terminal_count (what the till may still sell), salt, number_in_barcode (a pattern "
            "whose first group is the card number) and cards: by HMAC-SHA256 of a card number "
            "under the salt, in hexadecimal, the most it may pay once, and its grant."
        ),
    ]
    signature: Annotated[
        str,
        Meta(description="SM2 over `kabao-offline-terms-1`, a line feed and the document; hex."),
    ]
    key: Annotated[int, Meta(description="The version of the key that signed.")]


class UploadView(msgspec.Struct, frozen=True):
    """One line for each sale, in the order of the request."""

    data: list[OfflineSaleView]


class OfflineTotals(msgspec.Struct, frozen=True):
    """Sums over all sales of the report, whatever page is shown."""

    count: int
    amount: int
    paid: int
    lost: int
    refused: int
    currency: str


class OfflineReport(msgspec.Struct, frozen=True):
    """What was sold without a line, and who paid."""

    totals: OfflineTotals
    data: list[OfflineSaleView]
    next_cursor: str | None


def _view(row: OfflineRow) -> OfflineSaleView:
    return OfflineSaleView(
        terminal=to_edge("ter", row.terminal),
        sequence=row.sequence,
        store=to_edge("sto", row.store),
        amount=row.amount_fen,
        paid=row.paid_fen,
        lost=row.lost_fen,
        refused=row.refused_fen,
        currency="CNY",
        payment=to_edge("pay", row.payment) if row.payment else None,
        reason=row.reason,
        rule=row.rule,
        reference=row.reference,
        sold_on=row.sold_on,
        occurred_at=rfc3339(row.occurred_us),
        uploaded_at=rfc3339(row.uploaded_us),
    )


def _sale(merchants: Merchants, place: Place, body: SaleBody) -> OfflineSale:
    """A sale as it is booked. The goods are gone: a cashier who has left is no reason to refuse."""
    cashier = (
        merchants.cashier(from_edge("csh", body.cashier, field="cashier")) if body.cashier else None
    )
    here = cashier if cashier is not None and cashier.store == place.store else None
    shift = merchants.open_shift(here.id) if here is not None else None
    during = shift is not None and shift.opened_at <= body.occurred_at
    return OfflineSale(
        body.sequence,
        body.amount,
        body.currency,
        body.source,
        body.reference,
        to_us(body.occurred_at),
        body.grant,
        here.id if here is not None else None,
        shift.id if shift is not None and during else None,
    )


async def _place(principal: Principal, org: Org, store_text: str, terminal_text: str) -> Place:
    """Where it was sold, if the key may see the store. Raises `unknown_store`."""
    store_id = from_edge("sto", store_text, field="store")
    store = await org.find_store(store_id)
    if (
        store is None
        or not principal.may_see_store(store_id)
        or not principal.may_see_company(store.company)
    ):
        raise UNKNOWN_STORE.error(field="store")
    terminal = from_edge("ter", terminal_text, field="terminal")
    return Place(store_id, terminal, channel=CHANNEL)


@post("/v1/offline-sales", guards=[requires("payments:write")], tags=["payments"])
async def upload(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: UploadBody,
    once: Once,
    offline_sales: OfflineSales,
    org: Org,
    merchants: Merchants,
) -> Response[UploadView]:
    """Hand in what a till sold while its line was dead; each sale once, by its sequence.

    Within the caps of policy the card pays what it can and its issuer what is
    missing; a sale outside them is refused, and the store bears it (ruling 10).
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # asked for before anything is looked up
    place = await _place(principal, org, data.store, data.terminal)
    # A till that was blocked since still hears what became of its sales.
    if not await offline_sales.has_all(place, [sale.sequence for sale in data.sales]):
        await merchants.find_till(place.store, place.terminal, None)

    async def work(conn: Conn) -> UploadView:
        sales = [_sale(merchants, place, sale) for sale in data.sales]
        rows = await offline_sales.upload(conn, principal.company, place, sales)
        return UploadView([_view(row) for row in rows])

    return await once(request, principal, data, work)


@get("/v1/offline-terms", guards=[requires("payments:write")], tags=["payments"])
async def terms(
    principal: Principal,
    store: EdgeId,
    terminal: EdgeId,
    db: Database,
    offline_sales: OfflineSales,
    org: Org,
    merchants: Merchants,
) -> OfflineTermsView:
    """What a till may sell if its line dies: which cards, for how much, until when (ruling 10)."""
    place = await _place(principal, org, store, terminal)
    await merchants.find_till(place.store, place.terminal, None)
    async with db.read() as conn:
        signed = await offline_sales.terms.offer(conn, place)
    return OfflineTermsView(signed.document, signed.signature.hex(), signed.key)


@get("/v1/reports/offline-sales", guards=[requires("reports:read")], tags=["payments"])
async def report(
    principal: Principal,
    db: Database,
    offline_sales: OfflineSales,
    org: Org,
    first: date,
    last: date,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> OfflineReport:
    """What was sold without a line on some days, and who paid: card, issuer or store."""
    if last < first:
        raise INVALID.error("The last day is before the first.", field="last")
    after = position(cursor, tuple[IdPosition, NumberPosition])
    async with db.read() as conn:
        rows, totals = await offline_sales.report(
            conn,
            org.stores_within(principal.companies, principal.stores),
            first,
            last,
            after,
            limit + 1,
        )
    return shown(rows, totals, limit)


def shown(rows: Sequence[OfflineRow], totals: Totals, limit: int) -> OfflineReport:
    """A page of sales, and the sums of all."""
    listed = page(rows, limit, _view, lambda row: (row.terminal, row.sequence))
    return OfflineReport(
        OfflineTotals(
            totals.count,
            totals.amount_fen,
            totals.paid_fen,
            totals.lost_fen,
            totals.refused_fen,
            "CNY",
        ),
        listed.data,
        listed.next_cursor,
    )


ROUTES: list[HTTPRouteHandler] = [upload, terms, report]
