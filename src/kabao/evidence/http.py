"""`/v1/receipts`: receipts with their proofs; `/v1/receipt-heads`: the spine of the log."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.db import Conn, Database
from kabao.base.errors import INVALID, NOT_FOUND, KabaoError
from kabao.base.ids import from_edge
from kabao.base.web.fields import EdgeId
from kabao.base.web.pages import (
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
from kabao.evidence.derive import Dealt, Part, Place
from kabao.evidence.model import NO_RECEIPT, RECEIPT_FORMAT, Proof, Receipt, SignedHead
from kabao.evidence.ops import Evidence
from kabao.org.ops import Org

PRINT = "receipts:print"

ReceiptId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)",
        description="A serial as on the slip, or `pay_…`, `top_…`, `ref_…`, `rev_…`.",
    ),
]


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt. Saved as a file, it is what `kabao receipt verify` reads."""

    format: str
    receipt: Receipt
    digest: str
    verification_code: str | None
    """As on the slip; null for keys that may not print one."""
    proof: Proof | None
    """Null until it is signed, about a second later."""


class Desk:
    """What the routes share: receipts inside a key's scope, and how they are shown."""

    def __init__(self, db: Database, evidence: Evidence, org: Org) -> None:
        self.db, self.evidence, self._org = db, evidence, org

    async def find(self, principal: Principal, asked: str) -> Dealt:
        """A receipt inside the scope. Raises `receipt_not_found`, `serial_mistyped`."""
        dealt = await self.evidence.find(asked)
        self.check(principal, dealt)
        return dealt

    def check(self, principal: Principal, dealt: Dealt) -> None:
        """Raises `receipt_not_found` for one outside the scope."""
        ident = dealt.subject.store
        if ident is None:  # bought in no store: its issuer's
            if principal.covers(from_edge("com", dealt.receipt.issuer)):
                return
            raise NO_RECEIPT.error(field="receipt")
        store = self._org.store(ident)
        if (
            store is None
            or not principal.may_see_store(ident)
            or not principal.may_see_company(store.company)
        ):
            raise NO_RECEIPT.error(field="receipt")

    async def view(self, conn: Conn, principal: Principal, dealt: Dealt) -> ReceiptView:
        """A receipt for the outside."""
        proven = await self.evidence.proven(conn, dealt)
        code = self.evidence.code(dealt.receipt) if PRINT in principal.verbs else None
        return ReceiptView(RECEIPT_FORMAT, dealt.receipt, proven.digest, code, proven.proof)


@get("/v1/receipts/{receipt:str}", guards=[requires("receipts:read")], tags=["receipts"])
async def show(principal: Principal, receipt: ReceiptId, receipts: Desk) -> ReceiptView:
    """A receipt by its serial or by what it is of, with its proof.

    It can be asked for at once; `proof` follows within about a second.
    """
    dealt = await receipts.find(principal, receipt)
    async with receipts.db.read() as conn:
        return await receipts.view(conn, principal, dealt)


@get("/v1/receipts", guards=[requires("receipts:read")], tags=["receipts"])
async def list_of(
    principal: Principal,
    receipts: Desk,
    payment: EdgeId | None = None,
    topup: EdgeId | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[ReceiptView]:
    """All receipts of a payment or of a top-up, oldest first: name one of them."""
    if (payment is None) == (topup is None):
        raise INVALID.error("Name a payment or a top-up.", field="payment")
    after = position(cursor, tuple[TextPosition, IdPosition])
    async with receipts.db.read() as conn:
        try:
            found = await receipts.evidence.of_subject(
                conn,
                from_edge("pay", payment, field="payment") if payment else None,
                from_edge("top", topup, field="topup") if topup else None,
                Part(after, limit + 1),
            )
        except KabaoError as unknown:
            if unknown.code is not NOT_FOUND:
                raise
            raise NO_RECEIPT.error(field="receipt") from None  # as of one elsewhere
        for dealt in found[:1]:
            receipts.check(principal, dealt)
        views = {dealt.op: await receipts.view(conn, principal, dealt) for dealt in found[:limit]}
    return page(found, limit, lambda dealt: views[dealt.op], _place)


def _place(dealt: Dealt) -> Place:
    """Where a receipt stands in the list of its subject."""
    return dealt.receipt.recorded_at, dealt.op


@get("/v1/receipt-heads", guards=[requires("receipts:read")], tags=["receipts"])
async def heads(
    receipts: Desk, limit: Limit = 50, cursor: Cursor | None = None
) -> Page[SignedHead]:
    """The signed heads of the log, oldest first.

    They tell nothing about anybody. Whoever keeps them can show that nothing
    was taken out of the log or changed since.
    """
    after = position(cursor, tuple[NumberPosition])
    async with receipts.db.read() as conn:
        found = await receipts.evidence.heads(conn, after[0] if after else 0, limit + 1)
    return page(found, limit, lambda head: head, lambda head: (head.head.no,))


ROUTES: list[HTTPRouteHandler] = [show, list_of, heads]
