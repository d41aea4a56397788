"""Reversals: undoing what a till never heard of, also before it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from kabao.base.db import Conn
from kabao.base.errors import UNAVAILABLE
from kabao.ledger.model import CommandBase, Decision, OperationState
from kabao.payments import sql
from kabao.payments.after import Reverse
from kabao.payments.model import NOT_A_PAYMENT, Ask, Payment, Place, Reversal, Reversed
from kabao.payments.ops.following import Following
from kabao.payments.ops.paying import STALE_TRIES
from kabao.payments.ports import Sales


class Payments(Following):
    """Pay, hold, capture, void, refund, reverse, inquire."""

    async def reverse(self, ask: Ask, payment: Payment, place: Place | None = None) -> Reversed:
        """Undo a payment whose outcome the till does not know."""
        limits = await self._limits_of(payment)
        return await self._later(Reverse(**self._about(ask, payment, place), limits=limits))

    async def reverse_key(
        self,
        ask: Ask,
        original: str,
        check: Callable[[Payment], None],
        place_of: Callable[[Payment], Place | None] = lambda _: None,
        sales: Sales | None = None,
    ) -> Reversed:
        """Undo by the original's Idempotency-Key, also before it has come (F-7).

        Either the original is in the books and is undone, or its key is barred
        in the same moment; the unique key decides which, whatever the timing.
        `check` raises for a payment outside the caller's scope; `place_of` tells
        the till whose shift counts it. `sales` are made of payments, and undone
        and barred in the same way where the key is theirs.
        """
        for _ in range(STALE_TRIES):
            async with self._db.read() as conn:
                known = await self._ledger.operation(conn, ask.company, f"pay/{original}")
            if known is not None and known.state == OperationState.ANSWERED:
                async with self._db.read() as conn:
                    payment = await self.get(conn, known.id)
                check(payment)
                return await self.reverse(ask, payment, place_of(payment))
            async with self._db.read() as conn:
                for verb in ("capture", "refund", "void", "topup", "topup-void"):
                    if await self._ledger.operation(conn, ask.company, f"{verb}/{original}"):
                        raise NOT_A_PAYMENT.error(rule="P-19")
            try:
                if sales is not None and (done := await sales.reverse(ask, original)) is not None:
                    return done
                return await self._bar(ask, original, sales, barred=known is not None)
            except (psycopg.errors.UniqueViolation, _CameMeanwhileError):
                continue  # the original, or this very reversal, came meanwhile
        raise UNAVAILABLE.error()

    async def _bar(self, ask: Ask, original: str, sales: Sales | None, *, barred: bool) -> Reversed:
        async with self._db.transaction() as conn:
            outcome, first = await self._answer_reversal(conn, ask, 0, None)
            if first and not barred:
                await self._ledger.bar(
                    conn, ask.company, f"pay/{original}", self._ids.new(), "null"
                )
            if first and sales and not await sales.bar(conn, ask.company, original):
                raise _CameMeanwhileError
        return outcome

    async def reversed_in(
        self, conn: Conn, ask: Ask, payment_order: str, amount_fen: int
    ) -> Reversed:
        """The answer to the reversal of a sale that was undone in this transaction; the
        first one again if its key has one.
        """
        return (await self._answer_reversal(conn, ask, amount_fen, payment_order))[0]

    async def _answer_reversal(
        self, conn: Conn, ask: Ask, amount_fen: int, payment_order: str | None
    ) -> tuple[Reversed, bool]:
        """Keep the answer to a reversal that undoes no payment itself; whether it is the first."""
        ident = self._ids.new()
        reversal = Reversal(ident, None, amount_fen, self._clock.now_us())
        command = _Answer(
            company=ask.company,
            operation=ident,
            key=ask.key,
            mac=ask.mac,
            answer=Reversed(reversal, None, payment_order),
        )
        outcome: Reversed = (await self._ledger.post_in(conn, [command]))[0]
        return outcome, outcome.reversal.id == ident


class _CameMeanwhileError(Exception):
    """A sale was made under the key that was to be barred."""


class _Answer(CommandBase, frozen=True, kw_only=True):
    """The reversal of what is no payment, or has not come: only the answer is kept."""

    answer: Reversed

    def decide(self, root: Any, moment: Any, loaded: Any) -> Decision:
        """Nothing moves."""
        del root, moment, loaded
        # What a sale's reversal moved stands in the rows of its payments.
        row = msgspec.structs.replace(self.answer.reversal, amount_fen=0)
        return Decision(result=self.answer, rows=((sql.insert_reversals, row),))

    def recall(self, result: bytes) -> Reversed:
        """The first answer again."""
        return msgspec.json.decode(result, type=Reversed)
