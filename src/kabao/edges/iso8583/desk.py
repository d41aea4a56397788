"""One message, one answer: who asks, with which key, and which verb it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import psycopg

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn
from kabao.base.errors import KabaoError
from kabao.edges.iso8583 import outcomes
from kabao.edges.iso8583.after import After
from kabao.edges.iso8583.batches import Batches
from kabao.edges.iso8583.call import Call, Refused
from kabao.edges.iso8583.ciphers import mac
from kabao.edges.iso8583.counter import Counter
from kabao.edges.iso8583.entries import Done, Entries
from kabao.edges.iso8583.meters import Meters
from kabao.edges.iso8583.model import (
    ABOUT_OTHERS,
    DIRECTIONS,
    FILLS_BATCH,
    SHOWS_CARD,
    FormatError,
    Outcome,
    Reply,
    Verb,
)
from kabao.edges.iso8583.peer import Peer
from kabao.edges.iso8583.reading import Message, Reader, head_of_reply
from kabao.edges.iso8583.sales import Sales, refusal, show_inquiry, show_payment
from kabao.edges.iso8583.sessions import Keys, Sessions
from kabao.edges.iso8583.sold import Sold
from kabao.edges.iso8583.spec import Security
from kabao.merchants.ops import Merchants
from kabao.policy import names
from kabao.policy.ops import Policy

ANSWER_S = 4.7
"""How long a till waits for an answer at most."""

SIGN_INS_AT_ONCE = 4
"""Of a storm of sign-ins, so many are at work and the rest wait: sales go on."""


class Later(msgspec.Struct, frozen=True, gc=False):
    """An answer that is not there yet: what is waited for, and what makes the answer of it.

    No future of its own: that would be a turn of the loop more for every sale.
    """

    future: asyncio.Future[Any]
    finish: Callable[[asyncio.Future[Any]], bytes]
    vouched: bool = True
    """Whether a right MAC was seen before any work was done."""

    async def answer(self) -> bytes:
        """Wait for it."""
        await asyncio.wait([self.future])
        return self.finish(self.future)


Answer = bytes | Later

_log = logs.get("pos")


class Desk:
    """Everything between a frame and its answer."""

    def __init__(
        self,
        readers: Sequence[Reader],
        sessions: Sessions,
        sales: Sales,
        after: After,
        counter: Counter,
        sold: Sold,
        batches: Batches,
        entries: Entries,
        merchants: Merchants,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
        meters: Meters,
    ) -> None:
        self._readers, self._sessions = readers, sessions
        self._sales, self._sold = sales, sold
        self._batches, self._entries, self._merchants = batches, entries, merchants
        self._policy, self._clock = policy, clock
        self._days, self.meters = days, meters
        self._sign_ins = asyncio.Semaphore(SIGN_INS_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: dict[Verb, Callable[[Call, bytes], Awaitable[Done]]] = {
            Verb.VOID: after.void,
            Verb.REFUND: after.refund,
            Verb.COMPLETION: after.complete,
            Verb.COMPLETION_VOID: after.void_completion,
            Verb.CANCEL: after.cancel,
            Verb.LOAD: counter.load,
            Verb.LOAD_VOID: counter.void_load,
        }
        self._whole: dict[Verb, Callable[[Conn, Call, bytes], Awaitable[Done]]] = {
            Verb.PIN_CHANGE: counter.change_pin,
            Verb.LOSS: counter.report_loss,
            Verb.CARD_RETURN: counter.take_back,
            Verb.ACTIVATE: sold.activate,
        }
        self._plain: dict[Verb, Callable[[Call], Awaitable[Reply]]] = {
            **dict.fromkeys((Verb.PURCHASE, Verb.HOLD, Verb.ADVICE), sales.pay_typed),
            Verb.REVERSAL: after.reverse,
            Verb.ACTIVATE_UNDO: self._undo_sale,
            Verb.LAST: counter.last,
            Verb.SETTLE: batches.settle,
            Verb.UPLOAD: batches.upload,
            Verb.UPLOAD_END: batches.end_upload,
            Verb.SIGN_OFF: self._sign_off,
        }

    def reader(self, frame: bytes) -> Reader:
        """The dialect of a frame. Raises FormatError."""
        begins = frame[:1].hex()
        for reader in self._readers:
            if begins.startswith(reader.dialect.frame.begins):
                return reader
        raise FormatError("no dialect begins like this")

    def handle(self, reader: Reader, frame: bytes, peer: Peer) -> Answer:
        """The answer to a frame, at once or later. Raises FormatError where none is due."""
        frame_form = reader.dialect.frame
        head = head_of_reply(reader.dialect, frame[: frame_form.head_bytes])
        if len(frame) <= frame_form.head_bytes:
            raise FormatError("a frame without a message")
        try:
            message = reader.read(frame, frame_form.head_bytes)
        except FormatError as wrong:
            if wrong.mti is None or not _is_request(wrong.mti):
                raise
            self.meters.faults.add("format")
            peer.tell("format", reason=str(wrong))
            return head + reader.refuse(wrong.mti)
        return self._answer(reader, head, message, peer)

    def _answer(self, reader: Reader, head: bytes, message: Message, peer: Peer) -> Answer:
        verb = message.verb
        if verb is None:
            return self._out(reader, head, message, Reply(Outcome.UNSUPPORTED), None, None)
        if verb is Verb.ECHO:
            return self._out(reader, head, message, Reply(Outcome.OK), None, None)
        if verb is Verb.SIGN_IN:
            return self._later(self._sign_in(reader, head, message, peer), vouched=False)
        session = self._sessions.cached(message.numbers)
        if session is not None:
            security = reader.dialect.security[session.algorithm]
            keys = session.keys_of(security.mac, message.signed, message.mac)
            if keys is not None:
                call = Call(message, session, keys, security, verb)
                return self._proved(reader, head, call)
        return self._later(self._look_again(reader, head, message, verb, peer), vouched=False)

    async def _look_again(
        self, reader: Reader, head: bytes, message: Message, verb: Verb, peer: Peer
    ) -> bytes:
        """The session is not known here, or the MAC is wrong by the keys that are:
        perhaps the terminal has signed in with another process.
        """
        try:
            session = await self._sessions.load(message.numbers)
        except KabaoError as away:
            return self._out(reader, head, message, refusal(away), None, None)
        if session is None:
            return self._out(reader, head, message, Reply(Outcome.SIGN_IN), None, None)
        security = reader.dialect.security[session.algorithm]
        keys = session.keys_of(security.mac, message.signed, message.mac)
        if keys is None:
            self.meters.faults.add("mac")
            peer.tell("mac", terminal=session.terminal)
            return self._out(reader, head, message, Reply(Outcome.BAD_MAC), None, None)
        call = Call(message, session, keys, security, verb)
        answer = self._proved(reader, head, call)
        return answer if isinstance(answer, bytes) else await answer.answer()

    def _proved(self, reader: Reader, head: bytes, call: Call) -> Answer:
        """A message whose MAC was right."""
        session, message, keys = call.session, call.message, call.keys
        security = reader.dialect.security[session.algorithm]
        if keys is session.fresh:
            self._aside(self._sessions.prove(session, keys))
        if not session.counted:
            session.counted = True
            self._aside(self._batches.count(session))

        def out(reply: Reply) -> bytes:
            if reply.outcome in outcomes.GUESSES:
                self._aside(self._sessions.guessed(session))
            if reply.outcome in _DONE and call.verb in DIRECTIONS:
                session.count += 1
            return self._out(reader, head, message, reply, keys, security)

        refused = self._refusal(call)
        if refused is not None:
            return out(Reply(refused))
        if session.count >= reader.batch_max and call.verb in FILLS_BATCH:
            return self._later(self._when_full(reader, call, out))
        return self._perform(reader, call, out)

    async def _when_full(self, reader: Reader, call: Call, out: Callable[[Reply], bytes]) -> bytes:
        """The batch seems full: count exactly, and answer repetitions as before."""
        try:
            if not await self._batches.takes(call, reader.batch_max):
                return out(Reply(Outcome.BATCH_FULL))
        except KabaoError as no:
            return out(refusal(no))
        answer = self._perform(reader, call, out)
        return answer if isinstance(answer, bytes) else await answer.answer()

    def _perform(self, reader: Reader, call: Call, out: Callable[[Reply], bytes]) -> Answer:
        try:
            match call.verb:
                case Verb.PURCHASE | Verb.HOLD | Verb.ADVICE if not call.is_typed_alone:
                    return _then(self._sales.pay(call), show_payment, out)
                case Verb.INQUIRY:
                    return _then(self._sales.inquire(call), show_inquiry, out)
                case _:
                    return self._later(self._cold(reader, call, out))
        except Refused as no:
            return out(Reply(no.outcome))
        except KabaoError as no:
            return out(refusal(no))

    def _refusal(self, call: Call) -> Outcome | None:
        """Why this terminal may not do this now, if it may not."""
        session, verb = call.session, call.verb
        if not self._sessions.is_usable(session):
            return Outcome.TERMINAL_NOT_ALLOWED
        if verb in ABOUT_OTHERS:
            return None
        if self._sessions.is_over(session) or call.message.batch != session.batch:
            return Outcome.SIGN_IN
        if verb in SHOWS_CARD and self._clock.now_us() < session.blocked_until_us:
            return Outcome.THROTTLED
        return None

    async def _cold(self, reader: Reader, call: Call, out: Callable[[Reply], bytes]) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S):
                return out(await self._reply(reader, call))
        except Refused as no:
            return out(Reply(no.outcome))
        except TimeoutError:
            return out(Reply(Outcome.IN_DOUBT))
        except KabaoError as no:
            return out(refusal(no))
        except Exception:  # noqa: BLE001 - a defect must not leave a till without an answer
            _log.exception("pos.verb_failed", verb=call.verb)
            return out(Reply(Outcome.IN_DOUBT))

    async def _reply(self, reader: Reader, call: Call) -> Reply:
        if (plain := self._plain.get(call.verb)) is not None:
            return await plain(call)
        if (whole := self._whole.get(call.verb)) is not None:
            return await self._entries.once_in(call, lambda conn, said: whole(conn, call, said))
        if (kept := self._kept.get(call.verb)) is not None:
            return await self._entries.once(call, lambda said: kept(call, said))
        return Reply(Outcome.UNSUPPORTED)

    async def _undo_sale(self, call: Call) -> Reply:
        """A supervisor is asked before the transaction: a wrong PIN counts either way."""
        return await self._entries.once_allowed(
            call,
            lambda: self._sold.who_allows(call),
            lambda conn, said, supervisor: self._sold.undo(conn, call, said, supervisor),
        )

    # --- signing in and off -----------------------------------------------------------------

    async def _sign_in(self, reader: Reader, head: bytes, message: Message, peer: Peer) -> bytes:
        async with self._sign_ins:
            try:
                reply = await self._signed_in(reader, message, peer)
            except KabaoError as no:
                reply = refusal(no)
            except Exception:  # noqa: BLE001 - as for every verb
                _log.exception("pos.sign_in_failed")
                reply = Reply(Outcome.UNAVAILABLE)
        return self._out(reader, head, message, reply, None, None)

    async def _signed_in(self, reader: Reader, message: Message, peer: Peer) -> Reply:
        numbers = message.numbers
        key = await self._sessions.key(numbers)
        if key is None:
            return Reply(Outcome.UNKNOWN_TERMINAL)
        terminal = self._merchants.terminal(key.terminal)
        if terminal is None or not terminal.is_active:
            return Reply(Outcome.TERMINAL_NOT_ALLOWED)
        if not peer.certified and numbers[1] not in self._rules().texts(
            names.POS_TLS_WAIVED_MERCHANTS
        ):
            self.meters.faults.add("no_certificate")
            peer.tell("no_certificate", terminal=key.terminal)
            return Reply(Outcome.TERMINAL_NOT_ALLOWED)
        cashier = self._cashier(key.store, message.part("cashier").strip())
        done = await self._sessions.sign_in(numbers, key, cashier)
        return Reply(Outcome.OK, batch=done.batch, keys=done.keys)

    def _cashier(self, store: str, code: str) -> str | None:
        """The cashier who signs in, by code; None if the till names none that works here."""
        found = self._merchants.cashier_by_code(store, code)
        return found.id if found is not None and found.is_active else None

    async def _sign_off(self, call: Call) -> Reply:
        await self._sessions.end(call.session)
        return Reply(Outcome.OK)

    def _rules(self) -> Any:
        return self._policy.rules(jurisdiction="national", on=self._days.of(self._clock.now_us()))

    # --- out --------------------------------------------------------------------------------

    def _out(
        self,
        reader: Reader,
        head: bytes,
        message: Message,
        reply: Reply,
        keys: Keys | None,
        security: Security | None,
    ) -> bytes:
        verb = message.verb or "unknown"
        self.meters.answers.add(verb, reply.outcome)
        if verb in SHOWS_CARD:
            self.meters.reads.add(message.entry, verb, reply.outcome)
        body = reader.write(message, reply, self._clock.now_us(), mac=keys is not None)
        if keys is not None and security is not None:
            body += mac(security.mac, keys.mak, body)
        return head + body

    def _later(self, work: Awaitable[bytes], *, vouched: bool = True) -> Later:
        return Later(asyncio.ensure_future(work), _result, vouched)

    def _aside(self, work: Any) -> None:
        """Work that no answer waits for."""
        task = asyncio.ensure_future(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def refresh(self) -> None:
        """Follow what other processes changed. A database that is away is asked again."""
        await _quietly(self._sessions.refresh())

    async def stop(self) -> None:
        """Finish what was begun aside."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await asyncio.gather(*self._tasks, self._entries.stop(), return_exceptions=True)


_DONE = frozenset({Outcome.OK, Outcome.PARTIAL})


def _is_request(mti: str) -> bool:
    return not int(mti[2]) & 1


def _then(
    future: asyncio.Future[Any], show: Callable[[Any], Reply], out: Callable[[Reply], bytes]
) -> Later:
    """What a future brings, as an answer."""

    def finish(settled: asyncio.Future[Any]) -> bytes:
        failed = asyncio.CancelledError() if settled.cancelled() else settled.exception()
        return out(show(settled.result()) if failed is None else refusal(failed))

    return Later(future, finish)


def _result(settled: asyncio.Future[Any]) -> bytes:
    answer: bytes = settled.result()
    return answer


async def _quietly(work: Awaitable[None]) -> None:
    try:
        await work
    except KabaoError as away:
        _log.warning("pos.aside_failed", reason=away.code.name)
    except (psycopg.Error, OSError) as away:
        _log.warning("pos.aside_failed", reason=type(away).__name__)
    except Exception:  # noqa: BLE001 - nobody waits for it
        _log.exception("pos.aside_failed")
