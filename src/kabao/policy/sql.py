"""Statements of the kill switches; they touch the schema `policy` alone."""

from __future__ import annotations

from typing import Any, LiteralString

from kabao.base.clock import from_us, to_us
from kabao.base.db import Conn, fetch_value
from kabao.policy.choices import Scope, Switch, SwitchState
from kabao.policy.model import Change, Setting
from kabao.policy.tables import GROUP_ID

_KNOWN = [switch.value for switch in Switch]


async def version(conn: Conn) -> int:
    """How many changes there have been."""
    return await fetch_value(conn, "select version from policy.switch_version") or 0


async def next_version(conn: Conn) -> int:
    """Count a change. Its row lock puts changes in one order until they commit."""
    counted: int = await fetch_value(
        conn,
        """insert into policy.switch_version as v (one, version) values (true, 1)
        on conflict (one) do update set version = v.version + 1
        returning version""",
    )
    return counted


async def store(conn: Conn, change: Change) -> None:
    """Set the switch and add to its history."""
    setting = change.setting
    params = {
        "version": change.version,
        "name": setting.switch,
        "scope": setting.scope,
        "scope_id": setting.scope_id or GROUP_ID,
        "state": setting.state,
        "reason": setting.reason,
        "set_by": setting.set_by,
        "approved_by": setting.approved_by,
        "set_at": from_us(change.set_at_us),
    }
    await conn.execute(
        """insert into policy.switch_change
            (version, name, scope, scope_id, state, reason, set_by, approved_by, set_at)
        values (%(version)s, %(name)s, %(scope)s, %(scope_id)s, %(state)s, %(reason)s,
            %(set_by)s, %(approved_by)s, %(set_at)s)""",
        params,
    )
    await conn.execute(
        """insert into policy.switch
            (name, scope, scope_id, state, reason, set_by, approved_by, set_at)
        values (%(name)s, %(scope)s, %(scope_id)s, %(state)s, %(reason)s,
            %(set_by)s, %(approved_by)s, %(set_at)s)
        on conflict (name, scope, scope_id) do update set
            state = excluded.state, reason = excluded.reason, set_by = excluded.set_by,
            approved_by = excluded.approved_by, set_at = excluded.set_at""",
        params,
    )


async def stopped(conn: Conn) -> list[Setting]:
    """Every switch that stops something now. Names of a newer version are left out."""
    return [
        _setting(row)
        for row in await _rows(
            conn,
            """select name, scope, scope_id, state, reason, set_by, approved_by
            from policy.switch where state = 'stopped' and name = any(%s)
            order by name, scope, scope_id""",
            [_KNOWN],
        )
    ]


async def changes(conn: Conn, before: int | None, limit: int) -> list[Change]:
    """The history, newest first, older than a version."""
    return [
        Change(version=row[7], setting=_setting(row[:7]), set_at_us=to_us(row[8]))
        for row in await _rows(
            conn,
            """select name, scope, scope_id, state, reason, set_by, approved_by, version, set_at
            from policy.switch_change
            where (%(before)s::bigint is null or version < %(before)s) and name = any(%(known)s)
            order by version desc limit %(limit)s""",
            {"before": before, "known": _KNOWN, "limit": limit},
        )
    ]


async def _rows(conn: Conn, statement: LiteralString, params: Any) -> list[tuple[Any, ...]]:
    return await (await conn.execute(statement, params)).fetchall()


def _setting(row: tuple[Any, ...]) -> Setting:
    name, scope, scope_id, state, reason, set_by, approved_by = row
    return Setting(
        Switch(name),
        Scope(scope),
        None if scope_id == GROUP_ID else scope_id,
        SwitchState(state),
        reason,
        set_by,
        approved_by,
    )
