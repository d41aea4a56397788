"""Statements of `evidence`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value, uuid_array
from kabao.evidence.model import Leaf


class Tree(msgspec.Struct, frozen=True):
    """A tree's head, as stored."""

    no: int
    leaves: int
    root: bytes
    previous: bytes
    signed_at: datetime
    key: int
    public_key: bytes
    signature: bytes


_TREE: LiteralString = """
select no, leaves, root, previous, signed_at, key, public_key, signature from evidence.tree
"""
_LEAF: LiteralString = "select op, subject, topup, digest, tree, place from evidence.leaf "


async def last_tree(conn: Conn) -> Tree | None:
    """The newest head."""
    return await fetch_one(conn, Tree, _TREE + "order by no desc limit 1")


async def tree(conn: Conn, no: int) -> Tree | None:
    """A head by its number."""
    return await fetch_one(conn, Tree, _TREE + "where no = %s", [no])


async def trees(conn: Conn, after: int, limit: int) -> list[Tree]:
    """Heads after a number, in order."""
    return await fetch_all(conn, Tree, _TREE + "where no > %s order by no limit %s", [after, limit])


async def insert_tree(conn: Conn, made: Tree) -> None:
    """A new head. Its number is taken once: of two writers one fails."""
    await conn.execute(
        "insert into evidence.tree (no, leaves, root, previous, signed_at, key, public_key,"
        " signature) values (%(no)s, %(leaves)s, %(root)s, %(previous)s, %(signed_at)s, %(key)s,"
        " %(public_key)s, %(signature)s)",
        msgspec.structs.asdict(made),
    )


async def insert_leaves(conn: Conn, no: int, leaves: Sequence[Leaf]) -> None:
    """The leaves of a new tree, in their places."""
    await conn.execute(
        """
        insert into evidence.leaf (op, subject, topup, digest, tree, place)
        select op, subject, topup, decode(digest, 'hex'), %s, n - 1
        from unnest(%s::uuid[], %s::uuid[], %s::bool[], %s::text[]) with ordinality
          as l (op, subject, topup, digest, n)
        """,
        [
            no,
            uuid_array([leaf.op for leaf in leaves]),
            uuid_array([leaf.subject for leaf in leaves]),
            [leaf.topup for leaf in leaves],
            [leaf.digest.hex() for leaf in leaves],
        ],
    )


async def known(conn: Conn, ops: Sequence[str]) -> dict[str, Leaf]:
    """The leaves there are of these operations."""
    found = await fetch_all(conn, Leaf, _LEAF + "where op = any(%s::uuid[])", [uuid_array(ops)])
    return {leaf.op: leaf for leaf in found}


async def digests(conn: Conn, no: int) -> list[bytes]:
    """The digests of a tree, by place."""
    cursor = await conn.execute(
        "select digest from evidence.leaf where tree = %s order by place", [no]
    )
    return [row[0] for row in await cursor.fetchall()]


async def add_copy(conn: Conn, op: str, at: datetime, by: str) -> int:
    """Count one more printing; the how-manieth it is. Two at once get two numbers."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"copy {op}"])
    n = await fetch_value(
        conn,
        "insert into evidence.copy (op, n, printed_at, printed_by)"
        " select %(op)s, coalesce(max(n), 0) + 1, %(at)s, %(by)s from evidence.copy"
        " where op = %(op)s returning n",
        {"op": op, "at": at, "by": by},
    )
    return int(n)
