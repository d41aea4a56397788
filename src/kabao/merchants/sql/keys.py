"""Statements on terminal master keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.merchants.model import SealedKey, TerminalKeyEntry, TerminalKeyState

_ENTRY = (
    "select id, terminal, version, algorithm, state, check_value, first_by, second_by, created_at,"
    " activated_at, ended_at, revision from merchants.terminal_key"
)


async def keys_since(conn: Conn, revision: int) -> list[SealedKey]:
    """Keys that became active or ended after a revision, in that order."""
    rows = await fetch_all(
        conn,
        dict,
        "select id, terminal, version, algorithm, state, tmk, revision from merchants.terminal_key"
        " where revision > %s and activated_at is not null order by revision, version",
        [revision],
    )
    return convert(rows, list[SealedKey])


async def active_keys(conn: Conn) -> list[SealedKey]:
    """Every key in use."""
    rows = await fetch_all(
        conn,
        dict,
        "select id, terminal, version, algorithm, state, tmk, revision from merchants.terminal_key"
        " where state = 'active'",
    )
    return convert(rows, list[SealedKey])


async def sealed_key(conn: Conn, ident: str) -> bytes:
    """A key's material, as it is sealed now."""
    found = await fetch_value(conn, "select tmk from merchants.terminal_key where id = %s", [ident])
    assert isinstance(found, bytes), "an active key has its material"
    return found


async def key(conn: Conn, ident: str) -> TerminalKeyEntry | None:
    """One key, without its material."""
    row = await fetch_one(conn, dict, _ENTRY + " where id = %s", [ident])
    return convert(row, TerminalKeyEntry | None)


async def keys_of(
    conn: Conn, terminal: str, *, before: int | None, limit: int
) -> list[TerminalKeyEntry]:
    """A terminal's keys, newest version first."""
    rows = await fetch_all(
        conn,
        dict,
        _ENTRY + " where terminal = %(terminal)s"
        " and (%(before)s::bigint is null or version < %(before)s) order by version desc"
        " limit %(limit)s",
        {"terminal": terminal, "before": before, "limit": limit},
    )
    return convert(rows, list[TerminalKeyEntry])


async def last_version(conn: Conn, terminal: str) -> int:
    """The version of a terminal's newest key; 0 when it never had one."""
    found = await fetch_value(
        conn, "select max(version) from merchants.terminal_key where terminal = %s", [terminal]
    )
    return found or 0


async def insert_half(conn: Conn, entry: TerminalKeyEntry, sealed_component: bytes) -> None:
    """The first component of a new key."""
    await conn.execute(
        "insert into merchants.terminal_key (id, terminal, version, algorithm, state, check_value,"
        " component, first_by, created_at, revision) values (%(id)s, %(terminal)s, %(version)s,"
        " %(algorithm)s, %(state)s, %(check_value)s, %(component)s, %(first_by)s, %(created_at)s,"
        " %(revision)s)",
        asdict(entry) | {"component": sealed_component},
    )


async def sealed_component(conn: Conn, ident: str) -> bytes:
    """The first component of a half key."""
    sealed: bytes = await fetch_value(
        conn, "select component from merchants.terminal_key where id = %s", [ident]
    )
    return sealed


async def activate(conn: Conn, entry: TerminalKeyEntry, sealed_tmk: bytes) -> None:
    """The key is whole; its component is forgotten."""
    await conn.execute(
        "update merchants.terminal_key set state = %(state)s, check_value = %(check_value)s,"
        " tmk = %(tmk)s, component = null, second_by = %(second_by)s,"
        " activated_at = %(activated_at)s, revision = %(revision)s where id = %(id)s",
        asdict(entry) | {"tmk": sealed_tmk},
    )


async def end_keys(
    conn: Conn, terminal: str, states: Iterable[TerminalKeyState], at: datetime, revision: int
) -> None:
    """A terminal's keys of these states end, and their material is forgotten."""
    await conn.execute(
        "update merchants.terminal_key set state = 'ended', tmk = null, component = null,"
        " ended_at = %s, revision = %s where terminal = %s and state = any(%s)",
        [at, revision, terminal, [state.value for state in states]],
    )
