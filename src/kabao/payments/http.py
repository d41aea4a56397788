"""The HTTP door of payments. Paying and inquiring are hot routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from msgspec import Meta
from msgspec.structs import replace

from kabao.base.clock import rfc3339
from kabao.base.db import Database
from kabao.base.errors import INVALID, NOT_FOUND, UNAVAILABLE, KabaoError
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.base.web.answers import Answer, answer
from kabao.base.web.binding import KEYED
from kabao.base.web.fields import (
    KEY_HEADER,
    Amount,
    Currency,
    EdgeId,
    IdempotencyKey,
    Metadata,
    RequestBody,
    ShortText,
    idempotency_key,
)
from kabao.base.web.hot import HotCall, HotRoute
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.base.web.timely import timely
from kabao.cards.claims import unsecret
from kabao.cards.model import CardRef
from kabao.merchants.model import Alone, OverrideAsk, OverrideVerb
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.paycodes.model import Payable, PayCode
from kabao.payments import pay
from kabao.payments.after import Refunded
from kabao.payments.model import (
    AMOUNT_EXCEEDS,
    CARD_NOT_ACCEPTED,
    UNKNOWN_STORE,
    UNTOLD,
    Ask,
    Inquiry,
    Payment,
    Place,
    Refund,
    Reversed,
)
from kabao.payments.ops import Payments
from kabao.payments.ports import AllSales

Mac = Callable[[bytes], bytes]
"""A keyed hash over a parsed body."""

canonical = msgspec.json.Encoder(order="deterministic").encode
"""A parsed body, the same bytes each time."""


class PayBody(RequestBody, frozen=True):
    """A payment to make."""

    amount: Amount
    currency: Currency
    source: Payable
    store: EdgeId
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    reference: ShortText | None = None
    capture: bool = True
    accept_partial: bool = False
    metadata: Metadata = msgspec.field(default_factory=dict)


class InquiryBody(RequestBody, frozen=True):
    """A balance to ask for."""

    source: Payable


class AtTill(RequestBody, frozen=True):
    """The till that asks for a later verb, where one does: its open shift counts it."""

    terminal: EdgeId | None = None
    cashier: EdgeId | None = None


class Undo(AtTill, frozen=True):
    """What a cashier may need a supervisor for."""

    override: EdgeId | None = None


class CaptureBody(AtTill, frozen=True):
    """How much of a hold to take; nothing given: all of it."""

    amount: Amount | None = None
    final: bool = True


class VoidBody(Undo, frozen=True):
    """By whom it is voided."""


class RefundBody(Undo, frozen=True):
    """How much to give back; nothing given: all that is left."""

    amount: Amount | None = None


class Original(RequestBody, frozen=True):
    """The payment to undo: by its own key, or by its id."""

    idempotency_key: IdempotencyKey | None = None
    payment: EdgeId | None = None


class ReversalBody(RequestBody, frozen=True):
    """A payment to undo because its outcome is not known."""

    original: Original


class CardView(msgspec.Struct, frozen=True, gc=False):
    """The card, as far as the caller may know it."""

    id: str
    last4: str


class PaymentView(msgspec.Struct, frozen=True, gc=False):
    """A payment as the outside sees it."""

    id: str
    status: str
    requested_amount: int
    approved_amount: int
    captured_amount: int
    refunded_amount: int
    currency: str
    balance_after: int | None
    decline_code: str | None
    rule: str | None
    card: CardView | None
    store: str
    terminal: str | None
    cashier: str | None
    reference: str | None
    tender: str
    invoiceable_amount: int
    expires_at: str | None
    created_at: Annotated[str, Meta(description="RFC 3339 with offset.")]
    metadata: msgspec.Raw


class RefundView(msgspec.Struct, frozen=True):
    """A refund, and the payment as it is now."""

    id: str
    amount: int
    currency: str
    destination: str
    rule: str | None
    created_at: str
    payment: PaymentView


class RefundLine(msgspec.Struct, frozen=True):
    """A refund in a list."""

    id: str
    payment: str
    amount: int
    destination: str
    rule: str | None
    created_at: str


class ReversalView(msgspec.Struct, frozen=True):
    """A reversal of a payment or a payment order; of neither, where the original never
    came: it is barred.
    """

    id: str
    status: str
    amount: int
    created_at: str
    payment: PaymentView | None
    payment_order: str | None


class InquiryView(msgspec.Struct, frozen=True):
    """What a card is worth now."""

    card: str
    card_status: str
    balance: int
    available: int
    single_limit: int
    currency: str
    expires_on: str | None


def payment_view(p: Payment) -> PaymentView:
    """A payment for the outside."""
    told = p.card is not None and p.decline_code not in UNTOLD
    return PaymentView(
        id="pay_" + p.id,
        status=p.status,
        requested_amount=p.requested_fen,
        approved_amount=p.approved_fen,
        captured_amount=p.captured_fen,
        refunded_amount=p.refunded_fen,
        currency=p.currency,
        balance_after=p.balance_after_fen,
        decline_code=p.decline_code,
        rule=p.rule,
        card=CardView("card_" + p.card, p.last4 or "") if told and p.card else None,
        store="sto_" + p.store,
        terminal="ter_" + p.terminal if p.terminal else None,
        cashier="csh_" + p.cashier if p.cashier else None,
        reference=p.reference,
        tender=p.tender,
        invoiceable_amount=p.invoiceable_fen,
        expires_at=rfc3339(p.expires_us) if p.expires_us is not None and not p.of_order else None,
        created_at=rfc3339(p.created_us),
        metadata=msgspec.Raw(p.metadata.encode()),
    )


LOOK_S = 1.0
"""How long a look at the database may take that is not needed as a rule."""

_UNKNOWN = frozenset({UNKNOWN_STORE, NOT_FOUND})
"""A store, a terminal or a cashier that the snapshots do not know."""


class Door:
    """The hot routes of payments, with what they need."""

    def __init__(
        self, payments: Payments, org: Org, merchants: Merchants, ids: Ids, mac: Mac
    ) -> None:
        self._payments, self._org, self._merchants = payments, org, merchants
        self._ids, self._mac = ids, mac

    def routes(self) -> list[HotRoute]:
        """To be given to `Web`."""
        return [
            HotRoute(
                "POST",
                "/v1/payments",
                self._pay,
                show=_show_payment,
                takes=PayBody,
                gives=PaymentView,
                verb="payments:write",
                status=201,
                name="payments_create",
                summary="Pay with a card, or set value aside",
                description="A refused payment is an answer: 201 with `status` `declined`.",
                tag="payments",
            ),
            HotRoute(
                "POST",
                "/v1/balance-inquiries",
                self._inquire,
                show=_show_inquiry,
                takes=InquiryBody,
                gives=InquiryView,
                verb="balance-inquiries:write",
                status=200,
                keyed=False,
                name="balance_inquiries_create",
                summary="Ask what a card is worth",
                description="Wrong PINs are counted here as in payments.",
                tag="payments",
            ),
        ]

    def _pay(self, call: HotCall[PayBody]) -> asyncio.Future[Any]:
        place, refused = self._place(call.principal, call.data)
        if refused is not None and refused.code in _UNKNOWN:
            return asyncio.ensure_future(self._pay_after_a_look(call))
        return self._pay_at(call, place, refused)

    async def _pay_after_a_look(self, call: HotCall[PayBody]) -> Payment:
        """A sibling process may have set up the store or the till just now."""
        looks = asyncio.gather(self._org.look(), self._merchants.look())
        await timely(looks, UNAVAILABLE, LOOK_S)
        paid: Payment = await self._pay_at(call, *self._place(call.principal, call.data))
        return paid

    def _pay_at(
        self, call: HotCall[PayBody], place: Place, refused: KabaoError | None
    ) -> asyncio.Future[Any]:
        if refused is not None and refused.code is UNKNOWN_STORE:
            raise refused
        body = call.data
        request = pay.Request(
            id=self._ids.new(),
            company=call.principal.company,
            key="pay/" + call.key,
            mac=self._mac(canonical(replace(body, source=_unsecret(body.source)))),
            amount_fen=body.amount,
            currency=body.currency,
            place=place,
            reference=body.reference,
            metadata=canonical(body.metadata).decode() if body.metadata else "{}",
            capture=body.capture,
            accept_partial=body.accept_partial,
            refused=refused,
        )
        return self._payments.pay(request, body.source, call.principal.covers)

    def _inquire(self, call: HotCall[InquiryBody]) -> asyncio.Future[Any]:
        return self._payments.inquire(
            call.principal.company, call.data.source, call.principal.covers
        )

    def _place(self, principal: Principal, body: PayBody) -> tuple[Place, KabaoError | None]:
        """Where it happens, and why this till may not."""
        store_id = from_edge("sto", body.store, field="store")
        store = self._org.store(store_id)
        if (
            store is None
            or not principal.may_see_store(store_id)
            or not principal.may_see_company(store.company)
        ):
            return Place(store_id), UNKNOWN_STORE.error(field="store")
        terminal = from_edge("ter", body.terminal, field="terminal") if body.terminal else None
        cashier = from_edge("csh", body.cashier, field="cashier") if body.cashier else None
        try:
            till = self._merchants.till(store_id, terminal, cashier)
        except KabaoError as refused:
            return Place(store_id, terminal, cashier), refused
        return Place(store_id, terminal, cashier, till.shift.id if till.shift else None), None


def _unsecret(source: Payable) -> CardRef:
    """What an Idempotency-Key is bound to. A code says only itself, and works once."""
    return CardRef(f"code:{source.code}") if isinstance(source, PayCode) else unsecret(source)


def _show_payment(payment: Payment) -> Answer:
    return answer(payment_view(payment), 201)


def _show_inquiry(inquiry: Inquiry) -> Answer:
    if not inquiry.accepted or inquiry.card is None or inquiry.card_status is None:
        raise CARD_NOT_ACCEPTED.error()
    return answer(
        InquiryView(
            to_edge("card", inquiry.card),
            inquiry.card_status,
            inquiry.balance_fen,
            inquiry.available_fen,
            inquiry.single_limit_fen,
            inquiry.currency,
            inquiry.expires_on,
        )
    )


class Desk:
    """What the cold routes share: the payment in scope, and who asks."""

    def __init__(
        self, db: Database, payments: Payments, org: Org, merchants: Merchants, mac: Mac
    ) -> None:
        self.db, self.payments = db, payments
        self._org, self._merchants, self._mac = org, merchants, mac

    async def find(self, principal: Principal, ident: str) -> Payment:
        """A payment inside the key's scope. Raises `not_found`."""
        async with self.db.read() as conn:
            payment = await self.payments.get(conn, from_edge("pay", ident))
        self.check(principal, payment)
        return payment

    def check(self, principal: Principal, payment: Payment) -> None:
        """Raises `not_found` for a payment outside the scope."""
        store = self._org.store(payment.store)
        if (
            store is None
            or not principal.may_see_store(payment.store)
            or not principal.may_see_company(store.company)
        ):
            raise NOT_FOUND.error("There is no such payment.")

    async def place(self, payment: Payment, till: AtTill, ask: Ask) -> Place:
        """Where a later verb happens. Raises what `Merchants.till` raises, unless this
        was done before: then it is only answered again, whoever works there now.

        Without a till of its own it counts where the payment did, as long as
        that shift is still open.
        """
        if till.terminal is None and till.cashier is None:
            return self.place_of(payment)
        if await self.payments.was_done(ask):
            return Place(payment.store, channel=payment.channel)
        found = await self._merchants.find_till(
            payment.store,
            from_edge("ter", till.terminal, field="terminal") if till.terminal else None,
            from_edge("csh", till.cashier, field="cashier") if till.cashier else None,
        )
        return Place(
            payment.store,
            found.terminal.id if found.terminal else None,
            found.cashier.id if found.cashier else None,
            found.shift.id if found.shift else None,
            payment.channel,
        )

    async def allow(
        self,
        payment: Payment,
        wanted: tuple[OverrideVerb, int],
        override: str | None,
        place: Place,
        ask: Ask,
    ) -> Alone | None:
        """A cashier may need a supervisor for a verb and its amount in fen; a program
        that acts by itself has its key. The cashier is the one it is booked on,
        said or not. Returns what a cashier without one may give back.

        Raises `override_needed`, `override_not_valid`, `amount_exceeds_remaining`.
        """
        if place.cashier is None or await self.payments.was_done(ask):
            return None
        verb, amount_fen = wanted
        left_fen = payment.refundable_fen
        if verb is OverrideVerb.REFUND and amount_fen > left_fen > 0:
            # No supervisor is called for what cannot be.
            raise AMOUNT_EXCEEDS.error(f"{left_fen} fen are left to refund.")
        return await self._merchants.overrides.require(
            OverrideAsk(
                verb=verb,
                store=payment.store,
                cashier=place.cashier,
                subject=to_edge("pay", payment.id),
                amount_fen=amount_fen,
            ),
            from_edge("ovr", override, field="override") if override else None,
            key=f"{ask.company}/{ask.key}",
            made_us=payment.created_us,
            before_fen=payment.refunded_fen,
        )

    def place_of(self, payment: Payment) -> Place:
        """The till of a payment whose shift is still open; else the store alone."""
        shift = self._merchants.open_shift(payment.cashier) if payment.cashier else None
        if shift is None or shift.id != payment.shift:
            return Place(payment.store, channel=payment.channel)
        return Place(
            payment.store, payment.terminal, payment.cashier, payment.shift, payment.channel
        )

    def company(self, payment: Payment) -> str:
        """The company in whose store it was made."""
        store = self._org.store(payment.store)
        assert store is not None, "a payment without a store"
        return store.company

    def stores(self, principal: Principal) -> list[str] | None:
        """The stores a list may show; None: every one."""
        return self._org.stores_within(principal.companies, principal.stores)

    def ask(
        self, request: Request[Any, Any, Any], principal: Principal, verb: str, *body: object
    ) -> Ask:
        """The idempotency of a later verb: its key, and the MAC of what was said."""
        key = idempotency_key(request.headers.get(KEY_HEADER))
        return Ask(principal.company, f"{verb}/{key}", self._mac(canonical(body)))


@post(
    "/v1/payments/{payment:str}/capture",
    guards=[requires("payments:write")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def capture(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    data: CaptureBody,
    desk: Desk,
) -> PaymentView:
    """Take part or all of a hold."""
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "capture", found.id, data)
    place = await desk.place(found, data, ask)
    return payment_view(
        await desk.payments.capture(ask, found, data.amount, final=data.final, place=place)
    )


@post(
    "/v1/payments/{payment:str}/void",
    guards=[requires("payments:write")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def void(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    desk: Desk,
    merchants: Merchants,
    data: VoidBody = VoidBody(),  # noqa: B008 - a frozen value
) -> PaymentView:
    """Undo a payment or hold whole, the same day."""
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "void", found.id, data)
    shift = merchants.open_shift(found.cashier) if found.cashier else None
    place = await desk.place(found, data, ask)
    amount_fen = found.captured_fen + found.held_fen
    await desk.allow(found, (OverrideVerb.VOID, amount_fen), data.override, place, ask)
    return payment_view(await desk.payments.void(ask, found, shift.id if shift else None, place))


@post(
    "/v1/payments/{payment:str}/refunds",
    guards=[requires("payments:refund")],
    status_code=200,
    opt=KEYED,
    tags=["payments"],
)
async def refund(
    request: Request[Any, Any, Any],
    principal: Principal,
    payment: EdgeId,
    data: RefundBody,
    desk: Desk,
) -> RefundView:
    """Give back part or all of what was captured.

    A key that cannot pay is the back office: from a sum on that policy names it
    needs a second person (`/v1/payments/{payment}/refund-requests`).
    """
    found = await desk.find(principal, payment)
    ask = desk.ask(request, principal, "refund", found.id, data)
    place = await desk.place(found, data, ask)
    amount_fen = found.refundable_fen if data.amount is None else data.amount
    wanted = (OverrideVerb.REFUND, amount_fen)
    alone = await desk.allow(found, wanted, data.override, place, ask)
    by_hand = "payments:write" not in principal.verbs
    # The amount that was judged: what is left may be more by then.
    return refund_view(
        await desk.payments.refund(ask, found, amount_fen, place, by_hand=by_hand, alone=alone)
    )


def refund_view(done: Refunded) -> RefundView:
    """A refund for the outside."""
    return RefundView(
        to_edge("ref", done.refund.id),
        done.refund.amount_fen,
        done.payment.currency,
        done.refund.destination,
        done.refund.rule,
        rfc3339(done.refund.created_us),
        payment_view(done.payment),
    )


@post(
    "/v1/reversals",
    guards=[requires("reversals:write")],
    status_code=201,
    opt=KEYED,
    tags=["payments"],
)
async def reverse(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: ReversalBody,
    desk: Desk,
    order_keys: AllSales,
) -> ReversalView:
    """Undo a payment whose outcome is not known, also before it has come.

    By the key of a payment order the order is undone whole. A payment of the
    same key goes before it.
    """
    original = data.original
    if (original.payment is None) == (original.idempotency_key is None):
        raise INVALID.error("Name the original by its key or by its id.", field="original")
    ask = desk.ask(request, principal, "reverse", data)
    if original.payment is not None:
        found = await desk.find(principal, original.payment)
        return reversal_view(await desk.payments.reverse(ask, found, desk.place_of(found)))
    assert original.idempotency_key is not None
    reversed_ = await desk.payments.reverse_key(
        ask,
        original.idempotency_key,
        lambda found: desk.check(principal, found),
        desk.place_of,
        order_keys.seen_by(principal),
    )
    return reversal_view(reversed_)


def reversal_view(done: Reversed) -> ReversalView:
    """A reversal for the outside."""
    return ReversalView(
        to_edge("rev", done.reversal.id),
        "reversed" if done.payment or done.payment_order else "barred",
        done.reversal.amount_fen,
        rfc3339(done.reversal.created_us),
        payment_view(done.payment) if done.payment is not None else None,
        to_edge("pmo", done.payment_order) if done.payment_order else None,
    )


@get("/v1/payments/{payment:str}", guards=[requires("payments:read")], tags=["payments"])
async def show(principal: Principal, payment: EdgeId, desk: Desk) -> PaymentView:
    """A payment as it is now."""
    return payment_view(await desk.find(principal, payment))


@get("/v1/payments/{payment:str}/refunds", guards=[requires("payments:read")], tags=["payments"])
async def list_refunds(
    principal: Principal,
    payment: EdgeId,
    desk: Desk,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[RefundLine]:
    """The refunds of a payment, oldest first."""
    found, after = await desk.find(principal, payment), position(cursor, tuple[IdPosition])
    async with desk.db.read() as conn:
        refunds = await desk.payments.refunds(
            conn, found.id, after=after[0] if after else None, limit=limit + 1
        )
    return page(refunds, limit, _line, lambda refund: (refund.id,))


def _line(r: Refund) -> RefundLine:
    return RefundLine(
        to_edge("ref", r.id),
        to_edge("pay", r.payment),
        r.amount_fen,
        r.destination,
        r.rule,
        rfc3339(r.created_us),
    )


@get("/v1/payments", guards=[requires("payments:read")], tags=["payments"])
async def search(
    principal: Principal,
    desk: Desk,
    reference: ShortText | None = None,
    terminal: EdgeId | None = None,
    day: date | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[PaymentView]:
    """Payments by the caller's reference or by terminal, newest first.

    Without a reference, those of one business day: `day`, or today.
    """
    before = position(cursor, tuple[IdPosition])
    async with desk.db.read() as conn:
        found = await desk.payments.search(
            conn,
            stores=desk.stores(principal),
            reference=reference,
            terminal=from_edge("ter", terminal, field="terminal") if terminal else None,
            day=day,
            before=before[0] if before else None,
            limit=limit + 1,
        )
    return page(found, limit, payment_view, lambda p: (p.id,))


ROUTES = [capture, void, refund, reverse, show, list_refunds, search]
