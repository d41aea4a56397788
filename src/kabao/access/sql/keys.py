"""API keys, what tokens stand for, and the revision that caches follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.access.model.people import ApiKey
from kabao.access.model.verbs import Role
from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value


class Bearer(msgspec.Struct, frozen=True):
    """What a token stands for, and the revision this was read at.

    A key is named by its own id, a session by its operator's. `session` is the
    session's id; `seen_at` is for sessions, `expires_at` may be None for keys.
    """

    id: str
    name: str
    company: str
    companies: tuple[str, ...] | None
    stores: tuple[str, ...] | None
    roles: tuple[Role, ...]
    verbs: tuple[str, ...]
    expires_at: datetime | None
    session: str | None
    seen_at: datetime | None
    revision: int


async def key_bearer(conn: Conn, token_hash: bytes) -> Bearer | None:
    """The living key of a token. Key and revision are read in one statement, so they agree."""
    row = await fetch_one(
        conn,
        dict,
        "select k.id, k.name, k.company, k.companies, k.stores, k.roles, k.verbs, k.expires_at,"
        "  null as session, k.used_at as seen_at,"
        "  coalesce((select revision from access.revision), 0) as revision"
        " from access.api_key k join access.operator o on o.id = k.owner"
        " where k.token_hash = %s and k.revoked_at is null and o.state <> 'suspended'",
        [token_hash],
    )
    return convert(row, Bearer | None)


async def session_bearer(conn: Conn, token_hash: bytes) -> Bearer | None:
    """The operator of an open session; the same as `key_bearer` besides."""
    row = await fetch_one(
        conn,
        dict,
        "select o.id, o.login as name, o.company, o.companies, o.stores, o.roles,"
        "  '{}'::text[] as verbs, s.expires_at, s.id as session, s.seen_at,"
        "  coalesce((select revision from access.revision), 0) as revision"
        " from access.session s join access.operator o on o.id = s.operator"
        " where s.token_hash = %s and s.ended_at is null and o.state = 'active'",
        [token_hash],
    )
    return convert(row, Bearer | None)


async def raise_revision(conn: Conn) -> None:
    """Tell every cache that something was taken away; holds the row until the commit."""
    await conn.execute(
        "insert into access.revision as r (id, revision) values (1, 1)"
        " on conflict (id) do update set revision = r.revision + 1"
    )


async def current_revision(conn: Conn) -> int:
    """The revision; 0 when nothing was ever taken away."""
    return await fetch_value(conn, "select revision from access.revision") or 0


async def note_use(
    conn: Conn, keys: Sequence[tuple[str, datetime]], sessions: Sequence[tuple[str, datetime]]
) -> None:
    """When keys and sessions were last used; never backwards."""
    for table, used in (("api_key", keys), ("session", sessions)):
        if used:
            ids, ats = [ident for ident, _ in used], [at for _, at in used]
            await conn.execute(_NOTE[table], {"ids": ids, "ats": ats})


_NOTE = {
    # Rows somebody else holds are left for the next time: two processes never wait in a circle.
    "api_key": "with held as (select id from access.api_key where id = any(%(ids)s::uuid[])"
    " for update skip locked), used as (select * from"
    " unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) as n (id, at))"
    " update access.api_key k set used_at = u.at from used u join held using (id)"
    " where k.id = u.id and (k.used_at is null or k.used_at < u.at)",
    "session": "with held as (select id from access.session where id = any(%(ids)s::uuid[])"
    " for update skip locked), used as (select * from"
    " unnest(%(ids)s::uuid[], %(ats)s::timestamptz[]) as n (id, at))"
    " update access.session s set seen_at = u.at from used u join held using (id)"
    " where s.id = u.id and s.seen_at < u.at",
}


async def person_and_company(conn: Conn, via: str) -> tuple[str | None, str | None]:
    """The operator behind a principal's id (themselves, or the owner of a key), and the
    company in whose name that principal acts.
    """
    row = await (
        await conn.execute(
            "select owner, company from access.api_key where id = %(id)s"
            " union all select id, company from access.operator where id = %(id)s",
            {"id": via},
        )
    ).fetchone()
    return (row[0], row[1]) if row else (None, None)


async def living_person(conn: Conn, via: str) -> str | None:
    """The same, unless the key was revoked or its owner suspended."""
    found: str | None = await fetch_value(
        conn,
        "select o.id from access.operator o where o.state <> 'suspended' and (o.id = %(id)s"
        " or o.id = (select owner from access.api_key where id = %(id)s and revoked_at is null))",
        {"id": via},
    )
    return found


async def insert_key(conn: Conn, key: ApiKey) -> None:
    """A new key."""
    row = asdict(key) | {
        "companies": _array(key.companies),
        "stores": _array(key.stores),
        "roles": list(key.roles),
        "verbs": list(key.verbs),
    }
    await conn.execute(
        "insert into access.api_key (id, name, hint, token_hash, owner, company, companies,"
        " stores, roles, verbs, created_at, expires_at)"
        " values (%(id)s, %(name)s, %(hint)s, %(token_hash)s, %(owner)s, %(company)s,"
        " %(companies)s::uuid[], %(stores)s::uuid[], %(roles)s::text[], %(verbs)s::text[],"
        " %(created_at)s, %(expires_at)s)",
        row,
    )


async def key(conn: Conn, ident: str) -> ApiKey | None:
    """One key."""
    row = await fetch_one(conn, dict, "select * from access.api_key where id = %s", [ident])
    return convert(row, ApiKey | None)


async def revoke_key(conn: Conn, ident: str, at: datetime) -> bool:
    """A key dies; False when it was dead."""
    done = await conn.execute(
        "update access.api_key set revoked_at = %s where id = %s and revoked_at is null",
        [at, ident],
    )
    return done.rowcount == 1


async def revoke_keys_of(conn: Conn, owner: str, at: datetime) -> int:
    """All keys of a person die."""
    done = await conn.execute(
        "update access.api_key set revoked_at = %s where owner = %s and revoked_at is null",
        [at, owner],
    )
    return done.rowcount


async def list_keys(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    stores: Collection[str] | None,
    owner: str | None,
    after: str | None,
    limit: int,
) -> list[ApiKey]:
    """Keys in id order after `after`, within these companies and stores, of this owner."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from access.api_key"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[])"
        "   and companies <@ %(companies)s::uuid[])"
        " and (%(stores)s::uuid[] is null or stores <@ %(stores)s::uuid[])"
        " and (%(owner)s::uuid is null or owner = %(owner)s::uuid)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "companies": _array(companies),
            "stores": _array(stores),
            "owner": owner,
            "after": after,
            "limit": limit,
        },
    )
    return convert(rows, list[ApiKey])


def _array(values: Collection[str] | None) -> list[str] | None:
    return None if values is None else list(values)
