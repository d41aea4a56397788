"""Connections to public addresses only (ATK-9; OWASP API7, server side request forgery)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from httpcore import (
    SOCKET_OPTION,
    AnyIOBackend,
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
)

from kabao.notices.model.addresses import is_public

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text."""

LookUp = Callable[[str, int], Sequence[str]]
"""The same, on a thread that may wait."""

ADDRESSES_TRIED = 3
THREADS = 32


class AddressRefusedError(Exception):
    """The name leads somewhere that is not public."""


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class SystemNames:
    """As the system resolves names, on threads of its own: a name whose server is slow holds up
    nothing but webhooks, and one thread of these, however many ask for it.
    """

    def __init__(self, look_up: LookUp = _look_up) -> None:
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook-names")
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host. Raises OSError."""
        asked = self._asked.get((host, port))
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, self._look_up, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda done: self._answered(host, port, done))
        return await asyncio.shield(asked)  # whoever gives up leaves it to the others

    def _answered(self, host: str, port: int, done: asyncio.Future[Sequence[str]]) -> None:
        del self._asked[host, port]
        if not done.cancelled():
            done.exception()  # seen, also when nobody waits any more

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guarded(AsyncNetworkBackend):
    """Resolves a name once, judges all its addresses, and connects to one of these.

    The certificate is still checked for the name: httpcore takes it from the URL.
    """

    def __init__(
        self, resolve: Resolve, *, private: bool, inner: AsyncNetworkBackend | None = None
    ) -> None:
        """`private` lets everything through: for development and tests."""
        self._resolve, self._private, self._inner = resolve, private, inner or AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect. Raises `AddressRefusedError` if any address of the host is not public."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as unknown:
            raise ConnectError("the name is unknown") from unknown
        if not self._private and not all(map(is_public, addresses)):
            raise AddressRefusedError
        failure: ConnectError | None = None
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except ConnectError as failed:
                failure = failed
        raise failure or ConnectError("the name has no address")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's signature
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Never."""
        raise AddressRefusedError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
