"""One terminal's connection: messages out, answers to whoever waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from kabao_sandbox.tills.wire import (
    LENGTH_BYTES,
    BrokenError,
    Message,
    framed,
    unframed,
    unpack,
)

PATIENCE_S = 10.0
"""A till waits so long for an answer; the host promises half of it."""


class SilenceError(Exception):
    """No answer was heard, for whatever reason: it is not known what happened."""


class Heard:
    """An answer, as bytes too: its MAC is over them."""

    def __init__(self, body: bytes) -> None:
        self.body, self.message = body, unpack(body)


Key = tuple[str, str]


class Line:
    """Messages in flight are told apart by type and trace number."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._waiting: dict[Key, deque[asyncio.Future[Heard]]] = {}
        self._left: set[asyncio.Task[Heard]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self.broken: list[str] = []
        """What came that is no answer."""

    async def ask(self, body: bytes) -> Heard:
        """Send a message and wait. Raises SilenceError."""
        key = _key_of_answer(unpack(body))
        try:
            writer = await self._connected()
            waiting: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, deque()).append(waiting)
            writer.write(framed(body))
            await writer.drain()
            async with asyncio.timeout(PATIENCE_S):
                return await waiting
        except (OSError, TimeoutError) as away:
            raise SilenceError from away

    def leave(self, body: bytes) -> None:
        """Send a message and not wait: its answer comes late, and nobody listens."""
        task = asyncio.ensure_future(self.ask(body))
        self._left.add(task)

    async def shout(self, garbage: bytes) -> bytes:
        """What the host answers to garbage on a connection of its own; nothing if it hangs up."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        answer = b""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.write(len(garbage).to_bytes(LENGTH_BYTES, "big") + garbage)
            async with asyncio.timeout(PATIENCE_S):
                answer = await _frame(reader)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return answer

    async def close(self) -> None:
        """Hear what is still to come, and hang up."""
        await asyncio.gather(*self._left, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        if self._reading is not None:
            await self._reading

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is None or self._writer.is_closing():
            reader, self._writer = await asyncio.open_connection(self._host, self._port)
            self._reading = asyncio.create_task(self._read(reader, self._writer))
        return self._writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                try:
                    self._heard(Heard(unframed(await _frame(reader))))
                except BrokenError as broken:
                    self.broken.append(str(broken))
        writer.close()
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(ConnectionError("the host hung up"))
        self._waiting.clear()

    def _heard(self, heard: Heard) -> None:
        waiting = self._waiting.get((heard.message.mti, heard.message.text(11)))
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(heard)
                return


async def _frame(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    return await reader.readexactly(size)


def _key_of_answer(message: Message) -> Key:
    mti = message.mti
    return f"{mti[:2]}{int(mti[2]) + 1}{mti[3]}", message.text(11)
