"""One POST to a stranger's address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType

import httpcore

from kabao.adapters.webhooks.guard import AddressRefusedError, Guarded, Resolve, resolve
from kabao.notices.model.deliveries import Outcome, Reply

CONNECTIONS = 100
KEPT_OPEN = 20
KEPT_OPEN_S = 30.0
ANSWER_BYTES = 65_536
"""More of an answer is not read: nothing in it matters but its status."""

_OUTCOMES: dict[type[Exception], Outcome] = {
    AddressRefusedError: Outcome.ADDRESS_REFUSED,
    TimeoutError: Outcome.TIMED_OUT,
    httpcore.TimeoutException: Outcome.TIMED_OUT,
    httpcore.ConnectError: Outcome.UNREACHABLE,
    httpcore.NetworkError: Outcome.UNREACHABLE,
    httpcore.ProtocolError: Outcome.BROKEN,
    httpcore.UnsupportedProtocol: Outcome.BROKEN,
    ssl.SSLError: Outcome.BROKEN,
    OSError: Outcome.UNREACHABLE,
    ValueError: Outcome.BROKEN,
}
"""What went wrong, the first that fits."""


class HttpCourier:
    """The `Courier` of webhooks. Follows no redirects, knows no proxies."""

    def __init__(
        self,
        *,
        private: bool = False,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`private` lets it connect to any address: for development and tests only."""
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=KEPT_OPEN,
            keepalive_expiry=KEPT_OPEN_S,
            network_backend=Guarded(resolve, private=private),
        )

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """One POST, over within `timeout_s` in all."""
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._pool.stream(
                    "POST",
                    url,
                    headers=fields,
                    content=body,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                await _read(response)
                return _reply(response.status)
        except tuple(_OUTCOMES) as wrong:
            return Reply(next(o for kind, o in _OUTCOMES.items() if isinstance(wrong, kind)))

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()

    async def __aenter__(self) -> HttpCourier:
        """Use it for a while."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()


async def _read(response: httpcore.Response) -> None:
    """Some of the body, so that the connection can be used again."""
    read = 0
    async for chunk in response.aiter_stream():
        read += len(chunk)
        if read > ANSWER_BYTES:
            return


def _reply(status: int) -> Reply:
    delivered = 200 <= status < 300
    return Reply(Outcome.DELIVERED if delivered else Outcome.REFUSED, status)
