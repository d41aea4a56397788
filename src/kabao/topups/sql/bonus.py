"""Statements: bonus rules and what they have given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, Statements, fetch_all
from kabao.topups.model.bonus import BonusRule, Grant, Returned

_RULE: LiteralString = """
select id, programme, name, from_fen, give_fen, give_bp, topup_max_fen, card_max_fen, period,
  starts_on, ends_on, budget_fen, state, used_fen, approval, created_at, ended_at
from topups.bonus_rule
"""

_encode = msgspec.json.Encoder().encode


async def insert_rule(conn: Conn, rule: BonusRule) -> None:
    """A new rule."""
    await conn.execute(
        """
        insert into topups.bonus_rule (id, programme, name, from_fen, give_fen, give_bp,
          topup_max_fen, card_max_fen, period, starts_on, ends_on, budget_fen, state, used_fen,
          approval, created_at, ended_at)
        values (%(id)s, %(programme)s, %(name)s, %(from_fen)s, %(give_fen)s, %(give_bp)s,
          %(topup_max_fen)s, %(card_max_fen)s, %(period)s, %(starts_on)s, %(ends_on)s,
          %(budget_fen)s, %(state)s, %(used_fen)s, %(approval)s, %(created_at)s, %(ended_at)s)
        """,
        msgspec.structs.asdict(rule),
    )


async def end_rule(conn: Conn, ident: str, at: datetime) -> None:
    """It gives nothing from now on."""
    await conn.execute(
        "update topups.bonus_rule set state = 'ended', ended_at = %s where id = %s", [at, ident]
    )


async def rule(conn: Conn, ident: str, *, lock: bool = False) -> BonusRule | None:
    """A rule."""
    query = _RULE + "where id = %s" + (" for update" if lock else "")
    rows = await fetch_all(conn, BonusRule, query, [ident])
    return rows[0] if rows else None


async def rules(
    conn: Conn,
    programmes: Collection[str] | None,
    state: str | None,
    before: str | None,
    limit: int,
) -> list[BonusRule]:
    """Rules, newest first; `programmes` None: of every programme."""
    return await fetch_all(
        conn,
        BonusRule,
        _RULE
        + """
        where (%(programmes)s::uuid[] is null or programme = any(%(programmes)s::uuid[]))
          and (%(state)s::text is null or state = %(state)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        {
            "programmes": list(programmes) if programmes is not None else None,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )


async def giving(conn: Conn, programme: str, day: date) -> list[BonusRule]:
    """What gives something on a day, each locked until the transaction ends, in id order."""
    return await fetch_all(
        conn,
        BonusRule,
        _RULE
        + """
        where programme = %s and state = 'running' and %s between starts_on and ends_on
        order by id for update
        """,
        [programme, day],
    )


async def had(conn: Conn, root: str, since: Sequence[tuple[str, date]]) -> dict[str, int]:
    """What a card had by each rule since the first day of that rule's period, in fen."""
    cursor = await conn.execute(
        """
        select g.rule, sum(g.amount_fen - g.back_fen)::bigint
        from unnest(%s::uuid[], %s::date[]) as p (rule, since)
        join topups.bonus_grant g on g.rule = p.rule and g.business_date >= p.since
        where g.root = %s group by g.rule
        """,
        [[ident for ident, _ in since], [first for _, first in since], root],
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def keep_grants(conn: Statements, rows: Sequence[Grant]) -> None:
    """Store grants, and count them against their rules' budgets. The rules are locked."""
    await conn.execute(
        """
        with kept as (
          insert into topups.bonus_grant (topup, rule, root, amount_fen, back_fen, business_date)
          select topup, rule, root, amount_fen, 0, day
          from jsonb_to_recordset(%s::jsonb)
            as g (topup uuid, rule uuid, root uuid, amount_fen bigint, day date)
          returning rule, amount_fen)
        update topups.bonus_rule r set used_fen = r.used_fen + k.fen
        from (select rule, sum(amount_fen)::bigint as fen from kept group by rule) k
        where r.id = k.rule
        """,
        [_encode(rows).decode()],
    )


async def grant(conn: Conn, topup: str) -> Grant | None:
    """What a top-up is given."""
    rows = await fetch_all(
        conn,
        Grant,
        "select topup, rule, root, amount_fen, business_date as day"
        " from topups.bonus_grant where topup = %s",
        [topup],
    )
    return rows[0] if rows else None


async def take_back(conn: Statements, rows: Sequence[Returned]) -> None:
    """So much of these top-ups' bonus is their budgets' again."""
    await conn.execute(
        """
        with back as (
          update topups.bonus_grant g set back_fen = g.back_fen + b.fen
          from jsonb_to_recordset(%s::jsonb) as b (topup uuid, fen bigint)
          where g.topup = b.topup returning g.rule, b.fen)
        update topups.bonus_rule r set used_fen = r.used_fen - b.fen
        from (select rule, sum(fen)::bigint as fen from back group by rule) b where r.id = b.rule
        """,
        [_encode(rows).decode()],
    )
