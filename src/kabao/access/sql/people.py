"""Operators and their sessions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import convert
from msgspec.structs import asdict

from kabao.access.model.people import Operator, OperatorState, Session
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value


async def lock_founding(conn: Conn) -> bool:
    """Whether there is no operator yet; nobody else can found until the transaction ends."""
    await conn.execute("lock table access.operator in share row exclusive mode")
    return not await fetch_value(conn, "select exists (select from access.operator)")


async def insert_operator(conn: Conn, operator: Operator) -> bool:
    """A new operator; False when the login is taken."""
    done = await conn.execute(
        "insert into access.operator (id, login, company, companies, stores, roles, state,"
        " created_at, invitation, invited_until)"
        " values (%(id)s, %(login)s, %(company)s, %(companies)s::uuid[],"
        " %(stores)s::uuid[], %(roles)s::text[], %(state)s, %(created_at)s, %(invitation)s,"
        " %(invited_until)s) on conflict (login) do nothing",
        _row(operator),
    )
    return done.rowcount == 1


async def update_grant(conn: Conn, operator: Operator) -> None:
    """What an operator may do and see."""
    await conn.execute(
        "update access.operator set company = %(company)s, companies = %(companies)s::uuid[],"
        " stores = %(stores)s::uuid[], roles = %(roles)s::text[] where id = %(id)s",
        _row(operator),
    )


async def reset_operator(conn: Conn, ident: str, invitation: bytes, until: datetime) -> None:
    """Take the secrets away; the invitation opens the way to new ones."""
    await conn.execute(
        "update access.operator set state = 'invited', password_hash = null, totp_secret = null,"
        " tries = 0, locked_until = null, invitation = %s, invited_until = %s where id = %s",
        [invitation, until, ident],
    )


async def suspend_operator(conn: Conn, ident: str) -> None:
    """No more logins; a waiting invitation is void."""
    await conn.execute(
        "update access.operator set state = 'suspended', invitation = null, invited_until = null"
        " where id = %s",
        [ident],
    )


async def operator(conn: Conn, ident: str, *, lock: bool = False) -> Operator | None:
    """One operator."""
    row = await fetch_one(
        conn,
        dict,
        "select * from access.operator where id = %s for update"
        if lock
        else "select * from access.operator where id = %s",
        [ident],
    )
    return convert(row, Operator | None)


async def operator_by_login(conn: Conn, login: str) -> Operator | None:
    """One operator."""
    row = await fetch_one(conn, dict, "select * from access.operator where login = %s", [login])
    return convert(row, Operator | None)


async def login_taken(conn: Conn, login: str) -> bool:
    """Whether an operator has this login."""
    return await operator_by_login(conn, login) is not None


async def invited(conn: Conn, invitation: bytes, at: datetime) -> Operator | None:
    """Whom an invitation is for, if it is still good; their row is held."""
    row = await fetch_one(
        conn,
        dict,
        "select * from access.operator where invitation = %s and invited_until > %s"
        " and state = 'invited' for update",
        [invitation, at],
    )
    return convert(row, Operator | None)


async def enrol(
    conn: Conn, ident: str, name: bytes, password_hash: str, totp_secret: bytes
) -> None:
    """An invited operator has chosen a password; the invitation is used up."""
    await conn.execute(
        "update access.operator set state = 'active', name = %s, password_hash = %s,"
        " totp_secret = %s, totp_step = 0, tries = 0, locked_until = null,"
        " invitation = null, invited_until = null"
        " where id = %s",
        [name, password_hash, totp_secret, ident],
    )


async def list_operators(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    stores: Collection[str] | None,
    state: OperatorState | None,
    after: str | None,
    limit: int,
) -> list[Operator]:
    """Operators in id order after `after`, within these companies and stores."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from access.operator"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[])"
        "   and companies <@ %(companies)s::uuid[])"
        " and (%(stores)s::uuid[] is null or stores <@ %(stores)s::uuid[])"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "companies": _array(companies),
            "stores": _array(stores),
            "state": state,
            "after": after,
            "limit": limit,
        },
    )
    return convert(rows, list[Operator])


# --- logging in -------------------------------------------------------------


async def count_login(
    conn: Conn, login: str, at: datetime, tries_max: int, lock_until: datetime
) -> Operator | None:
    """Take one try, before anything is judged; None when the login is unknown or locked.

    The last try locks as it is taken: guesses that come together are counted
    one after another under the row's lock, so no more than `tries_max` pass.
    """
    row = await fetch_one(
        conn,
        dict,
        "update access.operator set"
        "  tries = case when locked_until is null then tries + 1 else 1 end,"
        "  locked_until = case when (case when locked_until is null then tries + 1 else 1 end)"
        "    >= %(max)s then %(lock)s else null end"
        " where login = %(login)s and (locked_until is null or locked_until <= %(at)s)"
        " returning *",
        {"login": login, "at": at, "max": tries_max, "lock": lock_until},
    )
    return convert(row, Operator | None)


async def take_step(conn: Conn, ident: str, step: int | None, password_hash: str) -> bool:
    """The right secrets were given: forget the tries, and use the TOTP step up.

    False when another login has used this step or a later one, or the password
    was changed meanwhile.
    """
    return bool(
        await fetch_value(
            conn,
            "update access.operator set tries = 0, locked_until = null,"
            " totp_step = coalesce(%(step)s, totp_step)"
            " where id = %(id)s and state = 'active' and password_hash = %(hash)s"
            " and (%(step)s::bigint is null or totp_step < %(step)s) returning 1",
            {"id": ident, "step": step, "hash": password_hash},
        )
    )


async def set_password(conn: Conn, ident: str, password_hash: str) -> None:
    """Another password."""
    await conn.execute(
        "update access.operator set password_hash = %s where id = %s", [password_hash, ident]
    )


# --- sessions ---------------------------------------------------------------


async def insert_session(conn: Conn, session: Session) -> None:
    """A session begins."""
    await conn.execute(
        "insert into access.session (id, operator, token_hash, created_at, seen_at, expires_at)"
        " values (%(id)s, %(operator)s, %(token_hash)s, %(created_at)s, %(seen_at)s,"
        " %(expires_at)s)",
        asdict(session),
    )


async def end_session(conn: Conn, token_hash: bytes, at: datetime) -> str | None:
    """A session ends; whose it was, or None when there is none to end."""
    owner: str | None = await fetch_value(
        conn,
        "update access.session set ended_at = %s where token_hash = %s and ended_at is null"
        " returning operator",
        [at, token_hash],
    )
    return owner


async def end_sessions(conn: Conn, operator: str, at: datetime) -> int:
    """All of an operator's sessions end."""
    done = await conn.execute(
        "update access.session set ended_at = %s where operator = %s and ended_at is null",
        [at, operator],
    )
    return done.rowcount


async def purge_sessions(conn: Conn, before: datetime, limit: int) -> int:
    """Forget sessions that ran out before a moment; the audit log keeps the logins."""
    done = await conn.execute(
        "delete from access.session where id in (select id from access.session"
        " where expires_at < %s order by expires_at limit %s for update skip locked)",
        [before, limit],
    )
    return done.rowcount


def _row(operator: Operator) -> dict[str, object]:
    row = asdict(operator)
    return row | {
        "companies": _array(operator.companies),
        "stores": _array(operator.stores),
        "roles": list(operator.roles),
    }


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else list(values)
