"""A TCP proxy before PostgreSQL that can lose, hold back and cut what goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """`async with Proxy(url) as proxy`: connect to `proxy.url`."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._clear = asyncio.Event()
        self._clear.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.mute_after: Callable[[bytes], bool] = lambda _: False
        """Told everything the client sends; from the first True on, answers are held back."""
        self.url = ""
        self.refuse = False
        """Whether whoever connects is turned away."""
        self.accepted = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        user, _, _ = self._target.netloc.rpartition("@")
        self.url = urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{port}"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()

    def mute(self) -> None:
        """From now on the server's answers do not arrive."""
        self._clear.clear()

    def unmute(self) -> None:
        """Held answers arrive, and new ones."""
        self.mute_after = lambda _: False
        self._clear.set()

    def cut(self) -> None:
        """Close every connection, as a network does that goes away."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        self.accepted += 1
        there = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers += [writer, there[1]]
        for coroutine in (self._up(reader, there[1]), self._down(there[0], writer)):
            task = asyncio.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self.mute_after(data):
                    self.mute()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._clear.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
