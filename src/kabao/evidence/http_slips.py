"""`/v1/receipts/{receipt}/prints`: slips; `/v1/slips/unknown-outcome`: one without a receipt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import Clock, rfc3339
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND
from kabao.base.ids import from_edge
from kabao.base.web.fields import Amount, AmountOrZero, EdgeId, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.evidence.http import PRINT, Desk, ReceiptId
from kabao.evidence.http_counter import Counter
from kabao.evidence.model import Receipt
from kabao.evidence.ports import Diary
from kabao.evidence.slip import Cash, Names, Paper, Slip, slip, unknown_slip
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org

ROUNDING_MAX_FEN = 99
"""Rounding never takes or gives a whole yuan: that would be a discount."""

PaperWidth = Annotated[Literal[58, 80], Meta(description="Millimetres: 32 or 48 columns.")]


class CashBody(RequestBody, frozen=True):
    """Cash taken beside the card for the same sale."""

    due: Amount
    paid: AmountOrZero


class PrintBody(RequestBody, frozen=True):
    """How to print."""

    paper: PaperWidth = 58
    cash: CashBody | None = None


class SlipView(msgspec.Struct, frozen=True):
    """A slip, three times: for a printer by line or whole, and as an image."""

    serial: str | None
    copy: int
    reprint: bool
    paper: int
    columns: int
    lines: list[str]
    text: str
    svg: str


@post(
    "/v1/receipts/{receipt:str}/prints",
    guards=[requires(PRINT)],
    status_code=201,
    tags=["receipts"],
)
async def print_slip(
    request: Request[Any, Any, Any],
    principal: Principal,
    receipt: ReceiptId,
    data: PrintBody,
    receipts: Desk,
    return_counter: Counter,
    merchants: Merchants,
    org: Org,
    once: Once,
    diary: Diary,
) -> Response[SlipView]:
    """Print a slip. Every printing is counted; all but the first are marked 重印 and logged."""
    dealt = await receipts.find(principal, receipt)
    cash = _cash(data.cash)

    async def work(conn: Conn) -> SlipView:
        shown = dealt.receipt
        copy = await receipts.evidence.count_copy(conn, dealt, principal.id)
        made = slip(
            shown,
            receipts.evidence.code(shown),
            _names(shown, merchants, org),
            copy=copy,
            paper=Paper(data.paper),
            returnable=return_counter.takes_back(dealt),
            cash=cash,
        )
        if copy > 1:
            await diary.note(conn, principal, "receipts:reprint", shown.subject, f"copy {copy}")
        return _view(made, shown.serial, copy)

    return await once(request, principal, data, work, secret=True)


@get("/v1/slips/unknown-outcome", guards=[requires(PRINT)], tags=["receipts"])
async def print_unknown(
    principal: Principal,
    merchants: Merchants,
    org: Org,
    clock: Clock,
    store: EdgeId,
    amount: Amount,
    terminal: EdgeId | None = None,
    reference: ShortText | None = None,
    paper: PaperWidth = 58,
) -> SlipView:
    """A slip for a payment that got no answer: it is no receipt, and says so."""
    ident = from_edge("sto", store, field="store")
    found = org.store(ident)
    if (
        found is None
        or not principal.may_see_store(ident)
        or not principal.may_see_company(found.company)
    ):
        raise NOT_FOUND.error("There is no such store for this key.", field="store")
    till = merchants.till(
        ident, from_edge("ter", terminal, field="terminal") if terminal else None, None
    )
    made = unknown_slip(
        amount,
        rfc3339(clock.now_us()),
        found.merchant_no,
        Names(found.name, till.terminal.terminal_no if till.terminal else None, None),
        reference=reference,
        paper=Paper(paper),
    )
    return _view(made, None, 1)


def _names(receipt: Receipt, merchants: Merchants, org: Org) -> Names:
    """As they are called today: only ids and the merchant number are signed."""
    store = org.store(from_edge("sto", receipt.store)) if receipt.store else None
    terminal = merchants.terminal(from_edge("ter", receipt.terminal)) if receipt.terminal else None
    cashier = merchants.cashier(from_edge("csh", receipt.cashier)) if receipt.cashier else None
    return Names(
        store.name if store else "",
        terminal.terminal_no if terminal else None,
        cashier.code if cashier else None,
    )


def _cash(body: CashBody | None) -> Cash | None:
    if body is None:
        return None
    if abs(body.paid - body.due) > ROUNDING_MAX_FEN:
        raise INVALID.error("Rounding is less than a yuan.", field="cash.paid")
    return Cash(body.due, body.paid)


def _view(made: Slip, serial: str | None, copy: int) -> SlipView:
    return SlipView(
        serial, copy, copy > 1, made.paper, made.columns, made.rows(), made.text(), made.svg()
    )


ROUTES: list[HTTPRouteHandler] = [print_slip, print_unknown]
