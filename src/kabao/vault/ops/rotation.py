"""Rotation: new key versions, data keys re-wrapped while payments go on, old versions retired."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from kabao.base.clock import US_PER_S, Clock, rfc3339
from kabao.base.db import Database
from kabao.base.errors import KabaoError
from kabao.vault import sql
from kabao.vault.model import (
    GRACE_S,
    KEY_IN_USE,
    KEY_UNKNOWN,
    ROTATION_RUNNING,
    SEALED_BROKEN,
    CardKeyUse,
    KeyKind,
    Progress,
    RewrapTarget,
    Rotated,
    Status,
    Usage,
    kek_of_head,
)
from kabao.vault.ops.vault import Vault

BATCH = 200
"""Sealed values per transaction: a few milliseconds in which their rows are locked."""

PASSES = 5
"""How often a column is walked again for rows that were locked when their turn came."""

PAUSE_S = 0.5
"""Between two walks."""

BROKEN_SHOWN = 20


def ignore(_: Progress) -> None:
    """The progress callback of those who do not look."""


class Rotation:
    """The verbs behind `kabao vault status | rotate | retire`.

    `targets` are all sealed columns of all slices. Forgetting one makes its values miss the
    rotation, and then `retire` refuses: it looks at every column of the database.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        clock: Clock,
        targets: Sequence[RewrapTarget],
        card_key_uses: Sequence[CardKeyUse] = (),
        *,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._db, self._vault, self._clock, self._pause_s = db, vault, clock, pause_s
        self._targets, self._card_key_uses = tuple(targets), tuple(card_key_uses)

    async def status(self) -> Status:
        """Keys, and how many sealed values are under which KEK. Reads every sealed column."""
        vault = self._vault
        vault.reload()
        usage: list[Usage] = []
        for target in self._targets:
            usage += await self._usage(target)
        return Status(
            vault.suite, vault.kek_version, vault.card_key_version, vault.keys, tuple(usage)
        )

    async def rotate(self, progress: Callable[[Progress], None] = ignore) -> Rotated:
        """Add a KEK version and bring every sealed value under it.

        Safe while payments go on and safe to break off: when values are still under an older
        version, this finishes the rotation that was begun and adds none. Data is not encrypted
        again. Raises `vault_rotation_running` when another process is at it.
        """
        async with self._alone():
            self._vault.reload()
            walks = await self._walk_all(progress)
            add = not any(walk.done for walk in walks)
            if add:
                self._vault.store.add(KeyKind.KEK)
                self._vault.reload()
                async with self._db.transaction() as conn:
                    await self._vault.check(conn)
                walks = await self._walk_all(progress)
            broken = sorted(place for walk in walks for place in walk.broken)
            outdated = sum([await self._outdated(target) for target in self._targets])
            return Rotated(
                kek=self._vault.kek_version,
                added=add,
                rewrapped=sum(walk.done for walk in walks),
                left=outdated - len(broken),
                broken=len(broken),
                broken_at=tuple(broken[:BROKEN_SHOWN]),
            )

    async def _walk_all(self, progress: Callable[[Progress], None]) -> list[_Walk]:
        walks = []
        for target in self._targets:
            total = await self._outdated(target)
            walks.append(_Walk(self._db, self._vault, target, total, progress))
            await walks[-1].run(self._pause_s)
        return walks

    async def rotate_card_key(self) -> int:
        """Add a master key version for card values and say its number (P-22).

        New cards get values of it; the values of older versions stay good until retired.
        """
        return await self._next(KeyKind.CARD_VALUE)

    async def rotate_signature(self) -> int:
        """Add a signing key version and say its number.

        What older versions signed stays good: a signature is checked with the public key alone.
        """
        return await self._next(KeyKind.SIGNATURE)

    async def _next(self, kind: KeyKind) -> int:
        async with self._alone():
            version = self._vault.store.add(kind)
            self._vault.reload()
            async with self._db.transaction() as conn:
                await self._vault.check(conn)
            return version

    async def retire(self, version: int) -> None:
        """Destroy an old KEK version. Raises `vault_key_in_use` while anything needs it.

        Back-ups of the database from before the rotation need the version: keep the key file's
        back-up from then as long as those.
        """
        async with self._alone():
            self._must_be_old(KeyKind.KEK, version)
            declared = {(t.schema, t.table, t.sealed_column) for t in self._targets}
            async with self._db.read() as conn:
                for column in await sql.bytea_columns(conn):
                    count = await sql.count_under(conn, column, version)
                    if count:
                        known = "" if column in declared else " (not declared to the rotation)"
                        raise KEY_IN_USE.error(
                            f"{count} values in {'.'.join(column)}{known} are still under KEK "
                            f"version {version}. Run: kabao vault rotate",
                            rule="P-22",
                        )
            self._vault.store.retire(KeyKind.KEK, version)
            self._vault.reload()

    async def retire_card_key(self, version: int) -> None:
        """Destroy an old master key version. Raises `vault_key_in_use` while a card needs it."""
        assert self._card_key_uses, "nobody said where cards keep their key version"
        async with self._alone():
            self._must_be_old(KeyKind.CARD_VALUE, version)
            async with self._db.read() as conn:
                for use in self._card_key_uses:
                    count = await sql.cards_under(conn, use, version)
                    if count:
                        raise KEY_IN_USE.error(
                            f"{count} cards in {use} carry values of version {version}.",
                            rule="P-22",
                        )
            self._vault.store.retire(KeyKind.CARD_VALUE, version)
            self._vault.reload()

    def _must_be_old(self, kind: KeyKind, version: int) -> None:
        """Known, not the newest, and long enough without new uses that none is on its way."""
        self._vault.reload()
        alive = [i for i in self._vault.keys if i.kind is kind and i.retired_at_us is None]
        if not any(info.version == version for info in alive):
            raise KEY_UNKNOWN.error(f"There is no {kind} of version {version} to retire.")
        later = [info.created_at_us for info in alive if info.version > version]
        if not later:
            raise KEY_IN_USE.error(f"The newest {kind} cannot be retired.", rule="P-22")
        from_us = min(later) + GRACE_S * US_PER_S
        if self._clock.now_us() < from_us:
            raise KEY_IN_USE.error(
                f"Running processes may still use {kind} version {version}; "
                f"it can be retired from {rfc3339(from_us)}.",
                rule="P-22",
            )

    async def _usage(self, target: RewrapTarget) -> list[Usage]:
        async with self._db.read() as conn:
            heads = await sql.usage(conn, target)
        counts: dict[int | None, int] = {}
        for head, count in heads:
            kek = kek_of_head(head)
            counts[kek] = counts.get(kek, 0) + count
        return [Usage(str(target), kek, count) for kek, count in counts.items()]

    async def _outdated(self, target: RewrapTarget) -> int:
        newest = self._vault.kek_version
        return sum(u.count for u in await self._usage(target) if u.kek not in (None, newest))

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the rotation's lock: a connection of its own, gone when this process is."""
        conn = await self._db.connect()
        try:
            if not await sql.lock_rotation(conn):
                raise ROTATION_RUNNING.error()
            await conn.commit()  # the lock is the session's; no transaction stays open
            yield
        finally:
            await conn.close()


class _Walk:
    """One column brought under the newest KEK, in batches."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        target: RewrapTarget,
        total: int,
        progress: Callable[[Progress], None],
    ) -> None:
        self._db, self._vault, self._target = db, vault, target
        self._total, self._progress = total, progress
        self.done = 0
        self.broken: set[str] = set()

    async def run(self, pause_s: float) -> None:
        """Walk until nothing is left that can be moved."""
        for turn in range(PASSES):
            if turn:
                await asyncio.sleep(pause_s)
            missed, after = False, None
            while True:
                async with self._db.read() as conn:
                    rows = await sql.outdated(
                        conn, self._target, self._vault.kek_version, after, BATCH
                    )
                if not rows:
                    break
                after = rows[-1][0]
                missed |= await self._batch(rows)
            if not missed:
                return

    async def _batch(self, rows: list[tuple[object, bytes]]) -> bool:
        """Re-wrap and store; whether some were locked or changed by others."""
        changes = []
        for ident, old in rows:
            try:
                changes.append((ident, old, self._vault.rewrap(old)))
            except KabaoError as bad:
                if bad.code not in (SEALED_BROKEN, KEY_UNKNOWN):
                    raise
                self.broken.add(f"{self._target} {ident}")
        if not changes:
            return False
        async with self._db.transaction() as conn:
            moved = await sql.swap(conn, self._target, changes)
        self.done += moved
        self._progress(Progress(str(self._target), self.done, max(self._total, self.done)))
        return moved < len(changes)
