"""The vault's statements.

The rotation is the one place in Kabao that touches other slices' schemas: it must change the
wrapped data key inside their sealed columns, and knows nothing else about them. Which columns
those are, each slice declares (`model.RewrapTarget`); names are composed as identifiers. In SQL
a sealed value is known by its first bytes: layout 1, suite 1 or 2, the KEK's version.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import sql

from kabao.base.db import Conn, fetch_all, fetch_value
from kabao.vault.model import (
    MIN_SEALED_BYTES,
    CardKeyUse,
    RewrapTarget,
    kek_bytes,
)

ROTATION_LOCK = 0x6B61_6261_6F01
"""The advisory lock that only one rotation or retirement holds."""


class KeyCheck(msgspec.Struct, frozen=True):
    """A row of `vault.key_check`."""

    kind: str
    version: int
    algorithm: str
    check_value: str


async def key_checks(conn: Conn) -> list[KeyCheck]:
    """Every key this database has met."""
    return await fetch_all(
        conn, KeyCheck, "select kind, version, algorithm, check_value from vault.key_check"
    )


async def add_key_checks(conn: Conn, checks: Sequence[KeyCheck], at: datetime) -> None:
    """Remember keys; one already remembered stays as it was."""
    await conn.execute(
        """
        insert into vault.key_check (kind, version, algorithm, check_value, first_seen_at)
        select kind, version, algorithm, check_value, %s
        from unnest(%s::text[], %s::int[], %s::text[], %s::text[])
             as fresh (kind, version, algorithm, check_value)
        on conflict do nothing
        """,
        [
            at,
            [check.kind for check in checks],
            [check.version for check in checks],
            [check.algorithm for check in checks],
            [check.check_value for check in checks],
        ],
    )


async def lock_rotation(conn: Conn) -> bool:
    """Take the rotation's lock for as long as the connection lives."""
    return bool(await fetch_value(conn, "select pg_try_advisory_lock(%s)", [ROTATION_LOCK]))


async def usage(conn: Conn, target: RewrapTarget) -> list[tuple[bytes, int]]:
    """Counts of sealed values by their first four bytes. Reads the whole table."""
    query = sql.SQL(
        """
        select substring({sealed} from 1 for 4), count(*)
        from {table} where {sealed} is not null group by 1 order by 1
        """
    ).format(sealed=sql.Identifier(target.sealed_column), table=_table(target))
    rows = await (await conn.execute(query)).fetchall()
    return [(bytes(head), count) for head, count in rows]


async def outdated(
    conn: Conn, target: RewrapTarget, kek: int, after: object, limit: int
) -> list[tuple[Any, bytes]]:
    """The next `(id, sealed value)` under any other KEK than this, in order of id."""
    query = sql.SQL(
        """
        select {id}, {sealed} from {table}
        where {after} substring({sealed} from 1 for 2) in ('\\x0101', '\\x0102')
          and substring({sealed} from 3 for 2) <> %(kek)s
        order by {id} limit %(limit)s
        """
    ).format(
        id=sql.Identifier(target.id_column),
        sealed=sql.Identifier(target.sealed_column),
        table=_table(target),
        after=sql.SQL("")
        if after is None
        else sql.SQL("{id} > %(after)s::{type} and").format(
            id=sql.Identifier(target.id_column), type=sql.SQL(target.id_type.value)
        ),
    )
    params = {
        "kek": kek_bytes(kek),
        "after": after,
        "limit": limit,
    }
    rows = await (await conn.execute(query, params)).fetchall()
    return [(ident, bytes(sealed)) for ident, sealed in rows]


async def swap(
    conn: Conn, target: RewrapTarget, changes: Sequence[tuple[object, bytes, bytes]]
) -> int:
    """Replace sealed values `(id, old, new)` where the old one still stands; how many did.

    Rows that others hold are skipped and none is waited for, so that this can be in no deadlock
    and holds up nobody for longer than one statement. A row changed meanwhile keeps its change.
    """
    query = sql.SQL(
        """
        with free as materialized (
            select {id} as id from {table} where {id} = any(%(ids)s::{type}[])
            order by {id} for no key update skip locked
        )
        update {table} as kept set {sealed} = change.new
        from free join unnest(%(ids)s::{type}[], %(old)s::bytea[], %(new)s::bytea[])
             as change (id, old, new) on change.id = free.id
        where kept.{id} = free.id and kept.{sealed} = change.old
        """
    ).format(
        id=sql.Identifier(target.id_column),
        sealed=sql.Identifier(target.sealed_column),
        table=_table(target),
        type=sql.SQL(target.id_type.value),
    )
    done = await conn.execute(
        query,
        {
            "ids": [ident for ident, _, _ in changes],
            "old": [old for _, old, _ in changes],
            "new": [new for _, _, new in changes],
        },
    )
    return done.rowcount


async def bytea_columns(conn: Conn) -> list[tuple[str, str, str]]:
    """Every `(schema, table, column)` of this database that could hold a sealed value."""
    rows = await (
        await conn.execute(
            r"""
            select n.nspname, c.relname, a.attname
            from pg_attribute a
            join pg_class c on c.oid = a.attrelid
            join pg_namespace n on n.oid = c.relnamespace
            where a.atttypid = 'bytea'::regtype and a.attnum > 0 and not a.attisdropped
              and c.relkind in ('r', 'p') and not c.relispartition
              and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
            order by 1, 2, 3
            """
        )
    ).fetchall()
    return [(schema, table, column) for schema, table, column in rows]


async def count_under(conn: Conn, column: tuple[str, str, str], kek: int) -> int:
    """How many values of a bytea column are sealed under a KEK. Reads the whole table."""
    schema, table, name = column
    query = sql.SQL(
        """
        select count(*) from {table}
        where substring({column} from 1 for 2) in ('\\x0101', '\\x0102')
          and substring({column} from 3 for 2) = %s and octet_length({column}) >= %s
        """
    ).format(table=sql.Identifier(schema, table), column=sql.Identifier(name))
    params = [kek_bytes(kek), MIN_SEALED_BYTES]
    row = await (await conn.execute(query, params)).fetchone()
    assert row is not None
    return int(row[0])


async def cards_under(conn: Conn, use: CardKeyUse, version: int) -> int:
    """How many cards still carry a value of a master key version."""
    query = sql.SQL("select count(*) from {table} where {column} = %s").format(
        table=sql.Identifier(use.schema, use.table), column=sql.Identifier(use.version_column)
    )
    row = await (await conn.execute(query, [version])).fetchone()
    assert row is not None
    return int(row[0])


def _table(target: RewrapTarget) -> sql.Identifier:
    return sql.Identifier(target.schema, target.table)
