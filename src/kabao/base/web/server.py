"""One serving process: uvicorn on a listening socket that was opened for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import uvicorn

from kabao.base.errors import SETTING
from kabao.base.web.application import Web
from kabao.base.web.fast import FastProtocol
from kabao.base.web.metrics import SNAPSHOT_S

BACKLOG = 2_048
GRACE_S = 15
"""How long requests at work may take to finish once the process is asked to stop."""

_TICKS_PER_S = 10  # of uvicorn's main loop
_log = logging.getLogger("kabao.web")


class Tls(msgspec.Struct, frozen=True):
    """Files in PEM form. With `client_ca` every client must show a certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 and nothing older (B-14). Raises `bad_setting`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:  # ssl.SSLError is one, too
            raise SETTING.error(
                f"The TLS files cannot be used: {error.strerror or error}", field="tls"
            ) from error
        return context


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, for one process or to be inherited by several.

    Port 0 takes any free one. Raises `bad_setting` when the address is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.set_inheritable(True)
        sock.settimeout(0)
    except OSError as error:
        sock.close()
        raise SETTING.error(
            f"Cannot listen on {host}:{port}: {error.strerror}.", field="port"
        ) from error
    return sock


def _without_delay(sock: socket.socket) -> None:
    """No Nagle on the connections that will be accepted.

    An answer in two writes would wait 40 ms for the client's acknowledgement.
    asyncio turns it off only on sockets that know they are TCP, and those
    accepted from an inherited one may not.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Server(uvicorn.Server):
    """uvicorn's server with our sweep, our figures and our way to stop."""

    def __init__(self, web: Web, *, tls: Tls | None = None, signals: bool = True) -> None:
        """Prepare to serve; nothing happens yet.

        Args:
            web: the application.
            tls: the files for TLS; None serves in the clear, behind a proxy.
            signals: stop at SIGINT and SIGTERM.
        """
        self._web, self._signals = web, signals
        context = None if tls is None else tls.context()
        protocol = partial(FastProtocol, door=web.fast)
        super().__init__(
            uvicorn.Config(
                cast("Any", web),
                http=cast("type[asyncio.Protocol]", protocol),
                loop="uvloop",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                backlog=BACKLOG,
                ssl_context_factory=None if context is None else lambda _config, _default: context,
            )
        )

    async def serve_on(self, sock: socket.socket) -> None:
        """Serve until told to stop; then finish what was begun, and return."""
        _without_delay(sock)
        await self.serve(sockets=[sock])

    def run_on(self, sock: socket.socket) -> None:
        """`serve_on` in an event loop of its own (uvloop)."""
        _without_delay(sock)
        self.run(sockets=[sock])

    def stop(self) -> None:
        """Ask it to stop; safe to call again."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: uvicorn's own, and ours at their intervals."""
        if counter % _TICKS_PER_S == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                cast("FastProtocol", connection).sweep(now)
        if counter % (_TICKS_PER_S * SNAPSHOT_S) == 0:
            self._leave_figures()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, finish what was begun, cut off what is stuck."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            cast("FastProtocol", connection).transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM, and unlike uvicorn do not raise them again
        afterwards: a process that was asked to stop, and did, exits with 0.
        """
        if not self._signals or threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before: list[Callable[..., Any] | int | None] = [
            signal.signal(number, self.handle_exit) for number in signals
        ]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _leave_figures(self) -> None:
        try:
            self._web.figures.leave()
        except OSError as error:
            _log.warning("the figures cannot be left for the siblings: %s", error.strerror)
