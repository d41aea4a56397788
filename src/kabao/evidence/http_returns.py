"""`/v1/receipts/{receipt}/returns`: goods come back, the slip is there, the card is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from kabao.base.clock import BusinessDays, Clock, rfc3339
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import Amount, EdgeId, RequestBody
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
from kabao.merchants.model import CashierRole, Till
from kabao.merchants.ops import Merchants
from kabao.payments.model import Returned
from kabao.payments.ops import Payments
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs
from kabao.topups.model import NEEDS_SUPERVISOR

TRIES = "receipt.code"


class ReturnBody(RequestBody, frozen=True):
    """What the slip says, and who takes the goods back. No amount: all that is left."""

    code: Annotated[str, Meta(pattern="^[0-9]{8}$", description="The slip's 验证码.")]
    amount: Amount | None = None
    terminal: EdgeId | None = None
    cashier: EdgeId | None = None
    supervisor: EdgeId | None = None


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
        policy: Policy,
        proofs: Proofs,
        merchants: Merchants,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._policy, self._proofs, self._merchants = policy, proofs, merchants
        self._clock, self._days = clock, days

    def till(self, dealt: Dealt, body: ReturnBody) -> Till:
        """The till of the store that sold, with a supervisor where policy wants one.

        Raises `supervisor_needed`, `returns_not_allowed`, and as `Merchants.till`.
        """
        rules, store = self._rules(), dealt.subject.store
        allowed = names.RECEIPT_RETURN_ALLOWED
        if not rules.flag(allowed):
            raise RETURNS_STOPPED.error(rule=rules.row(allowed))
        needs = names.RECEIPT_RETURN_NEEDS_SUPERVISOR
        if rules.flag(needs) and not self._is_supervisor(store, body):
            raise NEEDS_SUPERVISOR.error(rule=rules.row(needs), field="supervisor")
        return self._merchants.till(
            store,
            from_edge("ter", body.terminal, field="terminal") if body.terminal else None,
            from_edge("csh", body.cashier, field="cashier") if body.cashier else None,
        )

    def _is_supervisor(self, store: str, body: ReturnBody) -> bool:
        """Somebody else than the cashier, with that role in this store."""
        if body.supervisor is None or body.supervisor == body.cashier:
            return False
        ident = from_edge("csh", body.supervisor, field="supervisor")
        person = self._merchants.till(store, None, ident).cashier
        return person is not None and person.role is CashierRole.SUPERVISOR

    async def judge(self, receipts: Desk, dealt: Dealt, said: str) -> None:
        """Count the try, then judge the code: whoever guesses is stopped (P-12).

        Raises `verification_tried_too_often`, `verification_code_wrong`.
        """
        rules, limit = self._rules(), names.RECEIPT_CODE_TRIES_COUNT
        window = timedelta(minutes=rules.int(names.RECEIPT_CODE_WINDOW_MINUTES))
        hit = await self._proofs.counters.hit_now(TRIES, dealt.op, window, rules.int(limit))
        if not hit.allowed:
            raise TOO_MANY_TRIES.error(rule=rules.row(limit), field="code")
        if not receipts.evidence.is_code(dealt.receipt, said):
            raise CODE_WRONG.error(rule="P-12", field="code")

    async def forgive(self, conn: Conn, dealt: Dealt) -> None:
        """After the right code the count begins anew."""
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

    Never to cash; bonus goes back to bonus. The new card's number and PIN are
    in this answer, which can be had again with the same key for 24 hours.
    """
    dealt = await receipts.find(principal, receipt)
    if dealt.receipt.kind not in RETURNABLE:
        raise NOT_RETURNABLE.error(f"This is the receipt of a {dealt.receipt.kind}.")
    till = return_counter.till(dealt, data)
    await return_counter.judge(receipts, dealt, data.code)

    async def work(conn: Conn) -> ReturnView:
        await return_counter.forgive(conn, dealt)
        payment = await payments.get(conn, dealt.subject.id)
        by = By(
            actor=principal.id,
            company=principal.company,
            store=payment.store,
            terminal=till.terminal.id if till.terminal else None,
            cashier=till.cashier.id if till.cashier else None,
            shift=till.shift.id if till.shift else None,
        )
        done = await returns.give_back(conn, payment, data.amount, by)
        confirmed = f"confirmed by {data.supervisor}" if data.supervisor else ""
        await diary.note(
            conn, principal, "receipts:return", to_edge("ref", done.refund.id), confirmed
        )
        return _view(done)

    return await once(request, principal, data, work, secret=True)


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
