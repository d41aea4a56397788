"""Statements on cashiers' PINs and supervisors' overrides."""

from __future__ import annotations

from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_one, fetch_value
from kabao.merchants.model import CashierPin, Override, OverrideAsk


async def put_pin(conn: Conn, pin: CashierPin) -> None:
    """A cashier's PIN from now on."""
    await conn.execute(
        "insert into merchants.cashier_pin (cashier, salt, mac, tries, locked_until, set_at)"
        " values (%(cashier)s, %(salt)s, %(mac)s, %(tries)s, %(locked_until)s, %(set_at)s)"
        " on conflict (cashier) do update set salt = excluded.salt, mac = excluded.mac,"
        " tries = excluded.tries, locked_until = excluded.locked_until, set_at = excluded.set_at",
        asdict(pin),
    )


async def lock_pin(conn: Conn, cashier: str) -> CashierPin | None:
    """A cashier's PIN, held until the transaction ends: tries are counted one by one."""
    row = await fetch_one(
        conn, dict, "select * from merchants.cashier_pin where cashier = %s for update", [cashier]
    )
    return convert(row, CashierPin | None)


async def count_tries(conn: Conn, cashier: str, tries: int, locked_until: datetime | None) -> None:
    """Where the counter stands; the caller holds the row."""
    await conn.execute(
        "update merchants.cashier_pin set tries = %s, locked_until = %s where cashier = %s",
        [tries, locked_until, cashier],
    )


async def insert_override(conn: Conn, override: Override) -> None:
    """A supervisor has allowed something."""
    await conn.execute(
        "insert into merchants.override (id, verb, store, cashier, subject, amount_fen,"
        " supervisor, created_at, expires_at) values (%(id)s, %(verb)s, %(store)s, %(cashier)s,"
        " %(subject)s, %(amount_fen)s, %(supervisor)s, %(created_at)s, %(expires_at)s)",
        asdict(override),
    )


async def use(conn: Conn, ident: str, ask: OverrideAsk, key: str, at: datetime) -> str | None:
    """Use an override up for the request of this key; a repetition uses the same one again.

    Returns the supervisor, or None for an override that does not fit.
    """
    supervisor: str | None = await fetch_value(
        conn,
        "update merchants.override set used_by = %(key)s where id = %(id)s and verb = %(verb)s"
        " and store = %(store)s and cashier = %(cashier)s and subject = %(subject)s"
        " and amount_fen >= %(amount_fen)s"
        " and (used_by = %(key)s or used_by is null and expires_at > %(at)s) returning supervisor",
        asdict(ask) | {"id": ident, "key": key, "at": at},
    )
    return supervisor
