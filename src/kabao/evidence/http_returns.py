"""`/v1/receipts/{receipt}/returns`: goods come back, the slip is there, the card is not."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from kabao.base.clock import rfc3339
from kabao.base.db import Conn
from kabao.base.ids import to_edge
from kabao.base.web.fields import KEY_HEADER, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import By
from kabao.evidence.http import Desk, ReceiptId
from kabao.evidence.http_counter import Counter, ReturnBody
from kabao.evidence.model import NOT_RETURNABLE, RETURNABLE
from kabao.evidence.ports import Diary, Returning
from kabao.merchants.model import NO_TILL
from kabao.payments.model import AMOUNT_EXCEEDS, OF_AN_ORDER, Payment, Returned
from kabao.payments.ops import Payments


class NewCardView(Struct, frozen=True):
    """The card that holds the refund: number, PIN, track and barcode are shown only here."""

    id: str
    programme: str
    last4: str
    number: str
    pin: str
    track2: str
    barcode: str

    def __repr__(self) -> str:
        return f"NewCardView({self.id})"


class ReturnView(Struct, frozen=True):
    """A refund to a new card."""

    refund: str
    payment: str
    amount: int
    principal: int
    bonus: int
    currency: str
    created_at: str
    card: NewCardView


@post(
    "/v1/receipts/{receipt:str}/returns",
    guards=[requires("payments:refund")],
    status_code=201,
    tags=["receipts"],
)
async def give_back(
    request: Request[Any, Any, Any],
    principal: Principal,
    receipt: ReceiptId,
    data: ReturnBody,
    receipts: Desk,
    return_counter: Counter,
    returns: Returning,
    payments: Payments,
    once: Once,
    diary: Diary,
) -> Response[ReturnView]:
    """Refund a payment to a new card of its programme, on its slip instead of its card.

    Never to cash; bonus goes back to bonus. A supervisor allows it to the cashier
    by an override (`POST /v1/overrides`, verb `return`) on the payment. The new
    card's number and PIN are in this answer, which can be had again with the same
    key for 24 hours.
    """
    dealt = await receipts.find(principal, receipt)
    if dealt.receipt.kind not in RETURNABLE:
        raise NOT_RETURNABLE.error(f"This is the receipt of a {dealt.receipt.kind}.")
    repeated = await once.answered(request, principal)
    till = NO_TILL if repeated else return_counter.till(dealt, data)
    await return_counter.judge(receipts, dealt, data.code)
    async with receipts.db.read() as conn:
        payment = await payments.get(conn, dealt.subject.id)
    amount_fen, supervisor = data.amount or payment.refundable_fen, None
    if not repeated:
        _check(payment, amount_fen)
        key = f"{principal.company}/return/{idempotency_key(request.headers.get(KEY_HEADER))}"
        supervisor = await return_counter.allowed(payment, amount_fen, till, data.override, key)

    async def work(conn: Conn) -> ReturnView:
        by = By(
            actor=principal.id,
            company=principal.company,
            store=payment.store,
            terminal=till.terminal.id if till.terminal else None,
            cashier=till.cashier.id if till.cashier else None,
            shift=till.shift.id if till.shift else None,
        )
        # The amount that was allowed: what is left may be another by now.
        done = await returns.give_back(conn, payment, amount_fen, by)
        why = f"allowed by {to_edge('csh', supervisor)}" if supervisor else ""
        await diary.note(conn, principal, "receipts:return", to_edge("ref", done.refund.id), why)
        return _view(done)

    return await once(request, principal, data, work, secret=True)


def _check(payment: Payment, amount_fen: int) -> None:
    """No supervisor is called for what cannot be.

    Raises `payment_of_an_order`, `amount_exceeds_remaining`.
    """
    if payment.of_order:
        raise OF_AN_ORDER.error(rule="P-16")
    if not 0 < amount_fen <= payment.refundable_fen:
        raise AMOUNT_EXCEEDS.error(f"{payment.refundable_fen} fen are left to refund.")


def _view(done: Returned) -> ReturnView:
    refund, secrets = done.refund, done.secrets
    return ReturnView(
        to_edge("ref", refund.id),
        to_edge("pay", refund.payment),
        refund.amount_fen,
        refund.principal_fen,
        refund.bonus_fen,
        done.payment.currency,
        rfc3339(refund.created_us),
        NewCardView(
            to_edge("card", done.card.id),
            to_edge("prg", done.card.programme),
            done.card.last4,
            secrets.number,
            secrets.pin,
            secrets.track2,
            secrets.barcode,
        ),
    )


ROUTES: list[HTTPRouteHandler] = [give_back]
