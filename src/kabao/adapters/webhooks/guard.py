"""Connections to public addresses only (ATK-9; OWASP API7, server side request forgery)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

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

ADDRESSES_TRIED = 3


class AddressRefusedError(Exception):
    """The name leads somewhere that is not public."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """As the system resolves it. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


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
