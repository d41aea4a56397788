"""Wrong cards and secrets of a terminal: too many, and it has to wait (ATK-1)."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.clock import BusinessDays, Clock, to_us
from kabao.base.db import Conn
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.proofs.model import Hit
from kabao.proofs.ops import Counters

_NAME = "pos.guess"


class Guesses:
    """Guesses of terminals, counted in the database: a terminal may change the process."""

    def __init__(
        self, counters: Counters, policy: Policy, clock: Clock, days: BusinessDays
    ) -> None:
        self._counters, self._policy = counters, policy
        self._clock, self._days = clock, days

    async def count(self, terminal: str) -> int:
        """Count one. Until when (microseconds) the terminal has to wait; 0: it has not."""
        rules = self._rules()
        window = timedelta(minutes=rules.int(names.POS_GUESS_WINDOW_MINUTES))
        limit = rules.int(names.POS_GUESS_MAX_COUNT)
        return _until_us(await self._counters.hit_now(_NAME, terminal, window, limit))

    async def blocked_until_us(self, conn: Conn, terminal: str) -> int:
        """The same without counting."""
        limit = self._rules().int(names.POS_GUESS_MAX_COUNT)
        return _until_us(await self._counters.look(conn, _NAME, terminal, limit))

    def _rules(self) -> Rules:
        return self._policy.rules(jurisdiction="national", on=self._days.of(self._clock.now_us()))


def _until_us(hit: Hit | None) -> int:
    return to_us(hit.until) if hit is not None and hit.count > hit.limit else 0
