"""An HTTP/1.1 client that knows nothing of the platform: keep-alive, one request at a time.

A reply that does not come is a `LostError`: nobody knows what happened, and
only the same Idempotency-Key can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from .journal import Journal

PATIENCE_S = 20.0
RETRY = frozenset({503, 504})
"""Answers after which the same request is sent again."""


class LostError(Exception):
    """The connection broke, or no answer came in time."""


class Reply:
    """One answer as it came."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self) -> str:
        return f"<{self.status} {self.body[:400]!r}>"

    def __getitem__(self, name: str) -> Any:
        return self.json[name]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem."""
        return self.json.get("code") if self.status >= 400 else None

    @property
    def process(self) -> str:
        """Which process answered: the random part of its request ids."""
        return self.headers["x-request-id"][:-12]


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.stays = True

    async def ask(self, request: bytes) -> Reply:
        self.writer.write(request)
        await self.writer.drain()
        while True:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines)}
            status = int(first.split(" ")[1])
            if status != 100:
                break
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        self.stays = headers.get("connection", "").lower() != "close"
        return Reply(status, headers, body)


class Http:
    """Connections to one port, as many as are asked for at once."""

    def __init__(
        self, port: int, *, tls: ssl.SSLContext | None = None, journal: Journal | None = None
    ) -> None:
        self.port, self._tls, self._journal = port, tls, journal
        self._idle: deque[_Connection] = deque()

    def at(self, token: str | None) -> Caller:
        """Somebody with this API key."""
        return Caller(self, token)

    async def connect(self, count: int) -> None:
        """Open connections beforehand; returns once a process has answered on each."""
        opened = await asyncio.gather(*(self._open() for _ in range(count)))
        ping = request("GET", "/healthz")
        await asyncio.gather(*(connection.ask(ping) for connection in opened))
        self._idle.extend(opened)

    async def ask(self, request: bytes, *, patience_s: float = PATIENCE_S) -> Reply:
        """Send one request. Raises `LostError`."""
        connection = await self._connection()
        try:
            async with asyncio.timeout(patience_s):
                reply = await connection.ask(request)
        except (OSError, EOFError, TimeoutError) as lost:
            connection.writer.transport.abort()
            self._note(request, None)
            raise LostError(repr(lost)) from lost
        except BaseException:
            connection.writer.transport.abort()
            raise
        if connection.stays:
            self._idle.append(connection)
        else:
            connection.writer.close()
        self._note(request, reply)
        return reply

    async def say(self, request: bytes, *, linger_s: float = 0.0) -> None:
        """Send one request and hang up without having read the answer."""
        connection = await self._connection()
        self._note(request, None)
        with contextlib.suppress(OSError):
            connection.writer.write(request)
            await connection.writer.drain()
            await asyncio.sleep(linger_s)
        connection.writer.close()

    def _note(self, request: bytes, reply: Reply | None) -> None:
        if self._journal is not None:
            status, body = (None, b"") if reply is None else (reply.status, reply.body)
            self._journal.note(request, status, body)

    def tls_versions(self) -> set[str]:
        """Of the connections that are idle now."""
        return {each.writer.get_extra_info("ssl_object").version() for each in self._idle}

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().writer.close()
        await asyncio.sleep(0)

    async def _connection(self) -> _Connection:
        while self._idle:
            found = self._idle.popleft()
            if not (found.reader.at_eof() or found.writer.transport.is_closing()):
                return found
            found.writer.close()
        return await self._open()

    async def _open(self) -> _Connection:
        try:
            return _Connection(
                *await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls)
            )
        except OSError as refused:
            raise LostError(repr(refused)) from refused


class Caller:
    """One API key's way of asking."""

    def __init__(self, http: Http, token: str | None) -> None:
        self.http, self.token = http, token

    async def get(self, path: str, **query: Any) -> Reply:
        text = f"{path}?{urlencode(query)}" if query else path
        return await self.http.ask(request("GET", text, None, token=self.token))

    async def post(
        self, path: str, body: Any = None, *, key: str | None = "", patience_s: float = PATIENCE_S
    ) -> Reply:
        """POST with a fresh Idempotency-Key, a given one, or (None) without."""
        raw = request("POST", path, body, token=self.token, key=fresh_key() if key == "" else key)
        return await self.http.ask(raw, patience_s=patience_s)

    async def patch(self, path: str, body: Any) -> Reply:
        return await self.http.ask(request("PATCH", path, body, token=self.token))

    async def insist(self, path: str, body: Any, key: str, *, within_s: float = 120.0) -> Reply:
        """POST until there is an answer: the same key again after 503, 504 or silence."""

        async def once() -> Reply:
            return await self.post(path, body, key=key)

        return await until_answered(once, within_s)

    async def made(self, path: str, body: Any = None) -> Any:
        """POST what must succeed; the answer's JSON."""
        reply = await self.post(path, body)
        assert reply.status in {200, 201}, f"{path}: {reply!r}"
        return reply.json

    async def got(self, path: str, **query: Any) -> Any:
        """GET what must be there; the answer's JSON."""
        reply = await self.get(path, **query)
        assert reply.status == 200, f"{path}: {reply!r}"
        return reply.json


async def until_answered(ask: Callable[[], Awaitable[Reply]], within_s: float) -> Reply:
    """Ask until there is an answer other than 503 and 504."""
    pause_s = 0.02
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(LostError):
                reply = await ask()
                if reply.status not in RETRY:
                    return reply
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.5)


def fresh_key() -> str:
    return secrets.token_hex(16)


def request(
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    key: str | None = None,
    **more: str,
) -> bytes:
    """The bytes of a request; `more` are headers, with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    if body is None:
        raw = b""
    elif isinstance(body, bytes):
        raw = body
    else:
        raw = json.dumps(body).encode()
    if body is not None:
        lines.append("Content-Type: application/json")
    if body is not None or method == "POST":
        lines.append(f"Content-Length: {len(raw)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + raw
