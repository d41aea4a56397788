"""`/v1/topups/{topup}/receipt`: what the buyer is handed (CR-35)."""

from __future__ import annotations

import msgspec
from litestar import get

from kabao.base.clock import rfc3339
from kabao.base.ids import to_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.principal import Principal, requires
from kabao.topups.http.desk import TopUpDesk


class ReceiptItem(msgspec.Struct, frozen=True):
    """One of the items the law lists."""

    item: str
    title: str
    lines: tuple[str, ...]


class SaleReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of a top-up. Whole fen."""

    topup: str
    rule: str
    """The row that lists the items."""
    amount: int
    """What was paid: the invoice is for this."""
    bonus: int
    currency: str
    paid_at: str
    items: list[ReceiptItem]


@get("/v1/topups/{topup:str}/receipt", guards=[requires("topups:read")], tags=["topups"])
async def receipt(principal: Principal, topup: EdgeId, topup_desk: TopUpDesk) -> SaleReceipt:
    """The receipt of a top-up, with the items the law lists, in Chinese."""
    found = await topup_desk.find(principal, topup)
    async with topup_desk.db.read() as conn:
        rule, items = await topup_desk.topups.receipts.of(conn, found)
    return SaleReceipt(
        topup=to_edge("top", found.id),
        rule=rule,
        amount=found.amount_fen,
        bonus=found.bonus_fen,
        currency=found.currency,
        paid_at=rfc3339(found.confirmed_us or found.created_us),
        items=[ReceiptItem(one.item, one.title, one.lines) for one in items],
    )


ROUTES = [receipt]
