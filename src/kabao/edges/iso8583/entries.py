"""Verbs that are not hot, each done once: claimed before, answered alike afterwards.

A till's message is claimed by its place before anything happens, so that whoever settles
finds it even if the process dies in between, and a reversal that comes first bars it.
What is done carries the same key, so doing it again after a crash changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest

import msgspec

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.edges.iso8583 import outcomes, sql
from kabao.edges.iso8583.call import Call, Refused
from kabao.edges.iso8583.model import Outcome, Reply
from kabao.vault.ops import Vault

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reply).decode


class Done(msgspec.Struct, frozen=True):
    """What a verb did: its answer, the value it moved, and what it moved it for."""

    reply: Reply
    amount_fen: int = 0
    subject: str | None = None


class Entries:
    """The entries of tills."""

    def __init__(self, db: Database, vault: Vault, clock: Clock) -> None:
        self._db, self._vault, self._clock = db, vault, clock

    async def once(self, call: Call, work: Callable[[bytes], Awaitable[Done]]) -> Reply:
        """Do a verb once. `work` gets the MAC of what was said, for keys of its own;
        it may be called again after a crash.
        """
        if call.message.trace == 0:
            raise Refused(Outcome.INVALID)
        said = self._said(call)
        async with self._db.transaction() as conn:
            again = await self._claimed(conn, call, said)
        if again is not None:
            return again
        done, state = await self._done(work, said)
        if done.reply.outcome not in outcomes.UNCERTAIN:
            async with self._db.transaction() as conn:
                await self._close(conn, call, state, done)
        return done.reply

    async def once_in(self, call: Call, work: Callable[[Conn, bytes], Awaitable[Done]]) -> Reply:
        """As `once`, for a verb that does everything in one transaction with its entry."""
        if call.message.trace == 0:
            raise Refused(Outcome.INVALID)
        said = self._said(call)
        try:
            async with self._db.transaction() as conn:
                if (again := await self._claimed(conn, call, said)) is not None:
                    return again
                done = await work(conn, said)
                await self._close(conn, call, "done", done)
                return done.reply
        except Refused as refused:
            refusal = Done(Reply(refused.outcome))
        except KabaoError as refused:
            refusal = Done(Reply(outcomes.of_error(refused)))
        if refusal.reply.outcome in outcomes.UNCERTAIN:
            return refusal.reply
        async with self._db.transaction() as conn:
            if (again := await self._claimed(conn, call, said)) is not None:
                return again
            await self._close(conn, call, "refused", refusal)
        return refusal.reply

    def _said(self, call: Call) -> bytes:
        return self._vault.mac("pos.entry", call.said(*_originals(call)))

    async def _claimed(self, conn: Conn, call: Call, said: bytes) -> Reply | None:
        """Claim a message's place; the answer there is already, if there is one."""
        before = await sql.claim(
            conn, call.place, call.verb, said, now(self._clock), amount_fen=call.message.amount_fen
        )
        if before is None:
            return None
        if before.state == "barred":
            return Reply(Outcome.ALREADY_REVERSED)
        if not compare_digest(before.mac, said):
            return Reply(Outcome.DUPLICATE)
        return replied(before)

    async def _close(self, conn: Conn, call: Call, state: str, done: Done) -> None:
        kept = _encode(done.reply).decode()
        await sql.close_entry(conn, call.place, state, done.amount_fen, done.subject, kept)

    async def _done(
        self, work: Callable[[bytes], Awaitable[Done]], said: bytes
    ) -> tuple[Done, str]:
        try:
            return await work(said), "done"
        except Refused as refused:
            return Done(Reply(refused.outcome)), "refused"
        except KabaoError as refused:
            return Done(Reply(outcomes.of_error(refused))), "refused"

    async def bar(self, conn: Conn, call: Call, place: sql.Place) -> sql.EntryRow | None:
        """Refuse a message for ever if it has not come; else what stands at its place."""
        return await sql.claim(conn, place, call.verb, b"", now(self._clock), state="barred")

    async def undone(self, place: sql.Place, entry: sql.EntryRow) -> None:
        """A done verb was reversed: it counts no more."""
        async with self._db.transaction() as conn:
            await sql.close_entry(
                conn, place, "undone", entry.amount_fen, entry.subject, entry.reply
            )


def replied(entry: sql.EntryRow) -> Reply | None:
    """What was answered, if it was."""
    return None if entry.reply is None else _decode(entry.reply)


def _originals(call: Call) -> tuple[str, ...]:
    names = ("original_batch", "original_trace", "rrn")
    return tuple(call.message.part(name) for name in names)
