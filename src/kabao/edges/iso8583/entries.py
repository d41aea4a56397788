"""Verbs that are not hot, each done once: claimed before, answered alike afterwards.

A till's message is claimed by its place before anything happens, so that whoever settles
finds it even if the process dies in between, and a reversal that comes first bars it.
What is done carries the same key in the ledger, so that doing it again, after a crash or
at another process, changes nothing and is answered as the first time. Therefore a verb
leaves to the ledger whatever changes by its being done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from hmac import compare_digest
from typing import Any

import msgspec
import psycopg

from kabao.base.clock import Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.edges.iso8583 import outcomes, sql
from kabao.edges.iso8583.books import Books
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


class _Running(msgspec.Struct, frozen=True):
    """A message at work in this process."""

    said: bytes
    task: asyncio.Task[Reply]


class Entries:
    """The entries of tills."""

    def __init__(self, db: Database, books: Books, vault: Vault, clock: Clock) -> None:
        self._db, self._books, self._vault, self._clock = db, books, vault, clock
        self._running: dict[sql.Place, _Running] = {}

    async def once(self, call: Call, work: Callable[[bytes], Awaitable[Done]]) -> Reply:
        """Do a verb once. `work` gets the MAC of what was said, for keys of its own;
        it may be called again after a crash, and at another process at the same time.
        """
        return await self._joined(call, lambda said: self._once(call, said, work))

    async def once_in(self, call: Call, work: Callable[[Conn, bytes], Awaitable[Done]]) -> Reply:
        """As `once`, for a verb that does everything in one transaction with its entry."""
        return await self._joined(call, lambda said: self._once_in(call, said, work))

    async def once_allowed(
        self,
        call: Call,
        ask: Callable[[], Awaitable[str | None]],
        work: Callable[[Conn, bytes, str | None], Awaitable[Done]],
    ) -> Reply:
        """As `once_in`, for a verb that asks a supervisor before its transaction. Copies
        share that as well, and a refusal is kept: a wrong PIN counts once.
        """

        async def begin(said: bytes) -> Reply:
            try:
                supervisor = await ask()
            except (Refused, KabaoError) as refused:
                return await self._refuse(call, said, refused)
            return await self._once_in(call, said, lambda conn, s: work(conn, s, supervisor))

        return await self._joined(call, begin)

    async def _joined(
        self, call: Call, begin: Callable[[bytes], Coroutine[Any, Any, Reply]]
    ) -> Reply:
        """Copies of a message share the answer of the first that came. It is worked on
        to its end, whoever goes on waiting.
        """
        if call.message.trace == 0:
            raise Refused(Outcome.INVALID)
        said, place = self._said(call), call.place
        running = self._running.get(place)
        if running is None:
            running = _Running(said, asyncio.create_task(begin(said)))
            self._running[place] = running
            running.task.add_done_callback(lambda _: self._running.pop(place))
        elif not compare_digest(running.said, said):
            return Reply(Outcome.DUPLICATE)
        return await asyncio.shield(running.task)

    async def stop(self) -> None:
        """Wait for what is at work."""
        await asyncio.gather(
            *(running.task for running in self._running.values()), return_exceptions=True
        )

    async def _once(
        self, call: Call, said: bytes, work: Callable[[bytes], Awaitable[Done]]
    ) -> Reply:
        async with self._db.transaction() as conn:
            again = await self._claimed(conn, call, said)
        if again is not None:
            return again
        done, state = await self._done(call, work, said)
        if done.reply.outcome in outcomes.UNCERTAIN:
            return done.reply
        async with self._db.transaction() as conn:
            return await self._close(conn, call, said, state, done)

    async def _once_in(
        self, call: Call, said: bytes, work: Callable[[Conn, bytes], Awaitable[Done]]
    ) -> Reply:
        try:
            async with self._db.transaction() as conn:
                if (again := await self._claimed(conn, call, said)) is not None:
                    return again
                done = await work(conn, said)
                return await self._close(conn, call, said, "done", done)
        except (Refused, KabaoError) as refused:
            return await self._refuse(call, said, refused)

    async def _refuse(self, call: Call, said: bytes, refused: Refused | KabaoError) -> Reply:
        """Keep a refusal as the answer, unless it says nothing of the message."""
        refusal = Done(_refusal(call, refused))
        if refusal.reply.outcome in outcomes.UNCERTAIN:
            return refusal.reply
        async with self._db.transaction() as conn:
            if (again := await self._claimed(conn, call, said)) is not None:
                return again
            return await self._close(conn, call, said, "refused", refusal)

    def _said(self, call: Call) -> bytes:
        return self._vault.mac("pos.entry", call.said(*_originals(call)))

    async def _claimed(self, conn: Conn, call: Call, said: bytes) -> Reply | None:
        """Claim a message's place; the answer there is already, if there is one.

        Raises Refused where a payment has the place.
        """
        before = await sql.claim(
            conn, call.place, call.verb, said, now(self._clock), amount_fen=call.message.amount_fen
        )
        if before is None:
            try:
                await self._books.take(conn, call.session.company, call.place, said)
            except psycopg.errors.UniqueViolation as paid:
                raise Refused(Outcome.DUPLICATE) from paid
            return None
        return _again(before, said)

    async def _close(self, conn: Conn, call: Call, said: bytes, state: str, done: Done) -> Reply:
        """Keep what came of a message. A copy at another process may have been faster."""
        kept = _encode(done.reply).decode()
        if not await sql.close_entry(conn, call.place, state, done.amount_fen, done.subject, kept):
            closed = await sql.entry(conn, call.place)
            assert closed is not None, "what was claimed stays"
            return _again(closed, said) or done.reply
        return done.reply

    async def _done(
        self, call: Call, work: Callable[[bytes], Awaitable[Done]], said: bytes
    ) -> tuple[Done, str]:
        try:
            return await work(said), "done"
        except (Refused, KabaoError) as refused:
            return Done(_refusal(call, refused)), "refused"

    async def bar(self, conn: Conn, call: Call, place: sql.Place) -> sql.EntryRow | None:
        """Refuse every verb but paying for ever at a place where nothing has come yet;
        else what stands there.
        """
        return await sql.claim(conn, place, call.verb, b"", now(self._clock), state="barred")

    async def undone(self, place: sql.Place) -> None:
        """A done verb was reversed: it counts no more."""
        async with self._db.transaction() as conn:
            await sql.undo_entry(conn, place)


def _refusal(call: Call, refused: Refused | KabaoError) -> Reply:
    """What a till hears: where it takes a supervisor, somebody must have signed in whom to
    allow it.
    """
    if isinstance(refused, Refused):
        return Reply(refused.outcome)
    outcome = outcomes.of_error(refused)
    if outcome is Outcome.SUPERVISOR and call.session.cashier is None:
        outcome = Outcome.CASHIER
    return Reply(outcome)


def _again(before: sql.EntryRow, said: bytes) -> Reply | None:
    """The answer that a message gets which was claimed before; None: it is still open."""
    if before.state == "barred":
        return Reply(Outcome.ALREADY_REVERSED)
    if not compare_digest(before.mac, said):
        return Reply(Outcome.DUPLICATE)
    return replied(before)


def replied(entry: sql.EntryRow) -> Reply | None:
    """What was answered, if it was."""
    return None if entry.reply is None else _decode(entry.reply)


def _originals(call: Call) -> tuple[str, ...]:
    names = ("original_batch", "original_trace", "rrn")
    return tuple(call.message.part(name) for name in names)
