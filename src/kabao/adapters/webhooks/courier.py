"""One POST to a stranger's address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType

import httpcore

from kabao.adapters.webhooks.guard import AddressRefusedError, Guarded, Resolve, SystemNames
from kabao.notices.model.deliveries import Outcome, Reply

CONNECTIONS = 256
"""As many as the sender asks for at once."""
WAITS_S = 0.5
"""For one of these somebody waits no longer: it is our doing, and no receiver's."""
KEPT_OPEN = 64
KEPT_OPEN_S = 30.0
ANSWER_BYTES = 65_536
"""More of an answer is not read: nothing in it matters but its status."""

_OUTCOMES: dict[type[Exception], Outcome] = {
    AddressRefusedError: Outcome.ADDRESS_REFUSED,
    httpcore.PoolTimeout: Outcome.NOT_SENT,
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
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        """`private` lets it connect to any address: for development and tests only."""
        self._names = SystemNames()
        self._room = asyncio.Semaphore(connections)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=connections,
            max_keepalive_connections=KEPT_OPEN,
            keepalive_expiry=KEPT_OPEN_S,
            network_backend=Guarded(resolve or self._names, private=private),
        )

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """One POST, over within `timeout_s` from when there is a connection for it."""
        try:
            async with asyncio.timeout(WAITS_S):
                await self._room.acquire()
        except TimeoutError:
            return Reply(Outcome.NOT_SENT)
        try:
            return await self._post(url, headers, body, timeout_s)
        finally:
            self._room.release()

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
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
        self._names.close()

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
