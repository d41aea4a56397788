"""`/v1/receipts/{receipt}/returns`: goods come back, the slip is there, the card is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from kabao.base.clock import BusinessDays, Clock, rfc3339
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import KEY_HEADER, Amount, EdgeId, RequestBody, idempotency_key
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.cards.claims import By
from kabao.evidence.derive import Dealt
from kabao.evidence.http import Desk, ReceiptId
from kabao.evidence.model import (
    CODE_WRONG,
    NOT_RETURNABLE,
    RETURNABLE,
    RETURNS_STOPPED,
    TOO_MANY_TRIES,
)
from kabao.evidence.ports import Diary, Returning
from kabao.merchants.model import NO_TILL, OVERRIDE_NEEDED, OverrideAsk, OverrideVerb, Till
from kabao.merchants.ops import Merchants
from kabao.payments.model import AMOUNT_EXCEEDS, OF_AN_ORDER, Payment, Returned
from kabao.payments.ops import Payments
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs

TRIES = "receipt.code"
NEEDS_SUPERVISOR = names.RECEIPT_RETURN_NEEDS_SUPERVISOR


class ReturnBody(RequestBody, frozen=True):
    """What the slip says, who takes the goods back, and the override by which a supervisor
    allows it. No amount: all that is left.
    """

    code: Annotated[str, Meta(pattern="^[0-9]{8}$", description="The slip's 验证码.")]
    amount: Amount | None = None
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    override: EdgeId | None = None


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


class Counter:
    """Who may take goods back, on what slip."""

    def __init__(
        self,
        db: Database,
        policy: Policy,
        proofs: Proofs,
        merchants: Merchants,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._policy, self._proofs, self._merchants = db, policy, proofs, merchants
        self._clock, self._days = clock, days

    def takes_back(self, dealt: Dealt) -> bool:
        """Whether the slip may promise a return."""
        allowed = self._rules().flag(names.RECEIPT_RETURN_ALLOWED)
        return allowed and dealt.receipt.kind in RETURNABLE and not dealt.subject.of_order

    def till(self, dealt: Dealt, body: ReturnBody) -> Till:
        """The till of the store that sold. Nobody guesses codes without an override in hand.

        Raises `returns_not_allowed`, `override_needed`, and as `Merchants.till`.
        """
        rules, allowed = self._rules(), names.RECEIPT_RETURN_ALLOWED
        if not rules.flag(allowed):
            raise RETURNS_STOPPED.error(rule=rules.row(allowed))
        if rules.flag(NEEDS_SUPERVISOR):
            for field, said in (("cashier", body.cashier), ("override", body.override)):
                if said is None:
                    raise OVERRIDE_NEEDED.error(rule=rules.row(NEEDS_SUPERVISOR), field=field)
        return self._merchants.till(
            dealt.subject.store,
            from_edge("ter", body.terminal, field="terminal") if body.terminal else None,
            from_edge("csh", body.cashier, field="cashier") if body.cashier else None,
        )

    async def allowed(
        self, payment: Payment, amount_fen: int, till: Till, override: str | None, key: str
    ) -> str | None:
        """The supervisor who allows the return, by an override that is used up here for
        the request of `key`; None where policy wants nobody.

        Raises `override_needed`, `override_not_valid`.
        """
        rules = self._rules()
        if not rules.flag(NEEDS_SUPERVISOR):
            return None
        assert till.cashier is not None, "`till` has asked for one"
        return await self._merchants.overrides.use(
            OverrideAsk(
                verb=OverrideVerb.RETURN,
                store=payment.store,
                cashier=till.cashier.id,
                subject=to_edge("pay", payment.id),
                amount_fen=amount_fen,
            ),
            from_edge("ovr", override, field="override") if override else None,
            key=key,
            row=rules.row(NEEDS_SUPERVISOR),
        )

    async def judge(self, receipts: Desk, dealt: Dealt, said: str) -> None:
        """Count the try, then judge the code: whoever guesses is stopped (P-12). After the
        right one the count begins anew. Takes connections: never call it inside a transaction.

        Raises `verification_tried_too_often`, `verification_code_wrong`.
        """
        rules, limit = self._rules(), names.RECEIPT_CODE_TRIES_COUNT
        window = timedelta(minutes=rules.int(names.RECEIPT_CODE_WINDOW_MINUTES))
        hit = await self._proofs.counters.hit_now(TRIES, dealt.op, window, rules.int(limit))
        if not hit.allowed:
            raise TOO_MANY_TRIES.error(rule=rules.row(limit), field="code")
        if not receipts.evidence.is_code(dealt.receipt, said):
            raise CODE_WRONG.error(rule="P-12", field="code")
        async with self._db.transaction() as conn:
            await self._proofs.counters.clear(conn, TRIES, dealt.op)

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)


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
