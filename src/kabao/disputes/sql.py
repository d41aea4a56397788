"""Statements on the schema `disputes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.disputes.model import Dispute, DisputeState, Step, What

_SELECT: LiteralString = """
select id, payment, root, card, issuer, store, store_company, currency, amount_fen, reason, state,
  accepted, lent_principal_fen, lent_bonus_fen, evidence_due_on, decide_by, overdue, outcome,
  bearer, given_fen, taken_back_fen, owed_fen, opened_at, decided_at
from disputes.dispute
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which disputes. None: any. A key sees those of its issuers, and of its stores."""

    issuers: list[str] | None
    stores: list[str] | None
    state: DisputeState | None = None
    payment: str | None = None
    overdue: bool | None = None
    before: str | None = None
    limit: int


async def insert(conn: Conn, one: Dispute) -> None:
    """A new dispute. Raises psycopg's UniqueViolation when the payment has an open one."""
    await conn.execute(
        """
        insert into disputes.dispute (id, payment, root, card, issuer, store, store_company,
          currency, amount_fen, reason, state, lent_principal_fen, lent_bonus_fen,
          evidence_due_on, decide_by, overdue, given_fen, taken_back_fen, owed_fen, opened_at)
        values (%(id)s, %(payment)s, %(root)s, %(card)s, %(issuer)s, %(store)s,
          %(store_company)s, %(currency)s, %(amount_fen)s, %(reason)s, %(state)s, 0, 0,
          %(evidence_due_on)s, %(decide_by)s, false, 0, 0, 0, %(opened_at)s)
        """,
        msgspec.structs.asdict(one),
    )


async def update(conn: Conn, one: Dispute) -> None:
    """A dispute as it is now; what it is about never changes."""
    await conn.execute(
        """
        update disputes.dispute set state = %(state)s, accepted = %(accepted)s,
          lent_principal_fen = %(lent_principal_fen)s, lent_bonus_fen = %(lent_bonus_fen)s,
          evidence_due_on = %(evidence_due_on)s, overdue = %(overdue)s, outcome = %(outcome)s,
          bearer = %(bearer)s, given_fen = %(given_fen)s, taken_back_fen = %(taken_back_fen)s,
          owed_fen = %(owed_fen)s, decided_at = %(decided_at)s
        where id = %(id)s
        """,
        msgspec.structs.asdict(one),
    )


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Dispute | None:
    """One dispute."""
    statement: LiteralString = _SELECT + "where id = %s"
    row = await fetch_one(conn, dict, statement + (" for update" if lock else ""), [ident])
    return None if row is None else msgspec.convert(row, Dispute)


async def is_open(conn: Conn, payment: str) -> bool:
    """Whether a payment is disputed now."""
    found: bool = await fetch_value(
        conn,
        "select exists (select from disputes.dispute where payment = %s and state <> 'decided')",
        [payment],
    )
    return found


async def search(conn: Conn, wanted: Wanted) -> list[Dispute]:
    """Disputes, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _SELECT
        + """
        where ((%(issuers)s::uuid[] is null and %(stores)s::uuid[] is null)
            or issuer = any(%(issuers)s::uuid[]) or store = any(%(stores)s::uuid[]))
          and (%(state)s::text is null or state = %(state)s)
          and (%(payment)s::uuid is null or payment = %(payment)s)
          and (%(overdue)s::boolean is null or overdue = %(overdue)s)
          and (%(before)s::uuid is null or id < %(before)s)
        order by id desc limit %(limit)s
        """,
        msgspec.structs.asdict(wanted),
    )
    return [msgspec.convert(row, Dispute) for row in rows]


async def late(conn: Conn, today: date, limit: int) -> list[str]:
    """Open disputes with a missed day that no case tells of yet."""
    cursor = await conn.execute(
        """
        select id from disputes.dispute
        where state <> 'decided' and not overdue and (decide_by < %(today)s
          or (accepted is null and evidence_due_on < %(today)s))
        order by decide_by, id limit %(limit)s
        """,
        {"today": today, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def add_step(conn: Conn, step: Step) -> None:
    """One more step; the dispute is locked."""
    await conn.execute(
        "insert into disputes.step (dispute, n, what, by, note, at)"
        " select %(dispute)s, coalesce(max(n), 0) + 1, %(what)s, %(by)s, %(note)s, %(at)s"
        " from disputes.step where dispute = %(dispute)s",
        msgspec.structs.asdict(step),
    )


async def steps(conn: Conn, ident: str) -> Sequence[Step]:
    """All steps of a dispute, in order: a handful."""
    rows = await fetch_all(
        conn,
        dict,
        "select dispute, n, what, by, note, at from disputes.step where dispute = %s order by n",
        [ident],
    )
    return [Step(**row | {"what": What(row["what"])}) for row in rows]
