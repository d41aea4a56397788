"""What a machine took and nobody loads is given back: in cash, or to the customer's account."""

from __future__ import annotations

from msgspec import Struct

from kabao.access.model import Approval
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.base.web.principal import Principal
from kabao.cards.model import HOLDER_NOT_IDENTIFIED
from kabao.cases.ops import Cases
from kabao.customers.model import Level
from kabao.customers.ops import Customers
from kabao.kiosks import sql
from kabao.kiosks.model import NOT_CREDITED, REST_OVER_CASH, Payout, Session, Way
from kabao.merchants.model import Alone, EntryKind
from kabao.merchants.ops import Merchants
from kabao.policy import names
from kabao.policy.ops import NATIONAL, Policy

SESSION, PAYOUT = "kss", "kpo"


class FromDrawer(Struct, frozen=True):
    """Which cashier's cash it is, and how it leaves the drawer."""

    shift: str
    supervisor: str | None
    """Who has allowed it."""
    alone: Alone | None
    """What the cashier may pay out without one; None: judged already."""


class KioskPayout(Struct, frozen=True, forbid_unknown_fields=True):
    """A transfer that waits for the second person. Ids as at the edge."""

    session: str
    amount: int
    payee: str


class Payouts:
    """The verbs of settling what is left of a visit; all take the caller's transaction."""

    def __init__(
        self,
        cases: Cases,
        merchants: Merchants,
        customers: Customers,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._cases, self._merchants, self._customers = cases, merchants, customers
        self._policy, self._ids, self._clock, self._days = policy, ids, clock, days

    def check_cash(self, amount_fen: int) -> None:
        """Raises `rest_over_cash` for more than may be paid in cash (ruling 18)."""
        rules = self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(self._clock.now_us()))
        if amount_fen > rules.int(names.CASH_OUT_MAX_FEN):
            raise REST_OVER_CASH.error(rule=rules.row(names.CASH_OUT_MAX_FEN), field="amount")

    async def in_cash(
        self,
        conn: Conn,
        by: Principal,
        ident: str,
        amount_fen: int,
        drawer: FromDrawer,
        reason: str,
    ) -> tuple[Session, Payout]:
        """The customer gets the rest from a cashier's drawer, and its case is resolved.

        Raises `not_found`, `nothing_left`, `visit_open`, `notes_differ`, `rest_over_cash`,
        `case_taken`, and as `Drawers.move`.
        """
        self.check_cash(amount_fen)
        session = await self._locked(conn, ident)
        after = session.paid_out(amount_fen)
        entry = await self._merchants.shifts.drawers.move(
            conn,
            drawer.shift,
            EntryKind.PAID_OUT,
            amount_fen,
            to_edge(SESSION, ident),
            drawer.supervisor,
            alone=drawer.alone,
        )
        payout = Payout(
            id=self._ids.new(),
            session=ident,
            amount_fen=amount_fen,
            way=Way.CASH,
            drawer_entry=entry.id,
            by=by.id,
            reason=reason,
            created_at=now(self._clock),
        )
        await self._settle(conn, session, after, payout, by)
        return after, payout

    async def ask(
        self, conn: Conn, by: Principal, ident: str, amount_fen: int, payee: str
    ) -> KioskPayout:
        """What the second person is asked: to transfer the rest to the payee's own account.
        Whoever asks is at the case from now on.

        Raises as `transferred`, and `case_taken`.
        """
        session = await self._locked(conn, ident)
        session.paid_out(amount_fen)
        await self._check_payee(conn, payee)
        await self._cases.take_named(conn, by, NOT_CREDITED, session.case_key)
        return KioskPayout(to_edge(SESSION, ident), amount_fen, to_edge("cus", payee))

    async def transferred(
        self, conn: Conn, asked: KioskPayout, approval: Approval
    ) -> tuple[Session, Payout]:
        """Two persons agree that a rest is transferred; the order names the visit.

        Raises `not_found`, `nothing_left`, `visit_open`, `notes_differ`,
        `holder_not_identified`.
        """
        ident, payee = from_edge(SESSION, asked.session), from_edge("cus", asked.payee)
        session = await self._locked(conn, ident)
        after = session.paid_out(asked.amount)
        await self._check_payee(conn, payee)
        payout = Payout(
            id=self._ids.new(),
            session=ident,
            amount_fen=asked.amount,
            way=Way.TRANSFER,
            payee=payee,
            approval=approval.id,
            by=approval.maker,
            reason=approval.reason,
            created_at=now(self._clock),
        )
        await self._settle(conn, session, after, payout, None)
        return after, payout

    async def of(self, conn: Conn, session: str) -> list[Payout]:
        """What of a visit was paid out, oldest first."""
        return await sql.payouts_of(conn, session)

    async def _settle(
        self, conn: Conn, before: Session, after: Session, payout: Payout, by: Principal | None
    ) -> None:
        await sql.update_session(conn, after)
        await sql.insert_payout(conn, payout)
        outcome = f"Paid out by {payout.way}: {to_edge(PAYOUT, payout.id)}."
        await self._cases.settle(conn, by, NOT_CREDITED, before.case_key, outcome)

    async def _locked(self, conn: Conn, ident: str) -> Session:
        found = await sql.lock_session(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such visit.")
        return found

    async def _check_payee(self, conn: Conn, payee: str) -> None:
        """The account is the payee's own, so there must be a name that was proven (L-15)."""
        if not (await self._customers.get(conn, payee)).level.reaches(Level.IDENTITY):
            raise HOLDER_NOT_IDENTIFIED.error(rule="L-15", field="payee")
