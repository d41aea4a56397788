"""The socket side: a port, TLS, and limits on all that a peer can make grow.

A frame is two bytes of length and the message. Many may be in flight on a connection and
answers leave as they come, those that are ready in the same moment in one write. Whoever
is idle, sends half a frame and waits, or does not read, is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from pathlib import Path

import msgspec

from kabao.base import logs
from kabao.base.errors import SETTING
from kabao.base.tasks import pause
from kabao.edges.iso8583.connection import Connection, Crowd, is_local
from kabao.edges.iso8583.desk import Desk
from kabao.edges.iso8583.limits import Limits

SWEEP_S = 1.0
HANDSHAKE_S = 10.0
FILES_BESIDES = 1_024
"""Files and sockets of a process that are no tills."""

GRACE_S = 6.0
"""How long messages at work may take once the host is asked to stop."""

NO_CLIENT_CA = (
    "KABAO_TLS_CLIENT_CA is not set: tills on other machines can show no certificate, and only"
    " those of merchants in the policy pos.tls.waived_merchants may sign in."
)

_log = logs.get("pos")


class PosTls(msgspec.Struct, frozen=True):
    """Files in PEM form."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or better; a certificate is asked for, and its lack judged at sign-in,
        where the store is known (policy `pos.tls.waived_merchants`). Raises `bad_setting`.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:
            raise SETTING.error(
                f"The TLS files cannot be used: {error.strerror or error}", field="tls"
            ) from error
        return context


class Host:
    """The POS host of one process."""

    def __init__(
        self, desk: Desk, *, max_bytes: int, tls: PosTls | None = None, limits: Limits | None = None
    ) -> None:
        """`max_bytes`: the longest frame that any dialect knows."""
        self.desk, self.limits = desk, limits or Limits()
        self._context = tls.context() if tls is not None else None
        self._asks_certificates = tls is not None and tls.client_ca is not None
        self.crowd = Crowd(
            desk, self.limits, max_bytes=max_bytes, asks_certificates=self._asks_certificates
        )
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None and self._server.is_serving()

    async def start(self, sock: socket.socket) -> None:
        """Serve on a listening socket."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _room_for(self.limits.connections)
        if not self._asks_certificates and not is_local(sock.getsockname()):
            _log.warning("pos.no_client_ca", text=NO_CLIENT_CA)
        loop = asyncio.get_running_loop()
        secured = self._context is not None
        self._server = await loop.create_server(
            lambda: Connection(self.crowd),
            sock=sock,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_S if secured else None,
            ssl_shutdown_timeout=self.limits.slow_s if secured else None,
        )
        self._sweeper = asyncio.create_task(self._sweep(), name="pos sweep")

    async def stop(self) -> None:
        """Accept nobody more, answer what was begun, hang up."""
        if self._server is not None:
            self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        deadline = asyncio.get_running_loop().time() + GRACE_S
        now = asyncio.get_running_loop().time
        while self.crowd.in_flight and now() < deadline:  # noqa: ASYNC110 - of many, nobody is last
            await asyncio.sleep(0.02)
        self.crowd.close()
        await self.desk.stop()

    async def _sweep(self) -> None:
        while True:
            await pause(SWEEP_S)
            self.crowd.sweep(asyncio.get_running_loop().time())
            await self.desk.refresh()


def _room_for(connections: int) -> None:
    """Let this process have a file descriptor for every till, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
