"""Bulk issue: a million cards in chunks, each a transaction, and their secrets once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta

import msgspec

from kabao.base import outbox
from kabao.base.clock import now
from kabao.base.db import Conn
from kabao.base.errors import INVALID, NOT_FOUND, KabaoError
from kabao.base.outbox import Pending
from kabao.cards import sql_batches as sql
from kabao.cards import sql_programmes
from kabao.cards.claims import By
from kabao.cards.model import (
    APPROVAL_NEEDED,
    BATCH_STOPPED,
    BATCH_TOO_LARGE,
    CHUNK_COLUMN,
    CHUNK_TABLE,
    SECRETS_GONE,
    Batch,
    BatchState,
    NewBatch,
    Secrets,
)
from kabao.cards.ops.issue import Blank, Drawn, Issuing
from kabao.cards.states import Reason
from kabao.cards.terms import first_state
from kabao.policy.model import Rules
from kabao.policy.names import (
    APPROVAL_ACTIONS,
    APPROVAL_ISSUE_FROM_COUNT,
    CARD_ISSUE_BATCH_MAX_COUNT,
    HTTP_SECRET_REVEAL_HOURS,
)

ISSUE_ACTION = "bulk_issue"
"""What an approval of a bulk issue is called in policy `approval.actions`."""

CHUNK = 5_000
"""Cards in one transaction: what a crash can undo, and what memory must hold."""

Told = Callable[[int, int], None]
"""Called after every chunk with the cards made so far and the cards asked for."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """The secrets of a chunk, as they are sealed."""

    expires_on: date | None
    key_version: int
    cards: list[tuple[str, str, str]]
    """Card, number, PIN, in order of their serials."""


class Batches(Issuing):
    """Bulk issue. `open_batch` decides, `run_batch` makes, `reveal_batch` shows once."""

    async def check_batch(self, conn: Conn, new: NewBatch) -> Rules:
        """Whether a bulk issue is possible now; the rules it stands under.

        Raises as `open_batch`, but for `approval_needed`.
        """
        programme = await self.find_programme(conn, new.programme)
        self.check_issue(programme, new.carrier)
        rules = self.rules_of(programme, self.today(programme))
        if new.count < 1:
            raise INVALID.error("A batch has one card or more.", field="count")
        if new.count > rules.int(CARD_ISSUE_BATCH_MAX_COUNT):
            raise BATCH_TOO_LARGE.error(
                f"At most {rules.int(CARD_ISSUE_BATCH_MAX_COUNT)} cards at once.",
                rule=rules.row(CARD_ISSUE_BATCH_MAX_COUNT),
                field="count",
            )
        ranges = await sql_programmes.ranges(conn, programme.id, programme.terms.prefixes)
        self._shares(ranges, rules, new.count)
        return rules

    async def open_batch(self, conn: Conn, new: NewBatch, by: By) -> Batch:
        """Decide a bulk issue; the executor of its approval calls this. It makes nothing yet.

        Raises:
            KabaoError: `not_found`, `programme_state`, `carrier_not_offered`,
                `stopped`, `invalid`, `batch_too_large`, `number_range_full`,
                `approval_needed`.
        """
        rules = await self.check_batch(conn, new)
        bulk = new.count >= rules.int(APPROVAL_ISSUE_FROM_COUNT)
        if bulk and by.approval is None and ISSUE_ACTION in rules.texts(APPROVAL_ACTIONS):
            raise APPROVAL_NEEDED.error(rule=rules.row(APPROVAL_ISSUE_FROM_COUNT), field="count")
        batch = Batch(
            id=self._ids.new(),
            programme=new.programme,
            carrier=new.carrier,
            reference=new.reference,
            location=new.location,
            requested=new.count,
            issued=0,
            state=BatchState.RUNNING,
            created_by=by.actor,
            approval=by.approval,
            created_at=now(self._clock),
            ended_at=None,
        )
        await sql.insert_batch(conn, batch)
        return batch

    async def run_batch(self, ident: str, told: Told | None = None) -> Batch:
        """Make the cards of a batch that are not made yet, chunk by chunk.

        After a crash it goes on where the last chunk was committed; two
        processes at one batch only get in each other's way. Opens its own
        transactions: not for use inside one.

        Raises:
            KabaoError: `not_found`, `batch_stopped`, and as `issue`: the batch
                then waits to be run again.
        """
        batch = await self._batch(ident)
        while batch.state is BatchState.RUNNING:
            batch = await self._make_chunk(batch)
            if told is not None:
                told(batch.issued, batch.requested)
        if batch.state is BatchState.STOPPED:
            raise BATCH_STOPPED.error()
        return batch

    async def issue_batch(self, new: NewBatch, by: By, told: Told | None = None) -> Batch:
        """Decide and make a bulk issue, in transactions of its own."""
        async with self._db.transaction() as conn:
            batch = await self.open_batch(conn, new, by)
        return await self.run_batch(batch.id, told)

    async def stop_batch(self, conn: Conn, ident: str) -> Batch:
        """Make no more cards of a batch; those made stay. Raises `not_found`."""
        batch = await sql.lock_batch(conn, ident)
        if batch is None:
            raise NOT_FOUND.error("There is no such batch.")
        if batch.state is BatchState.RUNNING:
            at = now(self._clock)
            batch = msgspec.structs.replace(batch, state=BatchState.STOPPED, ended_at=at)
            await sql.advance_batch(conn, ident, batch.issued, batch.state, at)
        return batch

    async def find_batch(self, conn: Conn, ident: str) -> Batch:
        """A bulk issue as it stands. Raises `not_found`."""
        found = await sql.batch(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such batch.")
        return found

    async def unfinished_batches(self, conn: Conn) -> list[Batch]:
        """What a job runs on: batches just decided, or left behind by a crash."""
        return await sql.unfinished_batches(conn)

    async def run_unfinished(self) -> int:
        """Go on with every batch that runs, for a job; how many are done now.

        One that is refused, because its programme is suspended or its ranges
        are full, waits and does not hold up the others.
        """
        async with self._db.read() as conn:
            waiting = await sql.unfinished_batches(conn)
        done = 0
        for batch in waiting:
            with contextlib.suppress(KabaoError):
                done += (await self.run_batch(batch.id)).state is BatchState.DONE
        return done

    async def _batch(self, ident: str) -> Batch:
        async with self._db.read() as conn:
            return await self.find_batch(conn, ident)

    async def _make_chunk(self, seen: Batch) -> Batch:
        """One transaction's worth of cards. The drawing, most of the work, comes before it."""
        async with self._db.read() as conn:
            programme = await self.find_programme(conn, seen.programme)
            ranges = await sql_programmes.ranges(conn, programme.id, programme.terms.prefixes)
        self.check_issue(programme, seen.carrier)
        rules = self.rules_of(programme, self.today(programme))
        count = min(CHUNK, seen.requested - seen.issued)
        shares = self._shares(ranges, rules, count)
        drawn = await self.draw_many(rules, shares)
        blank = Blank(
            programme=programme,
            carrier=seen.carrier,
            state=first_state(programme, seen.carrier, identified=False),
            reason=Reason.ISSUED,
            expires_on=self.expiry(programme, rules),
            location=seen.location,
            batch=seen.id,
            first_serial=seen.issued + 1,
        )
        async with self._db.transaction() as conn:
            batch = await sql.lock_batch(conn, seen.id)
            assert batch is not None, "batches are never deleted"
            if batch.state is not BatchState.RUNNING or batch.issued != seen.issued:
                return batch  # somebody else went on with it, or stopped it
            locked = await self.lock_numbers(conn, programme)
            if not self._fits(locked, shares, rules):
                return batch  # somebody else took the room meanwhile: share out again
            await sql_programmes.count_issued(conn, [(share.prefix, n) for share, n in shares])
            await self._store_chunk(conn, batch, blank, drawn, rules)
            return await self._advance(conn, batch, len(drawn))

    async def _store_chunk(
        self, conn: Conn, batch: Batch, blank: Blank, drawn: list[Drawn], rules: Rules
    ) -> None:
        at, key_version = now(self._clock), self._vault.card_key_version
        await self.store(conn, blank, drawn, at, key_version)
        held = _Sealed(blank.expires_on, key_version, [(d.card, d.number, d.pin) for d in drawn])
        ident = self._ids.new()
        sealed = self._vault.encrypt(CHUNK_TABLE, CHUNK_COLUMN, ident, msgspec.msgpack.encode(held))
        wipe_at = at + timedelta(hours=rules.int(HTTP_SECRET_REVEAL_HOURS))
        await sql.insert_chunk(conn, ident, batch.id, batch.issued + 1, len(drawn), sealed, wipe_at)
        payload = {
            "batch": batch.id,
            "programme": batch.programme,
            "carrier": batch.carrier,
            "first": batch.issued + 1,
            "last": batch.issued + len(drawn),
        }
        await outbox.write(conn, [Pending("card.batch_issued", payload)], self._clock.now_us())

    async def _advance(self, conn: Conn, batch: Batch, made: int) -> Batch:
        done = batch.issued + made == batch.requested
        advanced = msgspec.structs.replace(
            batch,
            issued=batch.issued + made,
            state=BatchState.DONE if done else BatchState.RUNNING,
            ended_at=now(self._clock) if done else None,
        )
        await sql.advance_batch(conn, batch.id, advanced.issued, advanced.state, advanced.ended_at)
        return advanced

    # --- secrets, once ------------------------------------------------------------------

    async def reveal_batch(self, conn: Conn, ident: str) -> AsyncIterator[Secrets]:
        """The numbers, PINs, tracks and barcodes of a batch, in order of serials, once.

        For whoever prints the cards. What was shown is wiped in the caller's
        transaction: commit when the file is safe, roll back when it is not.
        A caller at a door sees to the second person.

        Raises:
            KabaoError: `not_found`, `secrets_gone` when not all are there.
        """
        batch = await self.find_batch(conn, ident)
        programme = await self.find_programme(conn, batch.programme)
        at = now(self._clock)
        made, there = await sql.chunks_with_secrets(conn, ident, at)
        if there == 0 or there < made:
            raise SECRETS_GONE.error()
        while (chunk := await sql.next_chunk_with_secrets(conn, ident, at)) is not None:
            chunk_id, serial, sealed = chunk
            opened = self._vault.decrypt(CHUNK_TABLE, CHUNK_COLUMN, chunk_id, sealed)
            held = msgspec.msgpack.decode(opened, type=_Sealed)
            for card, number, pin in held.cards:
                yield self.secrets(
                    programme,
                    card,
                    number,
                    pin,
                    expires_on=held.expires_on,
                    key_version=held.key_version,
                    serial=serial,
                )
                serial += 1
            await sql.forget_chunk(conn, chunk_id, at)

    async def wipe_secrets(self, conn: Conn) -> int:
        """Forget the secrets nobody fetched in time, for a job; how many chunks."""
        return await sql.wipe_secrets(conn, now(self._clock))
