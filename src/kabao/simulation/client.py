"""A small HTTP/1.1 client: keep-alive, one request at a time per connection.

It knows nothing of the platform. It is fast because it must leave the machine
to what it drives: about 40 µs of CPU a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec

TIMEOUT_S = 30.0


class LostError(Exception):
    """The connection broke, or no answer came in time: nobody knows what happened."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back."""

    status: int
    body: bytes


class Client:
    """Requests to one server address, over a bounded pool of connections."""

    def __init__(self, url: str, *, connections: int = 64, timeout_s: float = TIMEOUT_S) -> None:
        """Nothing is opened yet.

        Args:
            url: such as `http://127.0.0.1:8080`.
            connections: the most at a time; further requests wait their turn.
            timeout_s: how long an answer may take before it counts as lost.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None, f"{url} names no host"
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = f"{self._host}:{self._port}".encode()
        self._timeout_s = timeout_s
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._turns = asyncio.Semaphore(connections)

    async def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        key: str | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Send and wait for the answer. Raises `LostError`."""
        request = self._request(method, path, token, key, body)
        async with self._turns:
            connection = await self._connection()
            late = asyncio.get_running_loop().call_later(self._timeout_s, connection.abort)
            try:
                answer = await connection.send(request)
            except asyncio.CancelledError:
                connection.abort()
                raise
            finally:
                late.cancel()
            if connection.usable:
                self._idle.append(connection)
            return answer

    async def send_and_hang_up(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        key: str | None = None,
        body: bytes = b"",
        after_s: float = 0.0,
    ) -> None:
        """Send, and close the connection without having read the answer."""
        request = self._request(method, path, token, key, body)
        async with self._turns:
            connection = await self._connection()
            answer = connection.send(request)
            await asyncio.sleep(after_s)
            connection.hang_up()
            await asyncio.wait([answer])
            answer.exception()  # looked at, so that nobody is warned of it

    def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            connection.abort()

    def _request(
        self, method: str, path: str, token: str | None, key: str | None, body: bytes
    ) -> bytes:
        lines = [
            b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (method.encode(), path.encode(), self._authority)
        ]
        if token is not None:
            lines.append(b"authorization: Bearer %s\r\n" % token.encode())
        if key is not None:
            lines.append(b"idempotency-key: %s\r\n" % key.encode())
        if body:
            lines.append(b"content-type: application/json\r\n")
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        return b"".join([*lines, body])

    async def _connection(self) -> _Connection:
        """An idle connection, or a new one. Raises `LostError`."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        try:
            _, made = await asyncio.wait_for(
                asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self._open), self._host, self._port, ssl=self._tls
                ),
                self._timeout_s,
            )
        except (OSError, TimeoutError) as refused:
            raise LostError(f"no connection: {refused}") from refused
        return made


class _Connection(asyncio.Protocol):
    """One connection; at most one request of it is under way."""

    def __init__(self, register: set[_Connection]) -> None:
        self._register = register
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._stays = True

    @property
    def usable(self) -> bool:
        """Whether another request may go over it."""
        return self._stays and self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Answer]:
        """Write a request; the future brings the answer or `LostError`."""
        assert self._transport is not None and self._waiting is None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def hang_up(self) -> None:
        """Close once what was written has gone."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._register.add(self)

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._stays = False
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stays = False
        self._register.discard(self)
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(LostError("the connection was lost"))

    # What the parser calls

    def on_body(self, part: bytes) -> None:
        """Part of the body."""
        self._body.append(part)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._stays = self._stays and self._parser.should_keep_alive()
        answer = Answer(self._parser.get_status_code(), b"".join(self._body))
        self._body.clear()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        if not self._stays and self._transport is not None:
            self._transport.close()
