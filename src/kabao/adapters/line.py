"""HTTP to an outside party, with what is known when it fails: sent, or certainly not."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import httpx
import msgspec

from kabao.funding.model.answers import Unknown, Unreachable

ANSWER_BYTES = 1 << 20
"""More than that is no answer of a payment channel's."""

FILE_BYTES = 256 << 20
"""The largest bill we take: about a million lines."""

OK = 200

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


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

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        """`base_url` has scheme and host, and a path where the party's doors are under one."""
        self._client, self._base = client, base_url.rstrip("/")

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
        url = target if "://" in target else self._base + target
        try:
            async with self._client.stream(
                method, url, headers=dict(headers or {}), content=content
            ) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > most:
                        return Unknown("the answer is too long")
        except _NOT_SENT as wrong:
            return Unreachable(type(wrong).__name__)
        except (httpx.HTTPError, httpx.InvalidURL) as wrong:
            return Unknown(type(wrong).__name__)
        return Answer(response.status_code, dict(response.headers.items()), bytes(body))
