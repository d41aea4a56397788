"""Child processes that live and die with their parent.

The parent binds the listening sockets, so that a port in use is one clear line
there, and hands them to its children. Parent and child share a *lifeline*, a
pair of connected sockets: over it goes one line of greeting to the child, the
child's word that it is ready or that it refuses to start, and, by its closing,
the news to either side that the other is gone, `kill -9` included.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future

import msgspec

from kabao.base import logs
from kabao.base.errors import REGISTRY, KabaoError, Kind, code

PORT_IN_USE = code("port_in_use", Kind.UNAVAILABLE, "Another program listens on this port.")
CHILD_FAILED = code("process_failed", Kind.UNAVAILABLE, "A process of Kabao does not start.")

BACKLOG = 1024
GRACE_S = 15.0
"""What a child gets to finish its work after it was asked to stop."""

ORPHAN_GRACE_S = 5.0
READY_LIMIT_S = 120.0
START_ATTEMPTS = 3
STEADY_S = 5.0
PAUSES_S = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0)
"""Before each new try of a child that dies again within STEADY_S of being ready."""

_log = logs.get("process")


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """A listening socket for children to accept from.

    Raises `port_in_use`, or `bad_setting` for an address that is not ours.
    """
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as unknown:
        raise REGISTRY["bad_setting"].error(
            f"{host} is not an address of this machine ({unknown.strerror})."
        ) from unknown
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as refused:
        made.close()
        why = "is in use" if refused.errno == errno.EADDRINUSE else f"({refused.strerror})"
        raise PORT_IN_USE.error(
            f"Port {port} of {host} {why}. Set {setting} to another one.", field=setting
        ) from refused
    made.settimeout(0)
    return made


class Role(msgspec.Struct, frozen=True):
    """A kind of child: how many, what they run, what they accept from."""

    name: str
    entry: str
    """`package.module:function`, called with the greeting and the `Child`."""
    count: int = 1
    sockets: Mapping[str, socket.socket] = {}


class _Hello(msgspec.Struct, frozen=True):
    """The greeting: what a child must know."""

    role: str
    entry: str
    index: int
    count: int
    sockets: dict[str, int]
    settings: msgspec.Raw


class _Word(msgspec.Struct, frozen=True):
    """A child's answer: ready, or the error for which it will not start."""

    code: str | None = None
    detail: str | None = None
    field: str | None = None


# -- the child's side ------------------------------------------------------------


class Child:
    """What a child process knows of its place. Made once, by `join`."""

    def __init__(self, lifeline: socket.socket, hello: _Hello) -> None:
        self._lifeline = lifeline
        self.role, self.entry = hello.role, hello.entry
        self.index, self.count = hello.index, hello.count
        self.settings = bytes(hello.settings)
        self.sockets = {name: socket.socket(fileno=fd) for name, fd in hello.sockets.items()}

    @classmethod
    def join(cls, lifeline_fd: int) -> Child:
        """Read the greeting; from here on this process ends with its parent."""
        lifeline = socket.socket(fileno=lifeline_fd)
        lifeline.set_inheritable(False)
        with lifeline.makefile("rb") as stream:
            hello = msgspec.json.decode(stream.readline(), type=_Hello)
        child = cls(lifeline, hello)
        for inherited in child.sockets.values():
            inherited.set_inheritable(False)
        threading.Thread(target=child._end_with_parent, name="lifeline", daemon=True).start()
        return child

    def ready(self) -> None:
        """Tell the parent that this process does its work now."""
        self._say(_Word())

    def refuse(self, error: KabaoError) -> None:
        """Tell the parent why this process will not start."""
        self._say(_Word(error.code.name, error.detail, error.field))

    def _say(self, word: _Word) -> None:
        with contextlib.suppress(OSError):
            self._lifeline.sendall(msgspec.json.encode(word) + b"\n")

    def _end_with_parent(self) -> None:
        with contextlib.suppress(OSError):
            while self._lifeline.recv(64):
                pass
        for taken in self.sockets.values():
            # Free the port now, for a parent that is started in place of ours.
            with contextlib.suppress(OSError):
                taken.shutdown(socket.SHUT_RDWR)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ORPHAN_GRACE_S)
        os._exit(1)


# -- the parent's side -----------------------------------------------------------


class _Slot:
    """One place for a child, filled again whenever it falls empty."""

    def __init__(self, role: Role, index: int) -> None:
        self.role, self.index = role, index
        self.process: subprocess.Popen[bytes] | None = None
        self.lifeline: socket.socket | None = None
        self.ready_since: float | None = None
        self.was_ready = False
        self.failures = 0
        self.due = 0.0
        self.heard = b""

    @property
    def name(self) -> str:
        return f"{self.role.name}-{self.index}"


class Fleet:
    """The children of one parent, watched by a thread of its own."""

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        module: str,
        settings: bytes,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`module` is run with `python -m` and calls `Child.join`; `settings`
        is JSON for it; `on_change` is called whenever a process id changed.
        """
        self._module, self._settings, self._on_change = module, settings, on_change
        self._slots = [_Slot(role, index) for role in roles for index in range(role.count)]
        self._selector = selectors.DefaultSelector()
        self._bell, self._wake = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._stopping = False
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._watch, name="fleet", daemon=True)

    def start(self) -> None:
        """Start every child and wait until all are ready.

        Raises what a child refused with, or `process_failed`; then none is left.
        """
        self._thread.start()
        try:
            self._started.result(READY_LIMIT_S)
        except BaseException as failed:
            self.stop(grace_s=2.0)
            if isinstance(failed, TimeoutError):
                late = ", ".join(slot.name for slot in self._slots if not slot.was_ready)
                raise CHILD_FAILED.error(
                    f"Not ready after {READY_LIMIT_S:.0f} s: {late}. The log says more."
                ) from failed
            raise

    def pids(self) -> dict[str, list[int]]:
        """The process ids at this moment, by role."""
        found: dict[str, list[int]] = {slot.role.name: [] for slot in self._slots}
        for slot in self._slots:
            if slot.process is not None:
                found[slot.role.name].append(slot.process.pid)
        return found

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Ask every child to stop, and end those that have not after `grace_s`."""
        self._stopping = True
        self._bell.send(b"!")
        if self._thread.is_alive():
            self._thread.join()
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("killed", pid=process.pid, after_s=grace_s)
                process.kill()
                process.wait()
        self._close()

    def _close(self) -> None:
        for slot in self._slots:
            slot.process = None
            if slot.lifeline is not None:
                slot.lifeline.close()
        self._selector.close()
        self._bell.close()
        self._wake.close()

    # -- the watching thread -------------------------------------------------------

    def _watch(self) -> None:
        while not self._stopping:
            try:
                for slot in self._due():
                    self._spawn(slot)
                for slot in self._heard_from():
                    self._listen_to(slot)
            except Exception:  # noqa: BLE001 -- the watch outlives any one failure
                _log.exception("supervision stumbled")
                time.sleep(1.0)

    def _due(self) -> Iterator[_Slot]:
        now = time.monotonic()
        return (slot for slot in self._slots if slot.process is None and slot.due <= now)

    def _heard_from(self) -> list[_Slot]:
        """Wait until a child speaks, a child is gone, or one is due again."""
        waiting = [slot.due for slot in self._slots if slot.process is None]
        timeout = max(0.0, min(waiting) - time.monotonic()) if waiting else None
        return [key.data for key, _ in self._selector.select(timeout) if key.data is not None]

    def _spawn(self, slot: _Slot) -> None:
        ours, theirs = socket.socketpair()
        inherited = [theirs.fileno(), *(sock.fileno() for sock in slot.role.sockets.values())]
        hello = _Hello(
            role=slot.role.name,
            entry=slot.role.entry,
            index=slot.index,
            count=slot.role.count,
            sockets={name: sock.fileno() for name, sock in slot.role.sockets.items()},
            settings=msgspec.Raw(self._settings),
        )
        with theirs:
            slot.process = subprocess.Popen(  # noqa: S603 -- ourselves
                [sys.executable, "-m", self._module, slot.name, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=inherited,
                start_new_session=True,
            )
        slot.lifeline, slot.ready_since, slot.heard = ours, None, b""
        with contextlib.suppress(OSError):
            ours.sendall(msgspec.json.encode(hello) + b"\n")
        self._selector.register(ours, selectors.EVENT_READ, slot)
        self._on_change()

    def _listen_to(self, slot: _Slot) -> None:
        assert slot.lifeline is not None
        with contextlib.suppress(OSError):
            if heard := slot.lifeline.recv(4096):
                slot.heard += heard
                if slot.heard.endswith(b"\n"):
                    self._take_word(slot, msgspec.json.decode(slot.heard, type=_Word))
                return
        self._bury(slot)

    def _take_word(self, slot: _Slot, word: _Word) -> None:
        slot.heard = b""
        if word.code is not None:
            refused = REGISTRY.get(word.code, CHILD_FAILED).error(word.detail, field=word.field)
            if self._started.done():
                _log.error("refused to start", child=slot.name, reason=str(refused))
            else:
                self._started.set_exception(refused)
            return
        slot.ready_since, slot.was_ready = time.monotonic(), True
        if all(each.was_ready for each in self._slots) and not self._started.done():
            self._started.set_result(None)

    def _bury(self, slot: _Slot) -> None:
        """The child is gone, or will be: its end of the lifeline is closed."""
        assert slot.lifeline is not None and slot.process is not None
        self._selector.unregister(slot.lifeline)
        slot.lifeline.close()
        try:
            status = slot.process.wait(2.0)
        except subprocess.TimeoutExpired:
            slot.process.kill()
            status = slot.process.wait()
        if self._stopping:
            return
        now = time.monotonic()
        lived_s = now - slot.ready_since if slot.ready_since is not None else 0.0
        _log.error("died", child=slot.name, pid=slot.process.pid, status=status)
        slot.failures = 1 if lived_s > STEADY_S else slot.failures + 1
        slot.due = now + PAUSES_S[min(slot.failures, len(PAUSES_S) - 1)]
        slot.process = slot.lifeline = slot.ready_since = None
        if slot.failures >= START_ATTEMPTS and not self._started.done():
            self._started.set_exception(
                CHILD_FAILED.error(
                    f"{slot.name} ended {slot.failures} times before it was ready "
                    f"(status {status}). The log above says why."
                )
            )
