"""Windows: cut on time, and made into provisional settlements."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import msgspec

from kabao.base.clock import BusinessDays, Clock, now, to_us
from kabao.base.db import Conn, Database
from kabao.clearing.model.canonical import canonical, derived_id, digest
from kabao.clearing.model.days import Window, WindowState, ends_at, last_ended
from kabao.clearing.model.figures import Agreed, Figures, Flow, Inputs, PlanOn, Result, settle
from kabao.clearing.model.settlement import Settlement, SettlementState
from kabao.clearing.ops.netting import Netting
from kabao.clearing.ops.terms import TermsBook
from kabao.clearing.sql import windows as sql
from kabao.ledger.model import Account, Purpose
from kabao.ledger.model import Flow as LedgerFlow
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.policy import names

OWN = frozenset({Purpose.SETTLE, Purpose.FEE})
"""What settlement itself moves on what stores are owed: no flow of theirs."""

CATCH_UP = 31
"""How many windows one turn cuts at most, after a long silence."""


class Windows:
    """Cuts the books at the hour of netting, and computes what each issuer owes each store."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        merchants: Merchants,
        org: Org,
        terms: TermsBook,
        netting: Netting,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._merchants, self._org = db, ledger, merchants, org
        self._terms, self._netting, self._clock, self._days = terms, netting, clock, days

    async def soft_close(self) -> None:
        """Cut what has ended and make its figures. Safe to repeat, and to be killed anywhere:
        each window is cut in one transaction and computed in another.
        """
        for _ in range(CATCH_UP):
            async with self._db.transaction() as conn:
                await sql.lock(conn)
                if not await self._cut_next(conn):
                    break
        async with self._db.read() as conn:
            waiting = await sql.unfigured(conn)
        for window in waiting:
            async with self._db.transaction() as conn:
                await sql.lock(conn)
                await self._figure(conn, window.id)

    async def _cut_next(self, conn: Conn) -> bool:
        """Cut the next window, if it has ended. The first holds all that was before it."""
        at = now(self._clock)
        last = await sql.last_window(conn)
        clock_time = self._terms.rules(self._days.of(to_us(at))).text(names.CLEARING_NETTING_AT)
        ended = last_ended(at, clock_time, self._days)
        day = ended if last is None else last.day + timedelta(days=1)
        if day > ended:
            return False
        until = ends_at(day, clock_time, self._days)
        cut = await self._ledger.cut(conn, to_us(until))
        if last is None and not cut.writers:
            return False  # the books have not begun
        await sql.insert_window(
            conn,
            Window(
                id=derived_id("window", day.isoformat()),
                no=1 if last is None else last.no + 1,
                day=day,
                from_cut=None if last is None else last.to_cut,
                to_cut=cut,
                until=until,
                state=WindowState.CUT,
                cut_at=at,
            ),
        )
        return True

    async def _figure(self, conn: Conn, ident: str) -> None:
        """Compute a window once: its settlements, and what netting would make of them now."""
        window = await sql.window(conn, ident)
        assert window is not None, "it was just read, and windows stay"
        if window.state is not WindowState.CUT:
            return
        inputs, result = await self.compute(conn, window)
        made = [await self._settlement(window, figures) for figures in result.settlements]
        await sql.insert_settlements(conn, made)
        await sql.figured(conn, window.id, digest(canonical(inputs)), digest(canonical(result)))
        await self._netting.provisional(conn, window)

    async def compute(self, conn: Conn, window: Window) -> tuple[Inputs, Result]:
        """The figures of a window from the books; today, and whenever they are checked again."""
        flows = _joined(await self._ledger.flows(conn, window.from_cut, window.to_cut))
        steps = await self._ledger.payment_steps(conn, window.from_cut, window.to_cut)
        agreed = await self._terms.on(conn, {flow.issuer for flow in flows}, window.day)
        inputs = Inputs(
            window=window.id,
            day=window.day,
            flows=flows,
            steps=tuple(steps),
            plans=tuple(
                PlanOn(store, day, self._merchants.fee_plan(store, day))
                for store, day in sorted({(step.store, step.paid_on) for step in steps})
            ),
            agreed=tuple(Agreed(issuer, terms) for issuer, terms in agreed.items()),
        )
        return inputs, settle(inputs)

    async def _settlement(self, window: Window, figures: Figures) -> Settlement:
        store = await self._org.find_store(figures.store)
        assert store is not None, "what has redeemed is a store"
        return Settlement(
            **msgspec.structs.asdict(figures),
            window=window.id,
            day=window.day,
            company=store.company,
            state=SettlementState.PROVISIONAL,
        )


def _joined(flows: Iterable[LedgerFlow]) -> tuple[Flow, ...]:
    """What a store has redeemed and taken in cash, by issuer, store and currency, sorted."""
    joined: dict[tuple[str, str, str], Flow] = {}
    for flow in flows:
        if not _counts(flow):
            continue
        key = flow.issuer, flow.owner, flow.currency
        was = joined.get(key, Flow(*key))
        joined[key] = _with(was, flow)
    return tuple(sorted(joined.values()))


def _counts(flow: LedgerFlow) -> bool:
    """Whether settlement is about it. Cash that a store deposits is no longer its to keep,
    and was not netted before: only what cards brought is.
    """
    if flow.account == Account.CASH:
        return flow.purpose < Purpose.SETTLE
    return flow.account == Account.REDEEMED and flow.purpose not in OWN


def _with(was: Flow, flow: LedgerFlow) -> Flow:
    replace = msgspec.structs.replace
    if flow.account == Account.REDEEMED:
        slips = flow.transfers if flow.purpose < Purpose.SETTLE else 0  # of cards, not of disputes
        return replace(
            was,
            transfers=was.transfers + slips,
            redeemed_fen=was.redeemed_fen + flow.credit_fen,
            given_back_fen=was.given_back_fen + flow.debit_fen,
        )
    return replace(
        was,
        cash_in_fen=was.cash_in_fen + flow.debit_fen,
        cash_out_fen=was.cash_out_fen + flow.credit_fen,
    )
