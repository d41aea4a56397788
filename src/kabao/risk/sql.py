"""Statements on the schema `risk`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_value
from kabao.risk.model import Alarm, Emptied, Load, Memory


async def alone(conn: Conn) -> bool:
    """Whether this transaction is the only one that watches."""
    return bool(
        await fetch_value(
            conn, "select pg_try_advisory_xact_lock(hashtextextended('risk.watch', 0))"
        )
    )


async def memory(conn: Conn, stores: Collection[str], roots: Collection[str]) -> Memory:
    """What is remembered of these stores and cards."""
    of_stores, of_roots = [list(stores)], [list(roots)]
    return Memory(
        await fetch_all(
            conn,
            Emptied,
            "select store, root, payment, amount_fen, at, until from risk.emptied"
            " where store = any(%s::uuid[])",
            of_stores,
        ),
        await fetch_all(
            conn,
            Load,
            "select topup, root, amount_fen, before_fen, at, until from risk.load"
            " where root = any(%s::uuid[])",
            of_roots,
        ),
        await fetch_all(
            conn,
            Alarm,
            "select store, first, at, until from risk.alarm where store = any(%s::uuid[])",
            of_stores,
        ),
    )


async def keep(conn: Conn, before: Memory, after: Memory) -> None:
    """Remember what `after` has; forget what it has no more."""
    gone = before.emptied.keys() - after.emptied.keys()
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "delete from risk.emptied where store = %s and root = %s", sorted(gone)
        )
        await cursor.executemany(
            "insert into risk.emptied (store, root, payment, amount_fen, at, until)"
            " values (%(store)s, %(root)s, %(payment)s, %(amount_fen)s, %(at)s, %(until)s)"
            " on conflict (store, root) do update set payment = excluded.payment,"
            " amount_fen = excluded.amount_fen, at = excluded.at, until = excluded.until",
            [asdict(one) for key, one in after.emptied.items() if before.emptied.get(key) != one],
        )
        await cursor.executemany(
            "insert into risk.load (topup, root, amount_fen, before_fen, at, until)"
            " values (%(topup)s, %(root)s, %(amount_fen)s, %(before_fen)s, %(at)s, %(until)s)",
            [asdict(one) for topup, one in after.loads.items() if topup not in before.loads],
        )
        await cursor.executemany(
            "insert into risk.alarm (store, first, at, until)"
            " values (%(store)s, %(first)s, %(at)s, %(until)s)"
            " on conflict (store) do update set first = excluded.first, at = excluded.at,"
            " until = excluded.until",
            [asdict(one) for store, one in after.alarms.items() if before.alarms.get(store) != one],
        )
    await conn.execute(
        "delete from risk.load where topup = any(%s::uuid[])",
        [list(before.loads.keys() - after.loads.keys())],
    )


async def forget(conn: Conn, before: datetime) -> None:
    """Forget what no later event can have to do with."""
    for statement in (
        "delete from risk.emptied where until < %s",
        "delete from risk.load where until < %s",
        "delete from risk.alarm where until < %s",
    ):
        await conn.execute(statement, [before])
