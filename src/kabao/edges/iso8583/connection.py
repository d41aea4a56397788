"""Connections: frames in, frames out, and an end for whoever wastes one."""

from __future__ import annotations

import asyncio
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

from kabao.base import logs
from kabao.edges.iso8583.desk import Desk, Later
from kabao.edges.iso8583.limits import Limits, Room
from kabao.edges.iso8583.model import FormatError
from kabao.edges.iso8583.peer import Peer
from kabao.edges.iso8583.reading import Reader

LENGTH_BYTES = 2

_log = logs.get("pos")


class Crowd:
    """All connections of a process, and what they share."""

    def __init__(
        self, desk: Desk, limits: Limits, *, max_bytes: int, asks_certificates: bool
    ) -> None:
        self.desk, self.limits = desk, limits
        self.max_bytes, self._asks_certificates = max_bytes, asks_certificates
        self.vouched = Room(limits.in_flight_total)
        self.unvouched = Room(limits.unvouched_total)
        self._connections: set[Connection] = set()
        self._own = Peer(certified=True)
        """For faults that are of no connection."""

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def in_flight(self) -> int:
        """Messages at work."""
        return self.vouched.used + self.unvouched.used

    @property
    def waiting(self) -> int:
        """Connections from which nothing is read, because too much is at work."""
        return self.vouched.waiting + self.unvouched.waiting

    def peer(self, transport: asyncio.BaseTransport) -> Peer:
        """Who is at the other end. Without an authority for certificates nobody can show one:
        then none is asked for on lines that never leave this machine, and on no others.
        """
        shown = bool(transport.get_extra_info("peercert"))
        local = is_local(transport.get_extra_info("sockname"))
        return Peer(certified=shown or (local and not self._asks_certificates))

    def enter(self, connection: Connection) -> bool:
        """Somebody connects; whether there is room."""
        if len(self._connections) >= self.limits.connections:
            self.desk.meters.faults.add("too_many")
            self._own.tell("too_many")
            return False
        self._connections.add(connection)
        return True

    def leave(self, connection: Connection) -> None:
        """Somebody is gone."""
        self._connections.discard(connection)
        self.vouched.forget(connection)
        self.unvouched.forget(connection)

    def offer(self) -> None:
        """Something was answered: whoever was held up may go on."""
        self.vouched.offer()
        self.unvouched.offer()

    def sweep(self, now: float) -> None:
        """Cut off everybody who wastes a connection."""
        for connection in list(self._connections):
            if connection.sweep(now):
                self.desk.meters.faults.add("cut_off")

    def close(self) -> None:
        """Hang up on everybody."""
        for connection in list(self._connections):
            connection.close()


class Connection(asyncio.Protocol):
    """One till's connection, or a concentrator's with many tills behind it."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._peer = Peer(certified=False)
        self._buffer = b""
        self._ready: list[bytes] = []
        self._vouched = self._unvouched = 0
        """Messages at work."""
        self._paused = False
        self._begun = self._moment = self._loop.time()
        self._partial_since: float | None = None
        self._unread_since: float | None = None
        self._ended_at: float | None = None
        self._spoke = False

    # --- coming and going -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._crowd.enter(self):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._crowd.limits.unread_bytes)
        self._peer = self._crowd.peer(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """What is at work goes on; its answers have nobody to go to."""
        del exc
        self._transport = None
        self._buffer = b""
        self._ready.clear()
        self._crowd.leave(self)

    def pause_writing(self) -> None:
        """The peer does not read: nothing more is taken from it meanwhile."""
        self._unread_since = self._loop.time()
        self._pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self._unread_since = None
        self._go_on()

    def close(self) -> None:
        """Hang up after what is written. A peer that does not read it is swept away."""
        if self._transport is None or self._ended_at is not None:
            return
        self._flush()
        self._ended_at = self._loop.time()
        self._buffer = b""
        self._transport.close()

    def sweep(self, now: float) -> bool:
        """Cut off who wastes the connection; whether that was done."""
        if self._transport is None or not self._is_late(now):
            return False
        self._peer.tell("cut_off")
        self._transport.abort()
        return True

    def _is_late(self, now: float) -> bool:
        limits = self._crowd.limits
        if self._ended_at is not None:
            return now - self._ended_at > limits.slow_s
        unread, partial_frame = self._unread_since, self._partial_since
        return (
            (unread is not None and now - unread > limits.slow_s)
            or (
                partial_frame is not None
                and not self._paused
                and now - partial_frame > limits.partial_s
            )
            or (not self._spoke and now - self._begun > limits.first_s)
            or (not self._vouched + self._unvouched and now - self._moment > limits.idle_s)
        )

    # --- frames -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take whole frames; keep the rest."""
        if self._ended_at is None:
            self._buffer = self._buffer + data if self._buffer else data
            self._take()

    def _take(self) -> None:
        buffer, at = self._buffer, 0
        while not self._paused:
            if len(buffer) - at < LENGTH_BYTES:
                break
            end = at + LENGTH_BYTES + int.from_bytes(buffer[at : at + LENGTH_BYTES], "big")
            if end - at - LENGTH_BYTES > self._crowd.max_bytes:
                self._wrong("a frame is too long")
                return
            if end > len(buffer):
                break
            self._frame(buffer[at + LENGTH_BYTES : end])
            if self._ended_at is not None:
                return
            at = end
        self._buffer = buffer[at:]
        waiting = bool(self._buffer)
        self._partial_since = (self._partial_since or self._loop.time()) if waiting else None

    def _frame(self, frame: bytes) -> None:
        self._partial_since = None
        self._moment = self._loop.time()
        try:
            if self._reader is None:
                self._reader = self._crowd.desk.reader(frame)
            answer = self._crowd.desk.handle(self._reader, frame, self._peer)
        except FormatError as wrong:
            self._wrong(str(wrong))
            return
        self._spoke = True
        if isinstance(answer, bytes):
            self._write(answer)
            return
        self._count(answer, 1)
        answer.future.add_done_callback(partial(self._answered, answer))
        if self._is_held():
            self._pause()

    def _count(self, answer: Later, by: int) -> None:
        if answer.vouched:
            self._vouched += by
            self._crowd.vouched.used += by
        else:
            self._unvouched += by
            self._crowd.unvouched.used += by

    def _answered(self, answer: Later, settled: asyncio.Future[Any]) -> None:
        self._count(answer, -1)
        try:
            self._write(answer.finish(settled))
        except (Exception, asyncio.CancelledError) as defect:  # noqa: BLE001 - any defect
            # A till that hears nothing reverses; one that hears nonsense may not.
            _log.error("pos.no_answer", error=repr(defect))
        self._go_on()
        self._crowd.offer()

    def _write(self, answer: bytes) -> None:
        if self._transport is None or self._ended_at is not None:
            return
        if not self._ready:
            self._loop.call_soon(self._flush)
        self._ready.append(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)

    def _flush(self) -> None:
        if self._ready and self._transport is not None:
            self._transport.write(b"".join(self._ready))
            self._ready.clear()

    def _wrong(self, why: str) -> None:
        """What cannot be answered ends the connection."""
        self._crowd.desk.meters.faults.add("frame")
        self._peer.tell("frame", reason=why)
        self.close()

    # --- not too much at once ---------------------------------------------------------------

    def _is_held(self) -> bool:
        """Whether nothing more may be read now. Who waits for room stands in its queue;
        everybody else is woken by their own answers, or by their peer.
        """
        crowd, limits = self._crowd, self._crowd.limits
        if (
            self._unread_since is not None
            or self._vouched + self._unvouched >= limits.in_flight
            or self._unvouched >= limits.unvouched
        ):
            return True
        if crowd.vouched.is_full:
            crowd.vouched.wait(self, self._go_on)
            return True
        if self._unvouched and crowd.unvouched.is_full:
            crowd.unvouched.wait(self, self._go_on)
            return True
        return False

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Read again, if nothing speaks against it any more."""
        if not self._paused or self._transport is None or self._ended_at is not None:
            return
        if self._is_held():
            return
        self._paused = False
        self._transport.resume_reading()
        if self._buffer:
            self._take()


def is_local(sockname: object) -> bool:
    """Whether a line at this socket comes from the same machine."""
    address = sockname[0] if isinstance(sockname, tuple) else ""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
