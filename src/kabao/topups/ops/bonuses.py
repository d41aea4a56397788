"""Bonus rules: kept as data, and what they give a top-up."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from msgspec.structs import asdict, replace

from kabao.base.clock import Clock, now
from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import Ids
from kabao.topups.model.bonus import (
    BONUS_RULE_ENDED,
    BonusRule,
    Grant,
    RuleState,
    Terms,
    best,
    check_terms,
    period_from,
)
from kabao.topups.sql import bonus as sql


class Bonuses:
    """Rules, and grants within their budgets."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock

    async def add(self, conn: Conn, programme: str, terms: Terms, approval: str) -> BonusRule:
        """Keep a rule that two people agreed to. Raises `bonus_rule_invalid`."""
        check_terms(terms)
        rule = BonusRule(
            **asdict(terms),
            id=self._ids.new(),
            programme=programme,
            state=RuleState.RUNNING,
            used_fen=0,
            approval=approval,
            created_at=now(self._clock),
            ended_at=None,
        )
        await sql.insert_rule(conn, rule)
        return rule

    async def end(self, conn: Conn, ident: str) -> BonusRule:
        """It gives nothing from now on; giving less takes one person only.

        What was promised to top-ups whose money is awaited is still given.
        Raises `not_found`, `bonus_rule_ended`.
        """
        rule = await sql.rule(conn, ident, lock=True)
        if rule is None:
            raise NOT_FOUND.error("There is no such bonus rule.")
        if rule.state == RuleState.ENDED:
            raise BONUS_RULE_ENDED.error()
        ended = replace(rule, state=RuleState.ENDED, ended_at=now(self._clock))
        await sql.end_rule(conn, ident, now(self._clock))
        return ended

    async def get(self, conn: Conn, ident: str) -> BonusRule:
        """A rule. Raises `not_found`."""
        rule = await sql.rule(conn, ident)
        if rule is None:
            raise NOT_FOUND.error("There is no such bonus rule.")
        return rule

    async def search(
        self,
        conn: Conn,
        *,
        programmes: Collection[str] | None,
        state: RuleState | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[BonusRule]:
        """Rules, newest first; `programmes` None: of every programme."""
        return await sql.rules(conn, programmes, state, before, limit)

    async def plan(
        self,
        conn: Conn,
        programme: str,
        root: str,
        topup: str,
        amount_fen: int,
        day: date,
        promised: dict[str, int],
    ) -> Grant | None:
        """What a top-up is to be given; the rules stay locked until the transaction ends.

        Args:
            root: the card's, locked by the caller: roots come before rules.
            promised: what this transaction has promised by each rule; it is added to.
        """
        rules = [
            replace(rule, used_fen=rule.used_fen + promised.get(rule.id, 0))
            for rule in await sql.giving(conn, programme, day)
        ]
        capped = [(rule.id, period_from(rule, day)) for rule in rules if rule.card_max_fen]
        had = await sql.had(conn, root, capped) if capped else {}
        found = best(rules, amount_fen, day, had)
        if found is None:
            return None
        rule, fen = found
        promised[rule.id] = promised.get(rule.id, 0) + fen
        return Grant(topup, rule.id, root, fen, day)
