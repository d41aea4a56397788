"""Tokens to principals, fast, and never from memory for longer than a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

import msgspec

from kabao.access.model.people import PeopleLimits
from kabao.access.model.scope import Grant, Scope, principal
from kabao.access.ops.tokens import TokenKind, kind_of, token_hash
from kabao.access.sql import keys as sql
from kabao.base.clock import US_PER_S, Clock, from_us, to_us
from kabao.base.db import Database
from kabao.base.errors import UNAVAILABLE, KabaoError
from kabao.base.web.principal import Principal

REFRESH_S = 0.4
"""How often a process looks for revocations (`Ring.refresh`)."""

TRUST_S = 1.0
"""How long an answer from memory is good after the last look. By the machine's
own clock: a simulated day must not make a revoked key live longer."""

KEPT_MAX = 10_000
"""Tokens remembered."""

FLUSH_S = 30.0
"""How often uses are written down; sessions within a minute, keys within an hour."""

_SESSION_GRAIN_US = 60 * US_PER_S
_KEY_GRAIN_US = 3_600 * US_PER_S
_NEVER_US = 2**62


class _Entry(msgspec.Struct):
    """A remembered token."""

    principal: Principal
    session: str | None
    until_us: int  # then the database is asked again
    end_us: int  # then it is over in any case
    idle_us: int  # 0 for keys
    used_us: int
    noted_us: int  # the last use the database knows of


class Ring:
    """The `KeyRing` of `base.web`: API keys and operators' sessions alike.

    Memory is emptied when the revision in the database has moved, which every
    revocation does in its own transaction. An answer is remembered only if it
    was read at the revision memory is at, so a slow reader cannot put back
    what has just been revoked.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        limits: Callable[[], PeopleLimits],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db, self._clock, self._limits, self._monotonic = db, clock, limits, monotonic
        self._entries: dict[bytes, _Entry] = {}
        self._revision = -1
        self._seen_at = self._flushed_at = self._failed_at = float("-inf")
        self._refreshing = asyncio.Lock()

    def cached(self, token: str) -> Principal | None:
        """The principal of a token, from memory; None means: ask `principal`."""
        entry = self._entries.get(token_hash(token))
        if entry is None or self._monotonic() - self._seen_at > TRUST_S:
            return None
        now_us = self._clock.now_us()
        if now_us >= entry.until_us:
            return None
        entry.used_us = now_us
        if entry.idle_us:
            entry.until_us = min(entry.end_us, now_us + entry.idle_us)
        return entry.principal

    async def principal(self, token: str) -> Principal | None:
        """The principal of a token, or None if it is unknown, expired, idle or revoked."""
        kind = kind_of(token)
        if kind is None or kind is TokenKind.INVITATION:
            return None
        if self._monotonic() - self._seen_at > TRUST_S:
            await self.refresh()
            if (found := self.cached(token)) is not None:
                return found
        hashed = token_hash(token)
        async with self._db.read() as conn:
            if kind is TokenKind.KEY:
                bearer = await sql.key_bearer(conn, hashed)
            else:
                bearer = await sql.session_bearer(conn, hashed)
        entry = None if bearer is None else self._entry(bearer)
        if bearer is None or entry is None:
            self._entries.pop(hashed, None)
            return None
        if bearer.revision >= self._revision:
            if len(self._entries) >= KEPT_MAX:
                self._entries.pop(next(iter(self._entries)))
            self._entries[hashed] = entry
        return entry.principal

    async def refresh(self) -> bool:
        """Look for revocations, and now and then write down what was used.

        Call it every `REFRESH_S`. True if memory was emptied.
        """
        asked = self._monotonic()
        async with self._refreshing:
            if self._seen_at >= asked:  # somebody looked while we waited
                return False
            if self._failed_at >= asked:  # or tried: a queue must not try one by one
                raise UNAVAILABLE.error()
            try:
                return await self._look()
            except KabaoError:
                self._failed_at = self._monotonic()
                raise

    async def _look(self) -> bool:
        # Taken before the look, or a slow answer would count as a fresh one.
        looked = self._monotonic()
        async with self._db.read() as conn:
            revision = await sql.current_revision(conn)
        entries, moved = self._entries, revision != self._revision
        if moved:
            self._entries = {}
        self._revision, self._seen_at = revision, looked
        if moved or looked - self._flushed_at >= FLUSH_S:
            self._flushed_at = looked
            with contextlib.suppress(KabaoError):  # a courtesy: it comes again
                await self._flush(list(entries.values()))
        return moved

    async def catch_up(self) -> None:
        """Refresh after an own commit. The change stands even if this fails."""
        self._seen_at = float("-inf")
        with contextlib.suppress(KabaoError):  # unseen: memory is not trusted until it works
            await self.refresh()

    def _entry(self, bearer: sql.Bearer) -> _Entry | None:
        """What to remember of a token; None when its time is over."""
        now_us = self._clock.now_us()
        end_us = to_us(bearer.expires_at) if bearer.expires_at else _NEVER_US
        seen_us = to_us(bearer.seen_at) if bearer.seen_at else 0
        idle_us = 0
        if bearer.session is not None:
            idle_us = self._limits().idle_minutes * 60 * US_PER_S
            if now_us >= seen_us + idle_us:
                return None
        if now_us >= end_us:
            return None
        scope = Scope(bearer.company, _set(bearer.companies), _set(bearer.stores))
        return _Entry(
            principal=principal(bearer.id, bearer.name, Grant(scope, bearer.roles, bearer.verbs)),
            session=bearer.session,
            until_us=min(end_us, now_us + idle_us) if idle_us else end_us,
            end_us=end_us,
            idle_us=idle_us,
            used_us=now_us,
            noted_us=seen_us,
        )

    async def _flush(self, entries: Iterable[_Entry]) -> None:
        """Write down what was used since it was last written down."""
        keys, sessions = [], []
        for entry in entries:
            grain_us = _SESSION_GRAIN_US if entry.session else _KEY_GRAIN_US
            if entry.used_us - entry.noted_us < grain_us:
                continue
            if entry.session:
                sessions.append((entry.session, from_us(entry.used_us)))
            else:
                keys.append((entry.principal.id, from_us(entry.used_us)))
            entry.noted_us = entry.used_us
        if keys or sessions:
            async with self._db.transaction() as conn:
                await sql.note_use(conn, keys, sessions)


def _set(values: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(values)
