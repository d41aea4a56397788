"""What follows a payment."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from kabao.base.db import Conn
from kabao.ledger.model import Command
from kabao.merchants.model import Alone
from kabao.payments import sql
from kabao.payments.after import Capture, Expire, GiveBack, Refunded, Void
from kabao.payments.model import Ask, Payment, Place
from kabao.payments.ops.paying import Paying
from kabao.payments.rules import dimensions

EXPIRE_BATCH = 500
"""How many holds one run of the job releases."""

R = TypeVar("R")


class Following(Paying):
    """Capture, void, refund; and holds whose time is over."""

    async def capture(
        self,
        ask: Ask,
        payment: Payment,
        amount_fen: int | None,
        *,
        final: bool,
        place: Place | None = None,
    ) -> Payment:
        """Take part or all of a hold. Raises `amount_exceeds_remaining`, `hold_expired`.

        `place` is the till that asks, here and in the verbs below: its shift counts it.
        """
        return await self._later(
            Capture(**self._about(ask, payment, place), amount_fen=amount_fen, final=final)
        )

    async def void(
        self,
        ask: Ask,
        payment: Payment,
        shift: str | None,
        place: Place | None = None,
        *,
        held_only: bool = False,
    ) -> Payment:
        """Undo a payment whole, within policy's window; `shift` is the one under way
        at its till; `held_only`: only a hold of which nothing was taken.
        Raises `void_window_over`, `payment_state_forbids`.
        """
        return await self._later(
            Void(
                **self._about(ask, payment, place),
                limits=await self._limits_of(payment),
                shift=shift,
                held_only=held_only,
            )
        )

    async def refund(
        self,
        ask: Ask,
        payment: Payment,
        amount_fen: int | None,
        place: Place | None = None,
        *,
        by_hand: bool = False,
        alone: Alone | None = None,
    ) -> Refunded:
        """Give back part or all; `by_hand`: entered in the back office, not at a till;
        `alone`: by a cashier whom no supervisor has allowed it.

        Raises `amount_exceeds_remaining`, `refund_window_over`, `approval_needed`,
        `override_needed`.
        """
        limits = await self._limits_of(payment)
        about = self._about(ask, payment, place)
        return await self._later(
            GiveBack(**about, amount_fen=amount_fen, limits=limits, by_hand=by_hand, alone=alone)
        )

    async def refund_in(self, conn: Conn, ask: Ask, payment: Payment, amount_fen: int) -> Refunded:
        """As `refund`, once two persons agree, in their transaction."""
        # On their connection: a second one, taken by many at once, starves the pool.
        limits = await self._limits_in(conn, payment)
        command = GiveBack(**self._about(ask, payment), amount_fen=amount_fen, limits=limits)
        done: Refunded = (await self._ledger.post_in(conn, [command]))[0]
        return done

    async def expire_holds(self) -> int:
        """Release holds whose time is over. Returns how many; the job repeats it."""
        async with self._db.read() as conn:
            due = await self._ledger.expired_holds(conn, EXPIRE_BATCH)
            payments = await sql.load(conn, [hold.id for hold in due])
        commands = [
            Expire(
                company=payment.company,
                operation=self._ids.new(),
                key=f"expire/{payment.id}",
                root=payment.root,
                loader=sql.load,
                wanted=payment.id,
            )
            for payment in payments.values()
        ]
        await asyncio.gather(*(self._ledger.post(c) for c in commands))
        return len(commands)

    def _about(self, ask: Ask, payment: Payment, place: Place | None = None) -> dict[str, Any]:
        """The fields of every command on an existing payment."""
        # Not the original's till and shift: those may be closed and counted by now.
        place = place or Place(payment.store, channel=payment.channel)
        return {
            "company": ask.company,
            "operation": self._ids.new(),
            "key": ask.key,
            "mac": ask.mac,
            "root": payment.root,
            "dims": dimensions(place),
            "loader": sql.load,
            "wanted": payment.id,
        }

    async def _later(self, command: Command[R]) -> R:
        # Shielded: a caller that goes away must not cancel what others may share.
        return await asyncio.shield(self._ledger.post(command))
