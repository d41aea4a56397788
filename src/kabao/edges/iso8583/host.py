"""The socket side: frames in, frames out, and limits on all that a peer can make grow.

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
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec

from kabao.base import logs
from kabao.base.errors import SETTING
from kabao.edges.iso8583.desk import Desk, Peer
from kabao.edges.iso8583.model import FormatError
from kabao.edges.iso8583.reading import Reader

LENGTH_BYTES = 2
SWEEP_S = 1.0
HANDSHAKE_S = 10.0
FILES_BESIDES = 1_024
"""Files and sockets of a process that are no tills."""

GRACE_S = 6.0
"""How long messages at work may take once the host is asked to stop."""

_log = logs.get("pos")


class Limits(msgspec.Struct, frozen=True):
    """What one connection, and all of them together, may use."""

    connections: int = 20_000
    in_flight: int = 64
    """Messages at work for one connection; more are not read from the socket."""
    in_flight_total: int = 4_096
    idle_s: float = 900.0
    first_s: float = 30.0
    """From the connection to its first whole frame."""
    partial_s: float = 10.0
    """From the first byte of a frame to its last."""
    slow_s: float = 10.0
    """How long a peer may leave answers unread once the buffer is full."""
    unread_bytes: int = 256 * 1024


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


class Connection(asyncio.Protocol):
    """One till's connection, or a concentrator's with many tills behind it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._peer = Peer(certified=True)
        self._buffer = b""
        self._ready: list[bytes] = []
        self.in_flight = 0
        self._paused = False
        self._unread_since: float | None = None
        self._begun = self._moment = self._loop.time()
        self._partial_since: float | None = None
        self._spoke = False

    # --- coming and going -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._host.enter(self):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._host.limits.unread_bytes)
        if self._host.wants_certificates:
            self._peer = Peer(certified=bool(transport.get_extra_info("peercert")))

    def connection_lost(self, exc: Exception | None) -> None:
        """What is at work goes on; its answers have nobody to go to."""
        del exc
        self._transport = None
        self._buffer = b""
        self._host.leave(self)

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is taken from it meanwhile."""
        self._unread_since = self._loop.time()
        self._pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self._unread_since = None
        self._go_on()

    def close(self) -> None:
        """Hang up after what is written."""
        if self._transport is not None:
            self._transport.close()

    def sweep(self, now: float) -> bool:
        """Cut off who wastes the connection; whether that was done."""
        limits, since = self._host.limits, self._partial_since
        late = (
            (self._unread_since is not None and now - self._unread_since > limits.slow_s)
            or (since is not None and not self._paused and now - since > limits.partial_s)
            or (not self._spoke and now - self._begun > limits.first_s)
            or (not self.in_flight and now - self._moment > limits.idle_s)
        )
        if late and self._transport is not None:
            self._transport.abort()
        return late

    # --- frames -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take whole frames; keep the rest."""
        self._buffer = self._buffer + data if self._buffer else data
        self._take()

    def _take(self) -> None:
        buffer, at = self._buffer, 0
        while not self._paused and self._transport is not None:
            if len(buffer) - at < LENGTH_BYTES:
                break
            end = at + LENGTH_BYTES + int.from_bytes(buffer[at : at + LENGTH_BYTES], "big")
            if end - at - LENGTH_BYTES > self._host.max_bytes:
                self._wrong("a frame is too long")
                return
            if end > len(buffer):
                break
            self._frame(buffer[at + LENGTH_BYTES : end])
            at = end
        if self._transport is None:
            return
        self._buffer = buffer[at:]
        waiting = bool(self._buffer)
        self._partial_since = (self._partial_since or self._loop.time()) if waiting else None

    def _frame(self, frame: bytes) -> None:
        self._partial_since = None
        self._moment = self._loop.time()
        try:
            if self._reader is None:
                self._reader = self._host.desk.reader(frame)
            answer = self._host.desk.handle(self._reader, frame, self._peer)
        except FormatError as wrong:
            self._wrong(str(wrong))
            return
        self._spoke = True
        if isinstance(answer, bytes):
            self._write(answer)
            return
        self.in_flight += 1
        self._host.in_flight += 1
        answer.future.add_done_callback(partial(self._answered, answer.finish))
        if self.in_flight >= self._host.limits.in_flight or self._host.is_full:
            self._pause()

    def _answered(
        self, finish: Callable[[asyncio.Future[Any]], bytes], settled: asyncio.Future[Any]
    ) -> None:
        self.in_flight -= 1
        self._host.in_flight -= 1
        try:
            self._write(finish(settled))
        except (Exception, asyncio.CancelledError) as defect:  # noqa: BLE001 - see below
            # A till that hears nothing reverses; one that hears nonsense may not.
            _log.error("pos.no_answer", error=repr(defect))
        if self._paused:
            self._go_on()
        self._host.room()

    def _write(self, answer: bytes) -> None:
        if self._transport is None:
            return
        if not self._ready:
            self._loop.call_soon(self._flush)
        self._ready.append(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)

    def _flush(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._ready))
        self._ready.clear()

    def _wrong(self, why: str) -> None:
        """What cannot be answered ends the connection; one line tells of it."""
        self._host.desk.meters.faults.add("connection")
        _log.warning("pos.bad_frame", reason=why)
        self._buffer = b""
        if self._transport is not None:
            self._flush()
            self._transport.close()
            self._transport = None

    # --- not too much at once ---------------------------------------------------------------

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
            if self._host.is_full:
                self._host.stalled.append(self)

    def _go_on(self) -> None:
        """Read again, if nothing speaks against it any more."""
        if (
            not self._paused
            or self._transport is None
            or self._unread_since is not None
            or self.in_flight >= self._host.limits.in_flight
            or self._host.is_full
        ):
            return
        self._paused = False
        self._transport.resume_reading()
        if self._buffer:
            self._take()

    def wake(self) -> None:
        """There is room again."""
        self._go_on()


class Host:
    """The POS host of one process."""

    def __init__(
        self, desk: Desk, *, max_bytes: int, tls: PosTls | None = None, limits: Limits | None = None
    ) -> None:
        """`max_bytes`: the longest frame that any dialect knows."""
        self.desk, self.max_bytes = desk, max_bytes
        self.limits = limits or Limits()
        self._context = tls.context() if tls is not None else None
        self.wants_certificates = tls is not None and tls.client_ca is not None
        self.in_flight = 0
        self.stalled: deque[Connection] = deque()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def is_full(self) -> bool:
        """Whether as much is at work as may be."""
        return self.in_flight >= self.limits.in_flight_total

    @property
    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None and self._server.is_serving()

    def enter(self, connection: Connection) -> bool:
        """Somebody connects; whether there is room."""
        if len(self._connections) >= self.limits.connections:
            self.desk.meters.faults.add("too_many")
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Somebody is gone."""
        self._connections.discard(connection)

    def room(self) -> None:
        """Something was answered: whoever was held up may go on."""
        while self.stalled and not self.is_full:
            self.stalled.popleft().wake()

    async def start(self, sock: socket.socket) -> None:
        """Serve on a listening socket."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _room_for(self.limits.connections)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self),
            sock=sock,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_S if self._context is not None else None,
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
        # Nobody tells when the last of many is answered.
        while self.in_flight and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        for connection in list(self._connections):
            connection.close()
        await self.desk.stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = asyncio.get_running_loop().time()
            for connection in list(self._connections):
                if connection.sweep(now):
                    self.desk.meters.faults.add("cut_off")
            await self.desk.refresh()


def _room_for(connections: int) -> None:
    """Let this process have a file descriptor for every till, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
