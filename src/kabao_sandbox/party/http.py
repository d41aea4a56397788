"""A small HTTP/1.1 server that can do what real ones do on bad days."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

HEAD_BYTES = 64 << 10
BODY_BYTES = 16 << 20
"""A file of some thousand payouts."""


@dataclass(frozen=True)
class Request:
    """What came in; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query's fields."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The body's fields."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Response:
    """What goes out."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def wire(self) -> bytes:
        """As it is sent."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        if self.body:
            lines.append(f"Content-Type: {self.content_type}")
        lines.append(f"Content-Length: {len(self.body)}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Answerer = Callable[[Request], Awaitable[Response | None]]
"""None: the answer is lost and the connection with it."""


class Server:
    """One port. Stopped, it refuses connections; started again, it is at the same port."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def is_open(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None

    async def start(self, port: int = 0) -> int:
        """Listen; the port is told."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", port or self.port, limit=HEAD_BYTES
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        """Be gone, for those who are connected too."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)  # a turn of the loop: only then are they gone

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                response = await self._answerer(request)
                if response is None:
                    break
                writer.write(response.wire())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError, asyncio.CancelledError):
            pass  # whoever hangs up or speaks something else is left alone
        finally:
            self._open.discard(writer)
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end. Raises ValueError for what is none."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= BODY_BYTES:
        raise ValueError("too long")
    return Request(method, target, headers, await reader.readexactly(length))
