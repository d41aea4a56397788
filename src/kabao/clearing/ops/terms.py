"""The rules settlement follows: terms by issuer and day, and the calendar."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.errors import INVALID
from kabao.base.ids import Ids
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.clearing.model.calendar import RULE, Workdays, is_missing
from kabao.clearing.model.terms import Rule, Terms, digest_of, terms_on
from kabao.clearing.sql import days as sql
from kabao.policy import names
from kabao.policy.choices import FeeReturn, SettledCash
from kabao.policy.model import Rules
from kabao.policy.ops import Policy

CALENDAR_MISSING = "calendar.missing"
"""The case that says so."""


class TermsBook:
    """Settlement rules in versions, over what policy says; workdays over what is published."""

    def __init__(
        self, policy: Policy, cases: Cases, ids: Ids, clock: Clock, days: BusinessDays
    ) -> None:
        self._policy, self._cases, self._ids = policy, cases, ids
        self._clock, self._days = clock, days

    def rules(self, day: date) -> Rules:
        """The policy of a day."""
        return self._policy.rules(jurisdiction="national", on=day)

    def default(self, day: date) -> Terms:
        """The terms of everybody without others."""
        rules = self.rules(day)
        return Terms(
            workdays=rules.int(names.SETTLEMENT_MERCHANT_DAYS),
            minimum_fen=rules.int(names.SETTLEMENT_MINIMUM_FEN),
            cash=SettledCash(rules.text(names.SETTLEMENT_CASH)),
            fees_on_refunds=FeeReturn(rules.text(names.SETTLEMENT_FEES_ON_REFUNDS)),
            carry_negative=rules.flag(names.SETTLEMENT_CARRIES_NEGATIVE),
        )

    async def on(self, conn: Conn, companies: Collection[str], day: date) -> dict[str, Terms]:
        """Everybody's terms on a day."""
        rules, default = await sql.rules(conn), self.default(day)
        return {each: terms_on(rules, each, day, default) for each in sorted(set(companies))}

    async def due_on(self, conn: Conn, terms: Mapping[str, Terms], day: date) -> dict[str, date]:
        """From when on each of these pays for a day (C-03). Raises `calendar_unknown`."""
        if not self.rules(day).flag(names.SETTLEMENT_SKIPS_HOLIDAYS):
            return {who: day + timedelta(days=each.workdays) for who, each in terms.items()}
        workdays = await sql.workdays(conn)
        return {who: workdays.after(day, each.workdays) for who, each in terms.items()}

    async def versions(self, conn: Conn) -> list[Rule]:
        """Every version of every rule, oldest first."""
        return await sql.rules(conn)

    async def add(
        self, conn: Conn, company: str | None, effective_from: date, terms: Terms, reason: str
    ) -> Rule:
        """A version that two persons agreed to. Raises `invalid`, see `check`."""
        self.check(terms, effective_from)
        rule = Rule(
            id=self._ids.new(),
            company=company,
            version=await sql.next_version(conn, company),
            effective_from=effective_from,
            terms=terms,
            digest=digest_of(terms),
            reason=reason,
            created_at=now(self._clock),
        )
        await sql.insert_rule(conn, rule)
        return rule

    def check(self, terms: Terms, effective_from: date) -> None:
        """Raises `invalid` for terms nobody can mean, and for a day that has begun: what was
        settled by a rule must come out the same when it is computed again.
        """
        terms.check()
        if effective_from <= self._days.of(self._clock.now_us()):
            raise INVALID.error("A rule begins tomorrow or later.", field="effective_from")

    async def workdays(self, conn: Conn) -> Workdays:
        """The calendar, as far as it is known."""
        return await sql.workdays(conn)

    async def say_workdays(
        self, conn: Conn, days: Mapping[date, bool], years: Sequence[int], reason: str
    ) -> Workdays:
        """What two persons say of days, and of years that nobody has published."""
        await sql.say_workdays(conn, days, years, reason, now(self._clock))
        return await sql.workdays(conn)

    async def alarm(self, conn: Conn, companies: Collection[str]) -> None:
        """From November on a case for each company, while next year's calendar is not known."""
        missing = is_missing(await sql.workdays(conn), self._days.of(self._clock.now_us()))
        if missing is None:
            return
        for company in sorted(companies):
            case = NewCase(
                kind=CALENDAR_MISSING,
                key=f"{missing}:{company}",
                subject=f"year_{missing}",
                company=company,
                facts={"year": missing, "rule": RULE},
            )
            await self._cases.open_in(conn, case)
