"""Payouts: what is due, released by two persons, as files for the payers' banks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.clearing.model.accounts import SettlementAccount
from kabao.clearing.model.payouts import (
    NOTHING_TO_PAY,
    PARTS_MAX,
    RELEASE_CHANGED,
    RULE,
    BatchState,
    Payable,
    Payout,
    PayoutBatch,
    PayoutState,
    ordered,
)
from kabao.clearing.model.settlement import Instruction, InstructionState
from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.sql import payouts as sql
from kabao.ledger.ops import Ledger


class Payouts:
    """What companies pay their stores and each other."""

    def __init__(
        self, ledger: Ledger, accounts: Accounts, ids: Ids, clock: Clock, days: BusinessDays
    ) -> None:
        self._ledger, self._accounts = ledger, accounts
        self._ids, self._clock, self._days = ids, clock, days

    async def payable(
        self, conn: Conn, company: str, currency: str, until: date, *, lock: bool = False
    ) -> Payable:
        """What is due by a day: what could be paid, and what has no account to go to.

        Raises `nothing_to_pay`.
        """
        found = await sql.due(conn, company, currency, until, lock=lock, limit=PARTS_MAX)
        accounts = await self._accounts.payable(conn, [one.payee for one in found], currency)
        ready = tuple(one for one in found if one.payee in accounts)
        if not ready:
            raise NOTHING_TO_PAY.error(rule=RULE)
        blocked = tuple(one for one in found if one.payee not in accounts)
        return Payable(ready, blocked, accounts)

    async def release(
        self, conn: Conn, company: str, currency: str, until: date, *, digest: str, approval: str
    ) -> PayoutBatch:
        """Make the file that two persons agreed to. It is sent by a tick.

        Raises `nothing_to_pay`, and `release_changed` where other sums would be paid now, or
        elsewhere.
        """
        due = await self.payable(conn, company, currency, until, lock=True)
        if due.digest != digest:
            raise RELEASE_CHANGED.error(rule="ATK-11")
        tried = await sql.attempts(conn, [one.id for one in due.ready])
        batch = self._batch(company, currency, due, approval)
        made = [
            self._payout(batch, one, due.accounts[one.payee], tried.get(one.id, 0) + 1)
            for one in due.ready
        ]
        await sql.insert_batch(conn, batch, made)
        idents = [one.id for one in due.ready]
        await sql.set_instructions(conn, idents, InstructionState.RELEASED)
        moves = [ordered(payout) for payout in made]
        await self._ledger.move_in(conn, moves, company=company, key=f"payouts/{batch.id}")
        return batch

    def _batch(self, company: str, currency: str, due: Payable, approval: str) -> PayoutBatch:
        at = now(self._clock)
        return PayoutBatch(
            id=self._ids.new(),
            company=company,
            day=self._days.of(self._clock.now_us()),
            currency=currency,
            payouts=len(due.ready),
            amount_fen=due.amount_fen,
            state=BatchState.MADE,
            channel=None,
            digest=None,
            asked=0,
            ask_at=at,
            approval=approval,
            created_at=at,
            sent_at=None,
        )

    def _payout(
        self, batch: PayoutBatch, one: Instruction, account: SettlementAccount, attempt: int
    ) -> Payout:
        return Payout(
            id=self._ids.new(),
            instruction=one.id,
            attempt=attempt,
            batch=batch.id,
            payer=batch.company,
            payee_company=one.payee_company,
            payee_store=one.payee_store,
            account=account.id,
            currency=one.currency,
            amount_fen=one.amount_fen,
            state=PayoutState.ORDERED,
            reason=None,
            created_at=batch.created_at,
            paid_at=None,
            ended_at=None,
        )

    async def get(self, conn: Conn, ident: str) -> Payout:
        """A payout. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such payout.")
        return found

    async def batch(self, conn: Conn, ident: str) -> PayoutBatch:
        """A file. Raises `not_found`."""
        found = await sql.batch(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such file of payouts.")
        return found

    async def search(
        self,
        conn: Conn,
        companies: Sequence[str] | None,
        stores: Sequence[str] | None,
        *,
        batch: str | None = None,
        state: PayoutState | None = None,
        after: str | None = None,
        limit: int,
    ) -> list[Payout]:
        """Payouts that these companies pay or get, or these stores get; newest first."""
        return await sql.search(
            conn, companies, stores, batch=batch, state=state, after=after, limit=limit
        )

    async def batches(
        self, conn: Conn, companies: Sequence[str] | None, *, after: str | None, limit: int
    ) -> list[PayoutBatch]:
        """Files, newest first."""
        return await sql.batches(conn, companies, after, limit)
