"""The counter that takes goods back: who may, and on what slip."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import Amount, EdgeId, RequestBody
from kabao.evidence.derive import Dealt
from kabao.evidence.http import Desk
from kabao.evidence.model import CODE_WRONG, RETURNABLE, RETURNS_STOPPED, TOO_MANY_TRIES
from kabao.merchants.model import OVERRIDE_NEEDED, OverrideAsk, OverrideVerb, Till
from kabao.merchants.ops import Merchants
from kabao.payments.model import Payment
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
        assert dealt.subject.store is not None, "only what was paid in a store is brought back"
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
