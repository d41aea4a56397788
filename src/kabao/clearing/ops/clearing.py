"""The verbs of clearing: days, windows, netting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import Ids
from kabao.cases.ops import Cases
from kabao.clearing.model.runs import Carry, CarryReason
from kabao.clearing.model.settlement import Instruction
from kabao.clearing.ops.accounts import Accounts
from kabao.clearing.ops.checking import Checked, Checking
from kabao.clearing.ops.closing import Closing
from kabao.clearing.ops.netting import Netting
from kabao.clearing.ops.reading import Reading
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.ops.windows import Windows
from kabao.clearing.ports.closing import Gate
from kabao.clearing.sql import days as days_sql
from kabao.clearing.sql import runs as runs_sql
from kabao.clearing.sql import windows as windows_sql
from kabao.ledger.model import Account, HouseMove, Purpose
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy.ops import Policy

log = logs.get("clearing")


class Clearing:
    """The night: windows are cut and netted, days are closed, what is owed falls due."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        merchants: Merchants,
        org: Org,
        cases: Cases,
        policy: Policy,
        gate: Gate,
        accounts: Accounts,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        """Bind the collaborators.

        Args:
            gate: who knows whether the sources of a day agree (T-21).
            accounts: where stores and companies are paid.
        """
        self._db, self._ledger, self._org, self._ids = db, ledger, org, ids
        self._clock, self._days = clock, days
        self.terms = TermsBook(policy, cases, ids, clock, days)
        netting = Netting(ledger, self.terms, accounts, clock)
        self.windows = Windows(db, ledger, merchants, org, self.terms, netting, clock, days)
        self.closing = Closing(db, ledger, gate, self.terms, netting, clock, days)
        self.checking = Checking(ledger, self.windows)
        self.reading = Reading(ledger, self.terms)

    async def tick(self) -> None:
        """Whatever the hour asks for: cut, compute, close. Safe to repeat.

        A day that cannot be closed now stops no other; it is tried again with the next tick.
        """
        await self.windows.soft_close()
        try:
            await self._close_what_is_over()
        except KabaoError as refused:
            log.error("clearing.books_not_closed", code=refused.code.name)
        await self.closing.note_closed()
        await self._hard_close(await self._waiting())

    async def _waiting(self) -> list[date]:
        """Days that wait for their hard close, oldest first."""
        async with self._db.read() as conn:
            return [day.business_date for day in await days_sql.soft_closed(conn)]

    async def _hard_close(self, days: Sequence[date]) -> KabaoError | None:
        """Try each of these days; what the last one was refused for."""
        failed: KabaoError | None = None
        for day in days:
            failed = None
            try:
                await self.closing.hard_close(day)
            except KabaoError as refused:
                log.error("clearing.day_not_closed", day=day.isoformat(), code=refused.code.name)
                failed = refused
        return failed

    async def _close_what_is_over(self) -> None:
        """The books of yesterday, some hours into today; nothing before they have begun."""
        over = self.closing.is_over()
        async with self._db.read() as conn:
            begun = await self._ledger.begun_on(conn)
        if begun is not None and begun <= over:
            await self.closing.close_ledger(over)

    async def close(self, day: date) -> None:
        """As far as it goes: the books of a day and all before it, its window, its hard close.

        Raises `day_not_over`, `unavailable`, `calendar_unknown`.
        """
        await self.closing.close_ledger(day)
        await self.windows.soft_close()
        await self.closing.note_closed()
        waiting = [each for each in await self._waiting() if each <= day]
        failed = await self._hard_close(waiting)
        if failed is not None and waiting[-1] == day:
            raise failed

    async def check(self, day: date) -> Checked:
        """Compute a closed day again from the books."""
        async with self._db.read() as conn:
            return await self.checking.check(conn, day)

    async def due(self, conn: Conn, day: date) -> list[Instruction]:
        """What is to be paid by a day, and is not on its way."""
        return await runs_sql.due(conn, day)

    async def alarm(self) -> None:
        """A case from November on, while next year's workdays are not known."""
        async with self._db.transaction() as conn:
            issuers = await windows_sql.issuers(conn)
            await self.terms.alarm(conn, {self._org.group(each) or each for each in issuers})

    async def adjust(
        self, conn: Conn, day: date, issuer: str, store: str, currency: str, amount_fen: int
    ) -> Carry:
        """Correct a closed day for a store, as two persons agreed: it is paid, or taken off,
        with the next run. Below zero: the store owes.

        Raises `day_still_open`, `not_found` and `invalid`.
        """
        await windows_sql.lock(conn)
        await self.closing.check_adjustment(conn, day, amount_fen)
        place = await self._org.get_store(conn, store)
        carry = Carry(
            id=self._ids.new(),
            debtor=issuer,
            owner=store,
            company=place.company,
            currency=currency,
            amount_fen=amount_fen,
            reason=CarryReason.ADJUSTMENT,
            for_date=day,
            from_run=None,
            noted_at=now(self._clock),
        )
        await runs_sql.insert_carries(conn, [carry])
        sides = [(Account.ADJUSTMENT, issuer), (Account.PAYABLE, store)]
        (debit, credit) = sides if amount_fen > 0 else reversed(sides)
        move = HouseMove(
            debit=debit[0],
            debit_owner=debit[1],
            credit=credit[0],
            credit_owner=credit[1],
            amount_fen=abs(amount_fen),
            purpose=Purpose.CORRECTION,
            issuer=issuer,
            currency=currency,
            related=carry.id,
            for_date=day,
        )
        await self._ledger.move_in(conn, [move], company=issuer, key=f"adjustment/{carry.id}")
        return carry
