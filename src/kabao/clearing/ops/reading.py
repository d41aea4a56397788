"""What clearing tells: settlements, windows, runs, days. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from kabao.base.db import Conn
from kabao.clearing.model.days import Day, Part, Window
from kabao.clearing.model.runs import Carry, Run
from kabao.clearing.model.settlement import Instruction, Settlement
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.sql import days as days_sql
from kabao.clearing.sql import runs as runs_sql
from kabao.clearing.sql import windows as windows_sql
from kabao.clearing.sql.windows import Wanted
from kabao.ledger.model import Account, FlowFilter, Transfer
from kabao.ledger.ops import Ledger
from kabao.policy.choices import SettledCash

__all__ = ["Reading", "Wanted"]


class Reading:
    """The reading half of clearing."""

    def __init__(self, ledger: Ledger, terms: TermsBook) -> None:
        self._ledger, self._terms = ledger, terms

    async def settlements(self, conn: Conn, wanted: Wanted) -> list[Settlement]:
        """Settlements in the order of their ids."""
        return await windows_sql.settlements(conn, wanted)

    async def settlement(self, conn: Conn, ident: str) -> Settlement | None:
        """A settlement."""
        return await windows_sql.settlement(conn, ident)

    async def paid_by(self, conn: Conn, settlement: Settlement) -> list[Instruction]:
        """The instructions that pay a settlement, among others."""
        if settlement.run is None:
            return []
        return await runs_sql.about(conn, settlement.run, settlement.id)

    async def visible(
        self,
        conn: Conn,
        settlements: Collection[str],
        stores: Collection[str] | None,
        companies: Collection[str] | None,
    ) -> set[str]:
        """Which of these settlements are inside a scope, as in a principal."""
        return await windows_sql.visible(conn, settlements, stores, companies)

    async def transfers(
        self,
        conn: Conn,
        settlement: Settlement,
        account: Account,
        start: tuple[int, str, int] | None,
        limit: int,
    ) -> list[Transfer]:
        """The transfers behind a settlement: on REDEEMED, or on CASH where the store keeps it."""
        if account is Account.CASH and not await self._keeps_cash(conn, settlement):
            return []
        window = await windows_sql.window(conn, settlement.window)
        assert window is not None, "a settlement is of a window"
        wanted = FlowFilter(
            account=account,
            owner=settlement.store,
            issuer=settlement.issuer,
            currency=settlement.currency,
        )
        return await self._ledger.flow_page(
            conn, window.from_cut, window.to_cut, wanted, start=start, limit=limit
        )

    async def _keeps_cash(self, conn: Conn, settlement: Settlement) -> bool:
        terms = await self._terms.on(conn, [settlement.issuer], settlement.day)
        return terms[settlement.issuer].cash is SettledCash.NETTED

    async def windows(self, conn: Conn, before: int | None, limit: int) -> list[Window]:
        """Windows, newest first."""
        return await windows_sql.windows(conn, before, limit)

    async def window(self, conn: Conn, ident: str) -> Window | None:
        """A window."""
        return await windows_sql.window(conn, ident)

    async def runs(self, conn: Conn, window: str) -> list[Run]:
        """The runs of a window, the provisional one first."""
        return await runs_sql.runs(conn, window)

    async def instructions(self, conn: Conn, run: str) -> list[Instruction]:
        """What a run asked to be paid."""
        return await runs_sql.instructions(conn, run)

    async def days(self, conn: Conn, before: date | None, limit: int) -> list[Day]:
        """Closed days, newest first."""
        return await days_sql.days(conn, before, limit)

    async def day(self, conn: Conn, day: date) -> Day | None:
        """A day, if it is closed."""
        return await days_sql.day(conn, day)

    async def parts(self, conn: Conn, day: date) -> list[Part]:
        """What was kept out of a day, and came in since."""
        return await days_sql.parts(conn, day)

    async def adjustments(self, conn: Conn, day: date) -> list[Carry]:
        """What was corrected of a closed day."""
        return await runs_sql.adjustments(conn, day)
