"""Watches channels: gathers how they did, shares it with the other processes, turns breakers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.ids import Ids, to_edge
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.funding.model.channels import CHANNEL
from kabao.funding.model.collections import Outcome
from kabao.funding.model.health import (
    BreakerRule,
    Change,
    ChangeKind,
    Circuit,
    HealthRules,
    LimitRule,
    Minutes,
    Standing,
    SuccessRule,
    Tally,
    Told,
    counted,
    minute_of,
    since_closed,
    turned,
    within,
)
from kabao.funding.ops.channels import Channels
from kabao.funding.sql import routing as sql
from kabao.policy import names
from kabao.policy.ops import NATIONAL, Policy

UNTOLD_MAX = 10_000
"""Of one channel, while the database is away; what comes then is not counted."""

KEEP_MINUTES = 24 * 60
"""How long minutes are kept, for people; rules look back an hour or so."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel does, as one process sees it."""

    circuit: Circuit
    may_probe: bool
    success: int
    """The estimated share of its calls that succeed, in millionths."""
    window: Tally
    """Of the breaker's window."""
    standing: Standing


class Watch:
    """What is told of channels here, and what all processes know together.

    `tell` and `of` answer from memory. `refresh`, every second, hands on what was told
    here and takes over what the others did: a breaker opens here at once, and everywhere
    within a second. What was told and not handed on is lost with its process.
    """

    def __init__(
        self,
        db: Database,
        channels: Channels,
        cases: Cases,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        self._db, self._channels, self._cases, self._policy = db, channels, cases, policy
        self._ids, self._clock, self._days = ids, clock, days
        self._untold: dict[str, list[Told]] = {}
        self._handed: dict[str, list[Told]] = {}
        """Handed on, and not yet in what was taken over."""
        self._minutes: dict[str, dict[int, Tally]] = {}
        self._standings: dict[str, Standing] = {}
        self._refreshing = asyncio.Lock()

    @property
    def rules(self) -> HealthRules:
        """What channels are judged by today."""
        rules = self._policy.rules(jurisdiction=NATIONAL, on=self._days.of(self._clock.now_us()))
        return HealthRules(
            BreakerRule(
                from_count=rules.int(names.BREAKER_FROM_COUNT),
                failure_bp=rules.rate(names.BREAKER_FAILURE_BP),
                window_minutes=rules.int(names.BREAKER_WINDOW_MINUTES),
                streak_count=rules.int(names.BREAKER_STREAK_COUNT),
                open_s=rules.int(names.BREAKER_OPEN_SECONDS),
                probes_count=rules.int(names.BREAKER_PROBES_COUNT),
            ),
            SuccessRule(
                prior_bp=rules.rate(names.CHANNEL_SUCCESS_PRIOR_BP),
                prior_count=rules.int(names.CHANNEL_SUCCESS_PRIOR_COUNT),
                half_life_minutes=rules.int(names.CHANNEL_SUCCESS_HALF_LIFE_MINUTES),
            ),
            LimitRule(
                low_bp=rules.rate(names.CHANNEL_SUCCESS_LOW_BP),
                well_bp=rules.rate(names.CHANNEL_SUCCESS_WELL_BP),
                lowered_bp=rules.rate(names.CHANNEL_LIMIT_LOWERED_BP),
            ),
        )

    def tell(
        self, channel: str, outcome: Outcome, took_ms: int, sent_us: int, *, begins: bool
    ) -> None:
        """How a channel did; see `ports.Router`. Counts here at once."""
        told = self._untold.setdefault(channel, [])
        if len(told) < UNTOLD_MAX:
            told.append(Told(outcome, sent_us, self._clock.now_us(), took_ms, begins))

    def of(self, channel: str) -> Health:
        """How a channel does, with what was told here a moment ago."""
        rules, now_us = self.rules, self._clock.now_us()
        told = self._told(channel)
        minutes = _with(self._minutes.get(channel, {}), told)
        standing = rules.after(self._standings.get(channel, Standing()), minutes, told, now_us)
        return Health(
            circuit=standing.breaker.circuit(now_us, rules.breaker),
            may_probe=standing.breaker.may_probe(now_us, rules.breaker),
            success=rules.success_of(standing.breaker, minutes, now_us),
            window=since_closed(minutes, standing.breaker, now_us, rules.breaker),
            standing=standing,
        )

    def lately(self, channel: str, minutes: int) -> Tally:
        """All a channel did in the last so many minutes."""
        known = _with(self._minutes.get(channel, {}), self._told(channel))
        return within(known, self._clock.now_us(), minutes)

    async def claim_probe(self, conn: Conn, channel: str) -> bool:
        """Whether the next call may go through as the probe, among all processes."""
        now_us = self._clock.now_us()
        standing = await sql.try_lock_standing(conn, channel)
        if standing is None or not standing.breaker.may_probe(now_us, self.rules.breaker):
            return False
        probed = msgspec.structs.replace(standing, breaker=standing.breaker.probed(now_us))
        await sql.set_standing(conn, channel, probed)
        return True

    async def refresh(self) -> None:
        """Hand on what was told here, and take over what all know together."""
        async with self._refreshing:
            for channel in sorted({*self._untold, *self._recovering()}):
                told = list(self._untold.get(channel, []))
                await self._hand_on(channel, told)
                del self._untold.get(channel, [])[: len(told)]
                self._handed[channel] = self._handed.get(channel, []) + told
            await self._take_over()

    async def forget(self) -> None:
        """Drop minutes that nobody looks at any more."""
        async with self._db.transaction() as conn:
            await sql.forget_minutes(conn, minute_of(self._clock.now_us()) - KEEP_MINUTES)

    def _told(self, channel: str) -> list[Told]:
        """What was told here and is not in what all know together."""
        return self._handed.get(channel, []) + self._untold.get(channel, [])

    def _recovering(self) -> Iterable[str]:
        """Channels whose limit is whole again because time has passed."""
        lowered = [channel for channel, known in self._standings.items() if known.lowered]
        return [channel for channel in lowered if not self.of(channel).standing.lowered]

    async def _hand_on(self, channel: str, told: list[Told]) -> None:
        rules, now_us = self.rules, self._clock.now_us()
        async with self._db.transaction() as conn:
            before = await sql.lock_standing(conn, channel)
            for minute, tally in _with({}, told).items():
                await sql.add_minute(conn, channel, minute, tally)
            first = minute_of(now_us) - rules.minutes
            found = await sql.minutes_since(conn, first, channel)
            minutes = {row.minute: row.tally for row in found}
            after = rules.after(before, minutes, told, now_us)
            if after != before:
                await sql.set_standing(conn, channel, after)
                await self._keep(conn, channel, before, after, minutes)

    async def _keep(
        self, conn: Conn, channel: str, before: Standing, after: Standing, minutes: Minutes
    ) -> None:
        """Keep a record of what turned; a person is to look at an open breaker."""
        rules, now_us = self.rules, self._clock.now_us()
        window = since_closed(minutes, before.breaker, now_us, rules.breaker)
        facts: dict[str, int | None] = {
            "failed": window.failed,
            "calls": window.judged,
            "success_ppm": rules.success_of(after.breaker, minutes, now_us),
        }
        for kind in turned(before, after):
            change = Change(
                id=self._ids.new(), channel=channel, kind=kind, at_us=now_us, facts=facts
            )
            await sql.insert_change(conn, change)
            if kind is ChangeKind.OPENED:
                await self._open_case(conn, channel, after.breaker.since_us, facts)

    async def _open_case(
        self, conn: Conn, channel: str, since_us: int, facts: Mapping[str, int | None]
    ) -> None:
        """One case for each outage: what was looked into before says nothing of the next."""
        known = self._channels.get(channel)
        if known is None:
            return
        case = NewCase(
            kind="funding.circuit_open",
            subject=to_edge(CHANNEL, channel),
            company=known.company,
            facts={name: value for name, value in facts.items() if value is not None},
            key=f"{channel}:{since_us}",
        )
        await self._cases.open_in(conn, case)

    async def _take_over(self) -> None:
        """What all processes know together, from the last two minutes on."""
        first = minute_of(self._clock.now_us()) - self.rules.minutes
        known = max((m for minutes in self._minutes.values() for m in minutes), default=first)
        async with self._db.read() as conn:
            standings = await sql.standings(conn)
            found = await sql.minutes_since(conn, max(first, known - 1))
        for row in found:
            self._minutes.setdefault(row.channel, {})[row.minute] = row.tally
        for minutes in self._minutes.values():
            for minute in [m for m in minutes if m < first]:
                del minutes[minute]
        self._standings, self._handed = standings, {}


def _with(minutes: Minutes, told: Iterable[Told]) -> dict[int, Tally]:
    """Minutes, with what was told besides."""
    made = dict(minutes)
    for one in told:
        minute = minute_of(one.at_us)
        made[minute] = made.get(minute, Tally()) + counted(one)
    return made
