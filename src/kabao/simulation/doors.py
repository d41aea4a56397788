"""The platform's verbs as its clients know them: keys, retries, the journal."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from kabao.base.clock import Clock
from kabao.base.errors import Kind, code
from kabao.simulation.client import Answer, Client, LostError
from kabao.simulation.journal import REFUSED, UNKNOWN, Entry, Journal, at
from kabao.simulation.tally import Tally

T = TypeVar("T")

PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.0)
"""Between attempts; the last one again and again until patience ends."""

PATIENCE_S = 60.0
"""How long the same request is repeated before its outcome counts as unknown."""

AGAIN = frozenset({429, 503, 504})
"""Statuses after which the same key is sent again."""

FAILED = code(
    "simulation_failed", Kind.UNAVAILABLE, "The platform refuses what a simulation needs."
)

KEY_IN_FLIGHT = "idempotency_key_in_flight"

_encode = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True):
    """The part of `problem+json` that matters here."""

    code: str = ""
    detail: str = ""
    rule: str | None = None
    field: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """A final answer."""

    status: int
    body: bytes
    key: str
    attempts: int

    @property
    def ok(self) -> bool:
        """Whether it was done (a decline is an answer, too)."""
        return self.status < 300

    def read(self, kind: type[T]) -> T:
        """The body."""
        return msgspec.json.decode(self.body, type=kind)

    @property
    def problem(self) -> Problem:
        """Why it was not done."""
        try:
            return msgspec.json.decode(self.body, type=Problem)
        except msgspec.DecodeError:
            return Problem(f"http_{self.status}")


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an operation's answer said, for the journal."""

    status: str
    id: str | None = None
    of: str | None = None
    approved: int | None = 0
    card: str | None = None
    code: str | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A request that changes something."""

    verb: str
    path: str
    token: str
    body: Any
    says: Callable[[Reply], Said]
    """Reads the answer for the journal."""
    amount: int = 0
    store: str | None = None
    label: str | None = None
    original: str | None = None
    key: str = ""
    """Empty: a new one."""
    journaled: bool = True
    """False for what the auditor has no use for: setting up stores and the like."""


class Mischief(Protocol):
    """What goes wrong on the way. `faults` has one; without faults nothing does."""

    def loses_reply(self) -> bool:
        """Whether the connection is dropped once the request is sent."""
        ...

    def doubles(self) -> bool:
        """Whether the request arrives twice at once."""
        ...

    def reverses_first(self) -> bool:
        """Whether a payment's reversal arrives before the payment."""
        ...

    def reverses(self) -> bool:
        """Whether a till gives up on an answer and reverses the payment."""
        ...


class Peace:
    """Nothing goes wrong."""

    def loses_reply(self) -> bool:
        """Never."""
        return False

    def doubles(self) -> bool:
        """Never."""
        return False

    def reverses_first(self) -> bool:
        """Never."""
        return False

    def reverses(self) -> bool:
        """Never."""
        return False


class Doors:
    """Sends, repeats with the same key until there is an answer, and writes it down."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        tally: Tally,
        clock: Clock,
        *,
        run: str,
        mischief: Mischief | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Bind the collaborators.

        Args:
            client: the connections.
            journal: gets a line for each operation.
            tally: counts.
            clock: the platform's own, real or simulated.
            run: makes this run's keys differ from those of any other.
            mischief: what goes wrong on the way.
            patience_s: how long one request is repeated.
        """
        self._client, self._journal, self.tally, self._clock = client, journal, tally, clock
        self._run, self._number = run, 0
        self.mischief: Mischief = mischief or Peace()
        self._patience_s = patience_s

    def key(self) -> str:
        """A key nobody has used."""
        self._number += 1
        return f"{self._run}-{self._number}"

    async def do(self, ask: Ask) -> Reply | None:
        """Have it done once. None: its outcome is not known (the journal says so)."""
        key = ask.key or self.key()
        sent_us = self._clock.now_us()
        begun = time.perf_counter()
        reply = await self._persist(ask, key, _encode(ask.body) if ask.body is not None else b"")
        took_ms = (time.perf_counter() - begun) * 1000
        if reply is None:
            self.tally.unknown(ask.verb)
            said, acknowledged = Said(UNKNOWN, approved=None), None
        else:
            self.tally.answered(ask.verb, took_ms, reply.attempts)
            said, acknowledged = self._said(ask, reply), at(self._clock.now_us())
        if ask.label is not None:
            self.tally.labelled(ask.label)
        self._note(ask, key, said, sent_us, acknowledged, reply.attempts if reply else 0)
        return reply

    async def see(self, path: str, token: str, kind: type[T]) -> T:
        """Read something. Raises `simulation_failed` when it cannot be had for a long time."""
        until = time.perf_counter() + self._patience_s
        attempt = 0
        while True:
            why = "no answer"
            with contextlib.suppress(LostError):
                answer = await self._client.send("GET", path, token=token)
                if answer.status == 200:
                    return msgspec.json.decode(answer.body, type=kind)
                why = f"{answer.status} {answer.body[:300].decode(errors='replace')}"
                if answer.status not in AGAIN:
                    break
            if time.perf_counter() > until:
                break
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
        raise FAILED.error(f"GET {path} cannot be had: {why}")

    async def send_and_hang_up(self, ask: Ask, after_s: float) -> None:
        """Send, and go away without the answer; the caller settles what follows."""
        self._note(ask, ask.key, Said(UNKNOWN, approved=None), self._clock.now_us(), None, 1)
        with contextlib.suppress(LostError):
            await self._hang_up(ask, after_s)

    async def _hang_up(self, ask: Ask, after_s: float) -> None:
        await self._client.send_and_hang_up(
            "POST",
            ask.path,
            token=ask.token,
            key=ask.key,
            body=_encode(ask.body) if ask.body is not None else b"",
            after_s=after_s,
        )

    def _note(
        self,
        ask: Ask,
        key: str,
        said: Said,
        sent_us: int,
        acknowledged: str | None,
        attempts: int,
    ) -> None:
        """Write a line of the journal."""
        if not ask.journaled:
            return
        self._journal.write(
            Entry(
                key=key,
                verb=ask.verb,
                status=said.status,
                sent_at=at(sent_us),
                acknowledged_at=acknowledged,
                amount=ask.amount,
                approved=said.approved,
                id=said.id,
                of=said.of,
                card=said.card,
                store=ask.store,
                code=said.code,
                original=ask.original,
                attempts=attempts,
                label=ask.label,
            )
        )

    def _said(self, ask: Ask, reply: Reply) -> Said:
        if reply.ok:
            return ask.says(reply)
        problem = reply.problem
        if reply.status >= 500:
            self.tally.broke(ask.verb, f"{reply.status} {problem.code} {problem.detail}")
            return Said(UNKNOWN, approved=None, code=problem.code)
        self.tally.refused(ask.verb, problem.code)
        return Said(REFUSED, approved=None, code=problem.code)

    async def _persist(self, ask: Ask, key: str, body: bytes) -> Reply | None:
        """Repeat until there is a final answer or patience ends."""
        until = time.perf_counter() + self._patience_s
        attempt = 0
        while True:
            attempt += 1
            answer = await self._attempt(ask, key, body)
            if answer is not None and not _again(answer):
                return Reply(answer.status, answer.body, key, attempt)
            if time.perf_counter() > until:
                return None
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S)) - 1])

    async def _attempt(self, ask: Ask, key: str, body: bytes) -> Answer | None:
        """One attempt; None when nothing came back."""

        async def send() -> Answer | None:
            try:
                return await self._client.send(
                    "POST", ask.path, token=ask.token, key=key, body=body
                )
            except LostError:
                return None

        if self.mischief.loses_reply():
            with contextlib.suppress(LostError):
                await self._client.send_and_hang_up(
                    "POST", ask.path, token=ask.token, key=key, body=body
                )
            return None
        if not self.mischief.doubles():
            return await send()
        first, second = await asyncio.gather(send(), send())
        answers = [answer for answer in (first, second) if answer and answer.status < 300]
        if len({answer.body for answer in answers}) > 1:
            self.tally.defect(f"{ask.verb}: two answers to one key differ")
        return first or second


def _again(answer: Answer) -> bool:
    """Whether the same key is to be sent again."""
    if answer.status in AGAIN:
        return True
    return answer.status == 409 and KEY_IN_FLIGHT.encode() in answer.body
