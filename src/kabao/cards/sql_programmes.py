"""Statements on programmes and their number ranges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import LiteralString

import msgspec
from psycopg.types.json import Jsonb

from kabao.base.db import Conn, fetch_all, fetch_value, text_array
from kabao.cards.model import Programme, ProgrammeState, Version
from kabao.cards.sql import row, rows


async def next_revision(conn: Conn) -> int:
    """Take the revision row: changes of programmes happen one after another."""
    value = await fetch_value(
        conn,
        "insert into cards.revision (id, revision) values (1, 1)"
        " on conflict (id) do update set revision = cards.revision.revision + 1"
        " returning revision",
    )
    return int(value)


async def current_revision(conn: Conn) -> int:
    """The revision of the last committed change; 0 before the first."""
    return int(await fetch_value(conn, "select revision from cards.revision") or 0)


_PROGRAMME: LiteralString = (
    "select id, issuer, card_class, currency, jurisdiction, state, version, terms, created_at,"
    " changed_at, revision from cards.programme"
)


async def programme(conn: Conn, ident: str) -> Programme | None:
    """A programme as it is now."""
    return await row(conn, Programme, _PROGRAMME + " where id = %s", [ident])


async def lock_programme(conn: Conn, ident: str) -> Programme | None:
    """A programme, so that nobody else changes it meanwhile."""
    return await row(conn, Programme, _PROGRAMME + " where id = %s for update", [ident])


async def programmes_since(conn: Conn, revision: int) -> list[Programme]:
    """Programmes changed after a revision."""
    return await rows(conn, Programme, _PROGRAMME + " where revision > %s", [revision])


async def programmes_of(conn: Conn, ids: Collection[str]) -> list[Programme]:
    """Programmes by id."""
    return await rows(
        conn, Programme, _PROGRAMME + " where id = any(%s::uuid[])", [text_array(list(ids))]
    )


async def list_programmes(
    conn: Conn,
    *,
    issuers: Collection[str] | None,
    state: ProgrammeState | None,
    after: str | None,
    limit: int,
) -> list[Programme]:
    """Programmes in id order, at most `limit`, of these issuers."""
    return await rows(
        conn,
        Programme,
        _PROGRAMME + " where (%(issuers)s::uuid[] is null or issuer = any(%(issuers)s::uuid[]))"
        " and (%(state)s::text is null or state = %(state)s)"
        " and (%(after)s::uuid is null or id > %(after)s::uuid) order by id limit %(limit)s",
        {
            "issuers": None if issuers is None else list(issuers),
            "state": state,
            "after": after,
            "limit": limit,
        },
    )


async def insert_programme(conn: Conn, new: Programme) -> None:
    """A new programme."""
    await conn.execute(
        "insert into cards.programme (id, issuer, card_class, currency, jurisdiction, state,"
        " version, terms, created_at, changed_at, revision) values (%(id)s, %(issuer)s,"
        " %(card_class)s, %(currency)s, %(jurisdiction)s, %(state)s, %(version)s, %(terms)s,"
        " %(created_at)s, %(changed_at)s, %(revision)s)",
        msgspec.structs.asdict(new) | {"terms": Jsonb(msgspec.to_builtins(new.terms))},
    )


async def update_programme(conn: Conn, changed: Programme) -> None:
    """The programme as it now is; issuer, class, currency and jurisdiction never change."""
    await conn.execute(
        "update cards.programme set state = %(state)s, version = %(version)s, terms = %(terms)s,"
        " changed_at = %(changed_at)s, revision = %(revision)s where id = %(id)s",
        msgspec.structs.asdict(changed) | {"terms": Jsonb(msgspec.to_builtins(changed.terms))},
    )


async def insert_version(conn: Conn, version: Version) -> None:
    """What the programme is from now on, on record for ever."""
    await conn.execute(
        "insert into cards.programme_version (programme, version, state, terms, changed_at,"
        " changed_by, approval) values (%(programme)s, %(version)s, %(state)s, %(terms)s,"
        " %(changed_at)s, %(changed_by)s, %(approval)s)",
        msgspec.structs.asdict(version) | {"terms": Jsonb(msgspec.to_builtins(version.terms))},
    )


async def versions(conn: Conn, programme: str) -> list[Version]:
    """All that a programme has been, oldest first."""
    return await rows(
        conn,
        Version,
        "select programme, version, state, terms, changed_at, changed_by, approval"
        " from cards.programme_version where programme = %s order by version",
        [programme],
    )


# --- number ranges -------------------------------------------------------------------


class NumberRange(msgspec.Struct, frozen=True):
    """A prefix, and how many numbers were ever drawn from it."""

    prefix: str
    number_length: int
    issued: int


async def clashing_prefix(conn: Conn, programme: str, prefixes: Sequence[str]) -> str | None:
    """A prefix among these that shares numbers with another programme's, or None.

    Whoever adds prefixes has taken `next_revision` first: nobody else does so meanwhile.
    """
    found = await fetch_value(
        conn,
        "select min(p.prefix) from unnest(%s::text[]) as p (prefix)"
        " join cards.number_range r on starts_with(r.prefix, p.prefix)"
        " or starts_with(p.prefix, r.prefix)"
        " where r.programme <> %s or r.prefix <> p.prefix",
        [list(prefixes), programme],
    )
    return None if found is None else str(found)


async def add_ranges(conn: Conn, programme: str, prefixes: Sequence[str], length: int) -> None:
    """Prefixes the programme draws from; those it has already stay as they are."""
    await conn.execute(
        "insert into cards.number_range (prefix, programme, number_length)"
        " select prefix, %s, %s from unnest(%s::text[]) as p (prefix) on conflict do nothing",
        [programme, length, list(prefixes)],
    )


async def lock_ranges(conn: Conn, programme: str, prefixes: Sequence[str]) -> list[NumberRange]:
    """A programme's ranges that are in use, for whoever is about to draw from them."""
    return await fetch_all(
        conn,
        NumberRange,
        "select prefix, number_length, issued from cards.number_range"
        " where programme = %s and prefix = any(%s::text[]) order by prefix for update",
        [programme, list(prefixes)],
    )


async def ranges(conn: Conn, programme: str, prefixes: Sequence[str]) -> list[NumberRange]:
    """A programme's ranges that are in use, only to look at."""
    return await fetch_all(
        conn,
        NumberRange,
        "select prefix, number_length, issued from cards.number_range"
        " where programme = %s and prefix = any(%s::text[]) order by prefix",
        [programme, list(prefixes)],
    )


async def count_issued(conn: Conn, drawn: Sequence[tuple[str, int]]) -> None:
    """Remember how many numbers were drawn from each prefix."""
    await conn.execute(
        "update cards.number_range r set issued = r.issued + d.n"
        " from unnest(%s::text[], %s::int[]) as d (prefix, n) where r.prefix = d.prefix",
        [[prefix for prefix, _ in drawn], [n for _, n in drawn]],
    )
