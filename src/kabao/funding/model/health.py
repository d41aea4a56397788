"""How well a channel works: what was told of it, its success rate, its circuit breaker. Pure.

How a channel did is told as an outcome. Outcomes are counted by minute, so that all
processes can share them, and turn a breaker: closed while the channel works; open when it
fails too often or several times in a row (T-22); half-open when its pause is over, and then
one call at a time is let through as a probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from kabao.base.clock import US_PER_S
from kabao.funding.model.collections import Outcome

PPM = 1_000_000
US_PER_MINUTE = 60 * US_PER_S


DID = frozenset({Outcome.TAKEN, Outcome.SUCCESS})
FAILURES = frozenset({Outcome.FAILED, Outcome.UNREACHABLE, Outcome.UNKNOWN})
"""A payer's refusal is neither: it speaks neither for the channel nor against it."""


class Told(msgspec.Struct, frozen=True):
    """One outcome: when the call began, when it was told, and how long the channel took."""

    outcome: Outcome
    sent_us: int
    at_us: int
    took_ms: int
    """In real time, also where our clock is a simulated one."""
    begins: bool = True
    """Whether it is what came of sending an order; only that answers a probe."""

    @property
    def failed(self) -> bool:
        """Whether the channel is to blame."""
        return self.outcome in FAILURES

    @property
    def speaks(self) -> bool:
        """Whether it says anything of the channel, good or bad."""
        return self.failed or self.outcome in DID


class Tally(msgspec.Struct, frozen=True):
    """Outcomes of a channel, counted."""

    succeeded: int = 0
    refused: int = 0
    failed: int = 0
    took_ms: int = 0
    """Of all of them together."""

    @property
    def judged(self) -> int:
        """How many say something about the channel."""
        return self.succeeded + self.failed

    @property
    def mean_ms(self) -> int:
        """How long a call took on average, in milliseconds."""
        calls = self.judged + self.refused
        return self.took_ms // calls if calls else 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.succeeded + other.succeeded,
            self.refused + other.refused,
            self.failed + other.failed,
            self.took_ms + other.took_ms,
        )


def counted(told: Told) -> Tally:
    """A tally of one."""
    return Tally(
        succeeded=int(told.outcome in DID),
        refused=int(told.outcome is Outcome.REFUSED_BY_PAYER),
        failed=int(told.failed),
        took_ms=0 if told.outcome is Outcome.NOT_ASKED else told.took_ms,
    )


Minutes = Mapping[int, Tally]
"""Tallies by minute since the epoch."""


def minute_of(us: int) -> int:
    """The minute a moment belongs to."""
    return us // US_PER_MINUTE


def within(minutes: Minutes, now_us: int, count: int) -> Tally:
    """All of the last so many minutes, the current one included."""
    first = minute_of(now_us) - count
    return sum((tally for minute, tally in minutes.items() if minute > first), Tally())


class SuccessRule(msgspec.Struct, frozen=True):
    """How a success rate is estimated.

    As if `prior_count` calls at `prior_bp` had come before: a channel without a past is
    neither praised nor blamed, and one bad call is not a bad channel. What was told counts
    half after `half_life_minutes`, so that a channel is not judged by its past for ever.
    """

    prior_bp: int
    prior_count: int
    half_life_minutes: int

    @property
    def horizon_minutes(self) -> int:
        """What is older has no weight left."""
        return self.half_life_minutes * _HALVINGS


_HALVINGS = 6
"""Weights are 64, 32, … 1: whole numbers, so that the estimate is the same everywhere."""


def success_ppm(minutes: Minutes, now_us: int, rule: SuccessRule) -> int:
    """The estimated share of calls that succeed, in millionths."""
    good = rule.prior_count * rule.prior_bp * PPM // 10_000 << _HALVINGS
    all_ = rule.prior_count << _HALVINGS
    for minute, tally in minutes.items():
        age = max(minute_of(now_us) - minute, 0) // rule.half_life_minutes
        weight = 1 << _HALVINGS >> age
        good += tally.succeeded * weight * PPM
        all_ += tally.judged * weight
    return good // all_


class Circuit(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class BreakerRule(msgspec.Struct, frozen=True):
    """When a breaker opens and closes (T-22)."""

    from_count: int
    """With fewer calls in the window the failure rate means nothing."""
    failure_bp: int
    """At this failure rate it opens."""
    window_minutes: int
    streak_count: int
    """So many failures in a row open it, whatever the rate."""
    open_s: int
    """How long it lets nothing through, and how long a probe may take."""
    probes_count: int
    """So many probes in a row close it."""


class Breaker(msgspec.Struct, frozen=True):
    """The breaker of a channel."""

    is_open: bool = False
    since_us: int = 0
    """When it was opened or closed, or when a probe failed."""
    streak: int = 0
    """Failures in a row while it is closed."""
    probe_us: int | None = None
    """When the probe was let through that is not told yet."""
    probes: int = 0
    """Probes in a row that came back well."""

    def circuit(self, now_us: int, rule: BreakerRule) -> Circuit:
        """How it stands at a moment."""
        if not self.is_open:
            return Circuit.CLOSED
        over = now_us >= self.since_us + rule.open_s * US_PER_S
        return Circuit.HALF_OPEN if over else Circuit.OPEN

    def may_probe(self, now_us: int, rule: BreakerRule) -> bool:
        """Whether the next call may go through as the probe.

        A probe nobody told of, because its process died, is given up in the end.
        """
        free = self.probe_us is None or now_us >= self.probe_us + rule.open_s * US_PER_S
        return free and self.circuit(now_us, rule) is Circuit.HALF_OPEN

    def probed(self, now_us: int) -> Breaker:
        """A probe was let through."""
        return replace(self, probe_us=now_us)

    def told(self, told: Told, window: Tally, rule: BreakerRule) -> Breaker:
        """What an outcome does to it.

        Args:
            told: the outcome. One of a call from before the breaker last turned says
                nothing new, and is passed over.
            window: all outcomes of the window since it was closed, this one included.
            rule: the thresholds.
        """
        if self.is_open:
            return self._probe_told(told, rule)
        if told.sent_us < self.since_us or not told.speaks:
            return self
        streak = self.streak
        if told.begins:  # an answer about an old order does not hide that new ones fail
            streak = streak + 1 if told.failed else 0
        often = (
            window.judged >= rule.from_count
            and window.failed * 10_000 >= window.judged * rule.failure_bp
        )
        if told.failed and (often or (told.begins and streak >= rule.streak_count)):
            return Breaker(is_open=True, since_us=told.at_us)
        return replace(self, streak=streak)

    def _probe_told(self, told: Told, rule: BreakerRule) -> Breaker:
        if self.probe_us is None or not told.begins or told.sent_us < self.probe_us:
            return self
        if not told.speaks:
            return replace(self, probe_us=None)  # the next one may probe
        if told.failed:
            return Breaker(is_open=True, since_us=told.at_us)
        if self.probes + 1 >= rule.probes_count:
            return Breaker(since_us=told.at_us)
        return replace(self, probe_us=None, probes=self.probes + 1)


def since_closed(minutes: Minutes, breaker: Breaker, now_us: int, rule: BreakerRule) -> Tally:
    """The window a breaker is judged by: what was told before it closed is forgiven.

    To the minute: outcomes of the minute in which it closed are forgiven too.
    """
    first = max(minute_of(now_us) - rule.window_minutes, minute_of(breaker.since_us))
    return sum((tally for minute, tally in minutes.items() if minute > first), Tally())


class LimitRule(msgspec.Struct, frozen=True):
    """When a channel's daily limit is lowered by itself, and when it is whole again (S-09)."""

    low_bp: int
    """Below this success rate it is lowered."""
    well_bp: int
    """From this success rate on it is whole again."""
    lowered_bp: int
    """The part of it that is left."""

    def lowered(self, *, now: bool, success: int) -> bool:
        """Whether it is lowered, given whether it was and the success rate in millionths."""
        return success < (self.well_bp if now else self.low_bp) * 100

    def limit_fen(self, daily_fen: int, *, lowered: bool) -> int:
        """What may be collected on a day."""
        return daily_fen * self.lowered_bp // 10_000 if lowered else daily_fen


class Standing(msgspec.Struct, frozen=True):
    """How a channel stands, for all processes."""

    breaker: Breaker = Breaker()
    lowered: bool = False
    """Whether its daily limit is lowered, because it succeeds too seldom."""


class HealthRules(msgspec.Struct, frozen=True):
    """All that channels are judged by."""

    breaker: BreakerRule
    success: SuccessRule
    limit: LimitRule

    @property
    def minutes(self) -> int:
        """How far back anything is looked at."""
        return max(self.success.horizon_minutes, self.breaker.window_minutes) + 1

    def after(
        self, standing: Standing, minutes: Minutes, told: Sequence[Told], now_us: int
    ) -> Standing:
        """How a channel stands after what was told; `minutes` count that already."""
        breaker = standing.breaker
        for one in told:
            window = since_closed(minutes, breaker, now_us, self.breaker)
            breaker = breaker.told(one, window, self.breaker)
        success = self.success_of(breaker, minutes, now_us)
        return Standing(breaker, self.limit.lowered(now=standing.lowered, success=success))

    def success_of(self, breaker: Breaker, minutes: Minutes, now_us: int) -> int:
        """The estimated share of calls that succeed, in millionths.

        A breaker that closed forgives what came before: else a channel that was down for
        a minute would be shunned for half an hour.
        """
        if not breaker.is_open:
            closed = minute_of(breaker.since_us)
            minutes = {minute: tally for minute, tally in minutes.items() if minute > closed}
        return success_ppm(minutes, now_us, self.success)


class ChangeKind(StrEnum):
    """What can change of a channel besides its figures."""

    OPENED = "opened"
    CLOSED = "closed"
    LIMIT_SET = "limit_set"  # by a person
    LIMIT_LOWERED = "limit_lowered"
    LIMIT_RESTORED = "limit_restored"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that turned, or a limit that changed, and why."""

    id: str
    channel: str
    kind: ChangeKind
    at_us: int
    facts: dict[str, int | None]
    by_id: str | None = None
    by_name: str | None = None
    reason: str | None = None


def turned(before: Standing, after: Standing) -> list[ChangeKind]:
    """What is worth a record."""
    kinds = []
    if before.breaker.is_open is not after.breaker.is_open:
        kinds.append(ChangeKind.OPENED if after.breaker.is_open else ChangeKind.CLOSED)
    if before.lowered is not after.lowered:
        kinds.append(ChangeKind.LIMIT_LOWERED if after.lowered else ChangeKind.LIMIT_RESTORED)
    return kinds
