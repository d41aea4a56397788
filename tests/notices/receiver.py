"""A merchant's receiver: a real HTTP server that verifies with the standard's own library."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from standardwebhooks import Webhook


class Got:
    """One request as it came."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, body
        self.event: dict[str, Any] = json.loads(body)

    def verified_by(self, secret: str) -> bool:
        """Whether the standard's library takes it. Raises when it does not."""
        verified: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return verified == self.event and self.headers["webhook-id"] == self.event["id"]


class Receiver:
    """Answers what `answer` says: a status, after so many seconds."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], tuple[int, float]] = lambda _: (204, 0.0)
        self.port = 0
        self.extra = b""
        self._came = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    async def until(self, fits: Callable[[Got], bool]) -> Got:
        """Wait for such a request."""
        while True:
            self._came.clear()
            for got in self.got:
                if fits(got):
                    return got
            await self._came.wait()

    def ids(self) -> list[str]:
        return [got.event["id"] for got in self.got]

    def by_stream(self) -> dict[str | None, list[int]]:
        """The sequence numbers of each stream, as they came."""
        found: dict[str | None, list[int]] = defaultdict(list)
        for got in self.got:
            found[got.event["stream"]].append(got.event["sequence"])
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {
                    name.lower(): value
                    for name, _, value in (line.partition(": ") for line in lines if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                got = Got(first.split(" ")[1], headers, body)
                self.got.append(got)
                self._came.set()
                status, seconds = self.answer(got)
                if seconds:
                    await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n" % (status, self.extra))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
