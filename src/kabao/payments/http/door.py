"""Paying and inquiring: the hot routes."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from kabao.base.errors import NOT_FOUND, UNAVAILABLE, KabaoError
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.base.web.answers import Answer, answer
from kabao.base.web.hot import HotCall, HotRoute
from kabao.base.web.principal import Principal
from kabao.base.web.timely import timely
from kabao.cards.claims import unsecret
from kabao.cards.model import CardRef
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.paycodes.model import Payable, PayCode
from kabao.payments import pay
from kabao.payments.http.bodies import InquiryBody, PayBody, canonical
from kabao.payments.http.desk import Mac
from kabao.payments.http.views import InquiryView, PaymentView, payment_view
from kabao.payments.model import CARD_NOT_ACCEPTED, UNKNOWN_STORE, Inquiry, Payment, Place
from kabao.payments.ops import Payments

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
