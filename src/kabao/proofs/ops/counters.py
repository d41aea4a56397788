"""Counters that are exact however many ask at once."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.proofs import sql
from kabao.proofs.model import Hit
from kabao.vault.ops import Vault


class Counters:
    """Hits of a name by a subject within a window.

    Subjects (terminals, phones, addresses, ids) are stored under a keyed hash,
    so the table tells nothing about people.
    """

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db, self._vault, self._clock = db, vault, clock

    async def hit(self, conn: Conn, name: str, subject: str, window: timedelta, limit: int) -> Hit:
        """Count one hit. The subject's row stays locked until the transaction ends.

        The count stands only if the caller commits: whoever refuses by raising
        an error must use `hit_now` instead, or refused guesses are not counted.
        """
        at = now(self._clock)
        count, until = await sql.hit(
            conn, name, self._key(name, subject), at, at + window, limit + 1
        )
        return Hit(count, limit, until)

    async def hit_now(self, name: str, subject: str, window: timedelta, limit: int) -> Hit:
        """Count one hit in a transaction of its own, whatever the caller does next.

        Takes a connection of the pool: never call it inside a transaction.
        """
        async with self._db.transaction() as conn:
            return await self.hit(conn, name, subject, window, limit)

    async def look(self, conn: Conn, name: str, subject: str, limit: int) -> Hit | None:
        """Where a counter stands, without counting; None when no window is open."""
        found = await sql.hits(conn, name, self._key(name, subject), now(self._clock))
        return Hit(found[0], limit, found[1]) if found else None

    async def clear(self, conn: Conn, name: str, subject: str) -> None:
        """Begin anew, as after the right secret."""
        await sql.clear(conn, name, self._key(name, subject))

    def _key(self, name: str, subject: str) -> bytes:
        return self._vault.mac("proofs.counter", name.encode(), subject.encode())
