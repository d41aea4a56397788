"""Statements: refunds of top-ups, and recalls of their money."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, Statements, fetch_all
from kabao.topups.model.recalls import Part, Recall
from kabao.topups.model.refunding import TopUpRefund

_encode = msgspec.json.Encoder().encode

_REFUND: LiteralString = """
select id, topup, root, amount_fen, kept_fen, clawed_fen, from_bonus_fen, state, fault, reason,
  funding, refusal, (extract(epoch from created_at) * 1000000)::bigint as created_us,
  (extract(epoch from done_at) * 1000000)::bigint as done_us
from topups.refund
"""

_RECALL: LiteralString = """
select id, topup, root, amount_fen, frozen_fen, frozen_bonus_fen, owed_fen, state, settled_by,
  funding, (extract(epoch from created_at) * 1000000)::bigint as created_us,
  (extract(epoch from settled_at) * 1000000)::bigint as settled_us
from topups.recall
"""


async def store_refunds(conn: Statements, rows: Sequence[TopUpRefund]) -> None:
    """Write refunds, or how they ended."""
    await conn.execute(
        """
        insert into topups.refund (id, topup, root, amount_fen, kept_fen, clawed_fen,
          from_bonus_fen, state, fault, reason, funding, refusal, created_at, done_at)
        select id, topup, root, amount_fen, kept_fen, clawed_fen, from_bonus_fen, state, fault,
          reason, funding, refusal, timestamptz 'epoch' + created_us * interval '1 microsecond',
          timestamptz 'epoch' + done_us * interval '1 microsecond'
        from jsonb_to_recordset(%s::jsonb) as r (id uuid, topup uuid, root uuid,
          amount_fen bigint, kept_fen bigint, clawed_fen bigint, from_bonus_fen bigint,
          state text, fault text, reason text, funding uuid, refusal text, created_us bigint,
          done_us bigint)
        on conflict (id) do update
          set state = excluded.state, refusal = excluded.refusal, done_at = excluded.done_at
        """,
        [_encode(rows).decode()],
    )


async def store_recalls(conn: Statements, rows: Sequence[Recall]) -> None:
    """Write recalls, or how they were settled."""
    await conn.execute(
        """
        insert into topups.recall (id, topup, root, amount_fen, frozen_fen, frozen_bonus_fen,
          owed_fen, state, settled_by, funding, created_at, settled_at)
        select id, topup, root, amount_fen, frozen_fen, frozen_bonus_fen, owed_fen, state,
          settled_by, funding, timestamptz 'epoch' + created_us * interval '1 microsecond',
          timestamptz 'epoch' + settled_us * interval '1 microsecond'
        from jsonb_to_recordset(%s::jsonb) as r (id uuid, topup uuid, root uuid,
          amount_fen bigint, frozen_fen bigint, frozen_bonus_fen bigint, owed_fen bigint,
          state text, settled_by uuid, funding uuid, created_us bigint, settled_us bigint)
        on conflict (id) do update set state = excluded.state,
          settled_by = excluded.settled_by, settled_at = excluded.settled_at
        """,
        [_encode(rows).decode()],
    )


async def insert_parts(conn: Statements, rows: Sequence[Part]) -> None:
    """What recalls have frozen."""
    await conn.execute(
        """
        insert into topups.recall_part (id, recall, root, lot, frozen_fen, frozen_bonus_fen)
        select id, recall, root, lot, frozen_fen, frozen_bonus_fen
        from jsonb_to_recordset(%s::jsonb) as r (id uuid, recall uuid, root uuid, lot uuid,
          frozen_fen bigint, frozen_bonus_fen bigint)
        """,
        [_encode(rows).decode()],
    )


async def parts_of(conn: Conn, recalls: Sequence[str]) -> dict[str, list[Part]]:
    """What recalls have frozen, by recall, in the order they did."""
    rows = await fetch_all(
        conn,
        Part,
        "select id, recall, root, lot, frozen_fen, frozen_bonus_fen from topups.recall_part"
        " where recall = any(%s::uuid[]) order by id",
        [list(recalls)],
    )
    found: dict[str, list[Part]] = {}
    for part in rows:
        found.setdefault(part.recall, []).append(part)
    return found


async def by_funding(conn: Conn, funding: str) -> TopUpRefund | None:
    """The refund that a channel's refund is for."""
    rows = await fetch_all(conn, TopUpRefund, _REFUND + "where funding = %s", [funding])
    return rows[0] if rows else None


async def refunds_of(conn: Conn, topup: str) -> list[TopUpRefund]:
    """Refunds of a top-up, oldest first."""
    return await fetch_all(conn, TopUpRefund, _REFUND + "where topup = %s order by id", [topup])


async def recalls_of(conn: Conn, topup: str) -> list[Recall]:
    """Recalls of a top-up's money, oldest first."""
    return await fetch_all(conn, Recall, _RECALL + "where topup = %s order by id", [topup])


async def recall(conn: Conn, ident: str) -> Recall | None:
    """A recall."""
    rows = await fetch_all(conn, Recall, _RECALL + "where id = %s", [ident])
    return rows[0] if rows else None
