"""HTTP to an outside party, with what is known when it fails: sent, or certainly not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import IO

import httpx
import msgspec
from msgspec import structs

from kabao.funding.model.answers import Unknown, Unreachable

ANSWER_BYTES = 1 << 20
"""More than that is no answer of a payment channel's."""

FILE_BYTES = 256 << 20
"""The largest bill we take: about a million lines."""

OK = 200

WHOLE_S = 15.0
"""Seconds a whole answer may take, however often a byte of it comes."""

SLOWEST = 256 << 10
"""Bytes a second at which what is longer has to come, such as a bill."""

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)


class Answer(msgspec.Struct, frozen=True):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Client = httpx.AsyncClient
"""The connections that lines share."""


def client(*, connect_s: float, answer_s: float, connections: int) -> Client:
    """The client that adapters share: follows no redirect, reads no proxy from the environment."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells whole addresses, with tokens
    return httpx.AsyncClient(
        timeout=httpx.Timeout(answer_s, connect=connect_s, pool=connect_s),
        limits=httpx.Limits(max_connections=connections),
        follow_redirects=False,
        trust_env=False,
    )


class Line:
    """The way to one party."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, whole_s: float = WHOLE_S
    ) -> None:
        """`base_url` has scheme and host, and a path where the party's doors are under one.

        `whole_s`: within which a whole answer has come, with what `SLOWEST` adds for its length.
        """
        self._client, self._base, self._whole_s = client, base_url.rstrip("/"), whole_s

    def url(self, target: str) -> str:
        """The whole address of a path, for a browser to go to."""
        return self._base + target

    async def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        most: int = ANSWER_BYTES,
    ) -> Answer | Unreachable | Unknown:
        """One request. `target` is a path under the base, or a whole URL the party gave.

        A connection that could not be made is `Unreachable`; whatever breaks
        later is `Unknown`, since the request may have arrived.
        """
        body = bytearray()

        def keep(chunk: bytes) -> None:
            body.extend(chunk)

        said = await self._stream(method, target, headers or {}, content, most, keep)
        return said if not isinstance(said, Answer) else structs.replace(said, body=bytes(body))

    async def save(
        self,
        target: str,
        into: IO[bytes],
        *,
        headers: Mapping[str, str] | None = None,
        most: int = FILE_BYTES,
    ) -> Answer | Unreachable | Unknown:
        """The body of an answer, written to a file as it comes; the answer then has none."""
        return await self._stream("GET", target, headers or {}, b"", most, into.write)

    async def _stream(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        content: bytes,
        most: int,
        keep: Callable[[bytes], object],
    ) -> Answer | Unreachable | Unknown:
        url = target if "://" in target else self._base + target
        length = 0
        begun_s = asyncio.get_running_loop().time()
        try:
            async with (
                asyncio.timeout_at(begun_s + self._whole_s) as patience,
                self._client.stream(
                    method, url, headers=dict(headers), content=content
                ) as response,
            ):
                async for chunk in response.aiter_bytes():
                    length += len(chunk)
                    if length > most:
                        return Unknown("the answer is too long")
                    keep(chunk)
                    patience.reschedule(begun_s + self._whole_s + length / SLOWEST)
        except httpx.PoolTimeout as full:
            return Unreachable(type(full).__name__, ours=True)
        except _NOT_SENT as wrong:
            return Unreachable(type(wrong).__name__)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as wrong:
            return Unknown(type(wrong).__name__)
        return Answer(response.status_code, dict(response.headers.items()), b"")
