"""What stores pay for redemptions: plans as agreed, and which plan a store is under."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.merchants.model import FEE_TERM_BEGUN, FeePlan, FeeTerm, NewFeePlan
from kabao.merchants.sql import fees as sql
from kabao.merchants.sql.tills import next_revision
from kabao.org.ops import Org


class Fees:
    """The fee verbs of `Merchants`; writing ones take the caller's transaction."""

    def __init__(self, org: Org, ids: Ids, clock: Clock, days: BusinessDays) -> None:
        self._org, self._ids, self._clock, self._days = org, ids, clock, days

    async def get_plan(self, conn: Conn, ident: str) -> FeePlan:
        """A fee plan. Raises `not_found`."""
        found = await sql.plan(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such fee plan.")
        return found

    async def list_plans(
        self, conn: Conn, *, companies: Collection[str] | None, after: str | None, limit: int
    ) -> list[FeePlan]:
        """Fee plans in id order after `after`, of these companies unless None."""
        return await sql.list_plans(conn, companies=companies, after=after, limit=limit)

    async def add_plan(self, conn: Conn, new: NewFeePlan) -> FeePlan:
        """A fee plan as agreed; it is never changed. Raises `invalid`, `not_found` (company)."""
        new.check()
        revision = await next_revision(conn)
        await self._org.get_company(conn, new.company)
        plan = FeePlan(
            id=self._ids.new(),
            company=new.company,
            name=new.name,
            rate_bp=new.rate_bp,
            per_item_fen=new.per_item_fen,
            min_fen=new.min_fen,
            max_fen=new.max_fen,
            rounding=new.rounding,
            created_at=now(self._clock),
            revision=revision,
        )
        await sql.insert_plan(conn, plan)
        return plan

    async def put_term(
        self, conn: Conn, store: str, plan: str | None, effective_from: date
    ) -> FeeTerm:
        """Put a store under a plan (or none) from a business day on: tomorrow's at the earliest.

        A term whose day has not come may be replaced. Today's payments may have been settled
        already, and what is given back of them later brings back the fee of their day.

        Raises:
            KabaoError: `not_found` (store, plan), `fee_term_begun`.
        """
        revision = await next_revision(conn)
        await self._org.get_store(conn, store)
        if plan is not None:
            await self.get_plan(conn, plan)
        if effective_from <= self._days.of(self._clock.now_us()):
            raise FEE_TERM_BEGUN.error(field="effective_from")
        term = FeeTerm(
            store=store,
            effective_from=effective_from,
            plan=plan,
            created_at=now(self._clock),
            revision=revision,
        )
        await sql.put_term(conn, term)
        return term

    async def terms(
        self, conn: Conn, store: str, *, after: date | None, limit: int
    ) -> list[FeeTerm]:
        """A store's fee terms by their first day."""
        return await sql.terms_of(conn, store, after=after, limit=limit)
