"""Chooses the channel a sum is collected through, and keeps within the limits of its day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, Code, KabaoError
from kabao.base.ids import Ids
from kabao.base.web.principal import Principal
from kabao.funding.model.collections import Ask, Choice, Outcome
from kabao.funding.model.health import Change, ChangeKind, Circuit
from kabao.funding.model.routing import (
    Candidate,
    Chosen,
    Judged,
    PassedOver,
    Ranked,
    RefusedChoice,
    RouteRule,
    rank,
    record,
    refusal,
)
from kabao.funding.ops.channels import Channels
from kabao.funding.ops.watch import Watch
from kabao.funding.sql import channels as channels_sql
from kabao.funding.sql import routing as sql
from kabao.policy import names
from kabao.policy.model import Rules

RulesOf = Callable[[str, date], Rules]

REFUSED_AT_ONCE = 50
"""Refused choices that a process keeps until they are written, each second."""

KEEP_REFUSED = timedelta(days=30)

SETTLED_AT_ONCE = 500
"""Shares of a day's limit that are looked at in one transaction."""


class Router:
    """Implements `kabao.funding.ports.Router`.

    A choice that comes to nothing is undone with its transaction; its record is handed on by
    itself, within a second, as what is told of channels.

    A choice takes the amount off the channel's day in the caller's transaction, under
    the lock of that day: no limit is ever passed. Of orders that end unpaid it comes
    back by a tick. So that no two transactions wait for each other, everybody locks in this
    order: collections, a channel's day, roots.
    """

    def __init__(
        self,
        db: Database,
        channels: Channels,
        watch: Watch,
        rules_of: RulesOf,
        direct: AbstractSet[str],
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        """Bind the collaborators.

        Args:
            rules_of: what holds for a programme on a day.
            direct: the kinds of channels at which banks take money directly (T-09).
        """
        self._db, self._channels, self._watch, self._rules_of = db, channels, watch, rules_of
        self._direct = direct
        self._ids, self._clock, self._days = ids, clock, days
        self._refused: list[RefusedChoice] = []

    async def choose(
        self, conn: Conn, ask: Ask, *, collection: str, tried: Sequence[str]
    ) -> Choice:
        """The channel to try next, with the record of why; see `ports.Router`."""
        day = self._days.of(self._clock.now_us())
        rule = self._rule(ask, day)
        ranked = rank(ask, await self._candidates(conn, ask, day), tried, rule)
        taken, lost = await self._first_with_room(conn, ask, ranked, day)
        lines = record(ask, ranked, taken, lost, rule)
        chosen = Chosen(
            id=self._ids.new(),
            collection=collection,
            channel=None if taken is None else taken.id,
            amount_fen=ask.amount_fen,
            lines=list(lines),
            created_at=now(self._clock),
        )
        if taken is not None or tried:
            await sql.insert_choice(conn, chosen, day)
        if taken is None:
            code, row = refusal(lines)
            if not tried:
                self._remember(ask, lines, code, row)
            raise code.error(rule=row, field="channel")
        return Choice(taken.id, chosen.id)

    def tell(
        self, channel_id: str, outcome: Outcome, took_ms: int, *, sent_us: int, begins: bool
    ) -> None:
        """How a channel did; see `ports.Router`."""
        self._watch.tell(channel_id, outcome, took_ms, sent_us, begins=begins)

    async def set_limit(
        self, conn: Conn, channel: str, daily_fen: int | None, by: Principal, reason: str
    ) -> Change:
        """Another daily limit for a channel from now on; None: no limit. Raises `not_found`."""
        revision = await channels_sql.next_revision(conn)
        before = await channels_sql.get(conn, channel)
        if before is None:
            raise NOT_FOUND.error("There is no such channel.")
        await sql.set_daily_limit(conn, channel, daily_fen, revision)
        change = Change(
            id=self._ids.new(),
            channel=channel,
            kind=ChangeKind.LIMIT_SET,
            at_us=self._clock.now_us(),
            facts={"before": before.daily_fen, "after": daily_fen},
            by_id=by.id,
            by_name=by.name,
            reason=reason,
        )
        await sql.insert_change(conn, change)
        return change

    def _remember(self, ask: Ask, lines: Sequence[Judged], code: Code, row: str) -> None:
        """Its transaction will be undone: the record is handed on by itself."""
        refused = RefusedChoice(
            id=self._ids.new(),
            company=ask.company,
            store=ask.store,
            programme=ask.programme,
            scene=ask.scene,
            amount_fen=ask.amount_fen,
            code=code.name,
            rule=row,
            lines=list(lines),
            created_at=now(self._clock),
        )
        if len(self._refused) < REFUSED_AT_ONCE:
            self._refused.append(refused)

    async def hand_on(self) -> None:
        """Write down what was refused since the last time; of a flood, the first of it."""
        refused, self._refused = self._refused, []
        if not refused:
            return
        try:
            async with self._db.transaction() as conn:
                await sql.insert_refused(conn, refused)
        except KabaoError:  # the database is away: the next time
            self._refused = (refused + self._refused)[:REFUSED_AT_ONCE]
            raise

    async def refused(
        self,
        conn: Conn,
        companies: Sequence[str] | None,
        stores: Sequence[str] | None,
        before: str | None,
        limit: int,
    ) -> list[RefusedChoice]:
        """Choices that came to nothing, newest first; None: not filtered."""
        return await sql.refused(conn, companies, stores, before, limit)

    async def forget_refused(self) -> None:
        """Drop refused choices that nobody asks about any more."""
        before = now(self._clock) - KEEP_REFUSED
        async with self._db.transaction() as conn:
            await sql.forget_refused(conn, before)

    async def used_fen(self, conn: Conn, channel: str) -> int:
        """What was taken of a channel's limit today."""
        day = self._days.of(self._clock.now_us())
        found = await sql.levels(conn, [channel], day)
        return found[channel].used_fen if channel in found else 0

    async def records(self, conn: Conn, collection: str) -> list[Chosen]:
        """Why the channels of a collection were chosen, oldest first."""
        return await sql.choices_of(conn, collection)

    async def changes(self, conn: Conn, channel: str, limit: int) -> list[Change]:
        """What changed of a channel, newest first."""
        return await sql.changes_of(conn, channel, limit)

    async def settle_shares(self) -> None:
        """Give back what orders took of a day's limit that ended unpaid."""
        found = SETTLED_AT_ONCE
        while found == SETTLED_AT_ONCE:
            async with self._db.transaction() as conn:
                found = await sql.settle_shares(conn, SETTLED_AT_ONCE)

    async def _candidates(self, conn: Conn, ask: Ask, day: date) -> list[Candidate]:
        channels = self._channels.of(ask.company)
        levels = await sql.levels(conn, [channel.id for channel in channels], day)
        limits = self._watch.rules.limit
        made = []
        for channel in channels:
            adapter = self._channels.adapter(channel.id)
            health, level = self._watch.of(channel.id), levels[channel.id]
            daily_fen, lowered = level.daily_fen, health.standing.lowered
            candidate = Candidate(
                channel=channel,
                usable=adapter is not None,
                foreign=adapter is not None and adapter.capabilities.foreign,
                bars_credit=adapter is not None and adapter.capabilities.no_credit,
                bank_direct=channel.kind in self._direct,
                limit_fen=None
                if daily_fen is None
                else limits.limit_fen(daily_fen, lowered=lowered),
                used_fen=level.used_fen,
                success=health.success,
                circuit=health.circuit,
                may_probe=health.may_probe,
            )
            made.append(candidate)
        return made

    async def _first_with_room(
        self, conn: Conn, ask: Ask, ranked: Ranked, day: date
    ) -> tuple[Candidate | None, dict[str, PassedOver]]:
        """The first that nobody else filled meanwhile, and those that somebody did."""
        lost: dict[str, PassedOver] = {}
        lowered_bp = self._watch.rules.limit.lowered_bp
        for one in ranked.order:
            if one.circuit is not Circuit.CLOSED and not await self._watch.claim_probe(
                conn, one.id
            ):
                lost[one.id] = PassedOver.CIRCUIT_OPEN
            elif await sql.take_share(conn, one.id, day, ask.amount_fen, lowered_bp):
                return one, lost
            else:
                lost[one.id] = PassedOver.DAILY_LIMIT
        return None, lost

    def _rule(self, ask: Ask, day: date) -> RouteRule:
        rules = self._rules_of(ask.programme, day)
        # Yuan are counted as dollars, which is stricter than any rate.
        foreign_fen = rules.int(names.TOPUP_CROSS_BORDER_MAX_USD_CENTS)
        return RouteRule(
            large_from_fen=rules.int(names.TOPUP_LARGE_FROM_FEN),
            low_bp=rules.rate(names.CHANNEL_SUCCESS_LOW_BP),
            failure_cost_fen=rules.int(names.CHANNEL_FAILURE_COST_FEN),
            foreign_max_fen=foreign_fen if rules.flag(names.TOPUP_FOREIGN_SCHEME_ALLOWED) else None,
        )
