"""Statements about payouts and their files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import LiteralString

import msgspec
from msgspec.structs import asdict

from kabao.base.clock import from_us
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.clearing.model.payouts import BatchState, Payout, PayoutBatch, PayoutState
from kabao.clearing.model.settlement import Instruction, InstructionState

_INSTRUCTION: LiteralString = """
select id, "window", payer_company, payee_store, payee_company, currency, amount_fen, due_on, state,
  settlement_ids from clearing.instruction
"""
_PAYOUT: LiteralString = """
select id, instruction, attempt, batch, payer, payee_company, payee_store, account, currency,
  amount_fen, state, reason, created_at, paid_at, ended_at from clearing.payout
"""
_BATCH: LiteralString = """
select id, company, day, currency, payouts, amount_fen, state, channel, digest, asked, ask_at,
  approval, created_at, sent_at, heard_at from clearing.payout_batch
"""


async def due(
    conn: Conn, payer: str, currency: str, until: date, *, lock: bool, limit: int
) -> list[Instruction]:
    """What a company is to pay by a day, what came back included; oldest first.

    What has no account to go to comes last, so that it keeps nobody else from being paid.
    """
    rows = await fetch_all(
        conn,
        dict,
        _INSTRUCTION
        + """
        as i where payer_company = %s and currency = %s and due_on <= %s
          and state in ('due', 'returned')
        order by exists (select from clearing.account as a where a.state = 'active'
            and coalesce(a.store, a.company) = coalesce(i.payee_store, i.payee_company)
            and a.currency = i.currency) desc, due_on, id
        limit %s
        """
        + (" for update" if lock else ""),
        [payer, currency, until, limit],
    )
    return msgspec.convert(rows, list[Instruction])


async def set_instructions(conn: Conn, idents: Sequence[str], state: InstructionState) -> None:
    """How far instructions have come."""
    await conn.execute(
        "update clearing.instruction set state = %s where id = any(%s::uuid[])",
        [state, list(idents)],
    )


async def hold(conn: Conn, instruction: str) -> None:
    """Release it no more, where it is owed again."""
    await conn.execute(
        "update clearing.instruction set state = 'held' where id = %s and state = 'returned'",
        [instruction],
    )


async def contradict(conn: Conn, ident: str, word: str) -> None:
    """Its bank said otherwise before: nothing of its instruction is released any more."""
    await conn.execute("update clearing.payout set reason = %s where id = %s", [word, ident])


async def is_contradicted(conn: Conn, instruction: str, word: str) -> bool:
    """Whether a bank contradicted itself about any attempt of an instruction."""
    return bool(
        await fetch_value(
            conn,
            "select exists(select from clearing.payout where instruction = %s and reason = %s)",
            [instruction, word],
        )
    )


async def not_sent(conn: Conn, instruction: str) -> Payout | None:
    """Its attempt in a file that has not gone yet, locked with the file."""
    found = await fetch_one(
        conn,
        dict,
        _PAYOUT + "as p where instruction = %s and state = 'ordered' and exists (select from"
        " clearing.payout_batch as b where b.id = p.batch and b.state = 'made')",
        [instruction],
    )
    if found is None:
        return None
    file = await batch(conn, str(found["batch"]), lock=True)
    if file is None or file.state is not BatchState.MADE:
        return None
    return await get(conn, str(found["id"]), lock=True)


async def attempts(conn: Conn, instructions: Sequence[str]) -> dict[str, int]:
    """How often each was tried; those never tried are absent."""
    rows = await fetch_all(
        conn,
        dict,
        "select instruction, max(attempt) as attempt from clearing.payout"
        " where instruction = any(%s::uuid[]) group by instruction",
        [list(instructions)],
    )
    return {row["instruction"]: row["attempt"] for row in rows}


async def insert_batch(conn: Conn, batch: PayoutBatch, payouts: Sequence[Payout]) -> None:
    """A file and its sums."""
    await conn.execute(
        "insert into clearing.payout_batch (id, company, day, currency, payouts, amount_fen, state,"
        " channel, digest, asked, ask_at, approval, created_at, sent_at) values (%(id)s,"
        " %(company)s, %(day)s, %(currency)s, %(payouts)s, %(amount_fen)s, %(state)s,"
        " %(channel)s, %(digest)s, %(asked)s, %(ask_at)s, %(approval)s, %(created_at)s,"
        " %(sent_at)s)",
        asdict(batch),
    )
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "insert into clearing.payout (id, instruction, attempt, batch, payer, payee_company,"
            " payee_store, account, currency, amount_fen, state, created_at) values (%(id)s,"
            " %(instruction)s, %(attempt)s, %(batch)s, %(payer)s, %(payee_company)s,"
            " %(payee_store)s, %(account)s, %(currency)s, %(amount_fen)s, %(state)s,"
            " %(created_at)s)",
            [asdict(one) for one in payouts],
        )


async def batch(conn: Conn, ident: str, *, lock: bool = False) -> PayoutBatch | None:
    """One file."""
    select: LiteralString = _BATCH + "where id = %s"
    row = await fetch_one(conn, dict, select + (" for update" if lock else ""), [ident])
    return None if row is None else _batch(row)


async def batch_of(conn: Conn, approval: str) -> PayoutBatch | None:
    """The file that an approved release became."""
    row = await fetch_one(conn, dict, _BATCH + "where approval = %s", [approval])
    return None if row is None else _batch(row)


async def claim_due(conn: Conn, now_us: int, lease_us: int, limit: int) -> list[PayoutBatch]:
    """Files that are to be sent or asked about; nobody else takes them until the lease is over."""
    rows = await fetch_all(
        conn,
        dict,
        """
        with due as (
          select id from clearing.payout_batch where ask_at <= %(now)s
          order by ask_at limit %(limit)s for update skip locked
        )
        update clearing.payout_batch as b set ask_at = %(lease)s, asked = asked + 1
        from due where b.id = due.id
        returning b.id, company, day, currency, payouts, amount_fen, state, channel, digest, asked,
          ask_at, approval, created_at, sent_at, heard_at
        """,
        {"now": from_us(now_us), "lease": from_us(lease_us), "limit": limit},
    )
    return [_batch(row) for row in rows]


async def set_sent(conn: Conn, ident: str, channel: str, digest: bytes, now_us: int) -> bool:
    """From now on it may be at that channel's bank; False if it was sent before."""
    done = await conn.execute(
        "update clearing.payout_batch set state = 'sent', channel = %s, digest = %s, sent_at = %s"
        " where id = %s and state = 'made'",
        [channel, digest, from_us(now_us), ident],
    )
    return done.rowcount == 1


async def set_heard(conn: Conn, ident: str, now_us: int) -> None:
    """The bank has told of this file."""
    await conn.execute(
        "update clearing.payout_batch set heard_at = coalesce(heard_at, %s) where id = %s",
        [from_us(now_us), ident],
    )


async def ask_again(conn: Conn, ident: str, ask_us: int | None) -> None:
    """When it is asked about next; None: the bank has spoken of every sum."""
    await conn.execute(
        "update clearing.payout_batch set ask_at = %(at)s, state = case when"
        " %(at)s::timestamptz is null then 'answered' else state end where id = %(id)s",
        {"at": None if ask_us is None else from_us(ask_us), "id": ident},
    )


async def payouts(conn: Conn, batch: str, *, lock: bool = False) -> list[Payout]:
    """The sums of a file, in their order there."""
    select: LiteralString = _PAYOUT + "where batch = %s order by id"
    rows = await fetch_all(conn, dict, select + (" for update" if lock else ""), [batch])
    return msgspec.convert(rows, list[Payout])


async def get(conn: Conn, ident: str, *, lock: bool = False) -> Payout | None:
    """One payout."""
    select: LiteralString = _PAYOUT + "where id = %s"
    row = await fetch_one(conn, dict, select + (" for update" if lock else ""), [ident])
    return None if row is None else msgspec.convert(row, Payout)


async def set_state(
    conn: Conn, ident: str, state: PayoutState, reason: str | None, now_us: int
) -> None:
    """What became of a payout."""
    await conn.execute(
        "update clearing.payout set state = %(state)s, reason = coalesce(%(reason)s, reason),"
        " paid_at = case when %(state)s = 'paid' then %(at)s else paid_at end,"
        " ended_at = case when %(state)s = 'paid' then ended_at else %(at)s end"
        " where id = %(id)s",
        {"state": state, "reason": reason, "at": from_us(now_us), "id": ident},
    )


async def open_payouts(conn: Conn, batch: str) -> int:
    """How many sums of a file the bank has not spoken of."""
    count: int = await fetch_value(
        conn,
        "select count(*) from clearing.payout where batch = %s and state = 'ordered'",
        [batch],
    )
    return count


async def search(
    conn: Conn,
    companies: Sequence[str] | None,
    stores: Sequence[str] | None,
    *,
    batch: str | None,
    state: PayoutState | None,
    after: str | None,
    limit: int,
) -> list[Payout]:
    """Payouts that these companies pay or are paid, or these stores are paid; newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _PAYOUT
        + """
        where (%(companies)s::uuid[] is null or payer = any(%(companies)s::uuid[])
            or payee_company = any(%(companies)s::uuid[]))
          and (%(stores)s::uuid[] is null or payee_store = any(%(stores)s::uuid[]))
          and (%(batch)s::uuid is null or batch = %(batch)s::uuid)
          and (%(state)s::text is null or state = %(state)s)
          and (%(after)s::uuid is null or id < %(after)s::uuid)
        order by id desc limit %(limit)s
        """,
        {
            "companies": None if companies is None else list(companies),
            "stores": None if stores is None else list(stores),
            "batch": batch,
            "state": state,
            "after": after,
            "limit": limit,
        },
    )
    return msgspec.convert(rows, list[Payout])


async def batches(
    conn: Conn, companies: Sequence[str] | None, after: str | None, limit: int
) -> list[PayoutBatch]:
    """Files, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        _BATCH + "where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(after)s::uuid is null or id < %(after)s::uuid) order by id desc limit %(limit)s",
        {
            "companies": None if companies is None else list(companies),
            "after": after,
            "limit": limit,
        },
    )
    return [_batch(row) for row in rows]


class Paid(msgspec.Struct, frozen=True):
    """A channel that was paid through, and the day until which returns are known."""

    company: str
    channel: str
    day: date


async def paid_through(conn: Conn, since: date) -> list[Paid]:
    """Channels through which somebody has paid since then."""
    return await fetch_all(
        conn,
        Paid,
        "select b.company, b.channel, coalesce(l.day, min(b.day)) as day"
        " from clearing.payout_batch as b"
        " left join clearing.returns_look as l on l.channel = b.channel"
        " where b.day >= %s and b.channel is not null group by b.company, b.channel, l.day",
        [since],
    )


async def looked(conn: Conn, channel: str, day: date) -> None:
    """What came back until the end of that day is known."""
    await conn.execute(
        "insert into clearing.returns_look as l (channel, day) values (%s, %s)"
        " on conflict (channel) do update set day = greatest(l.day, excluded.day)",
        [channel, day],
    )


def _batch(row: dict[str, object]) -> PayoutBatch:
    digest = row["digest"]
    return msgspec.convert(
        row | {"digest": None if digest is None else bytes(digest)},  # type: ignore[call-overload] # bytea
        PayoutBatch,
    )
