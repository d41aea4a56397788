"""The line between a till and the platform, which goes bad when it is told to."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from .journal import Journal

Fault = str
"""`ok` · `lost`: the answer does not arrive · `cut`: nothing gets through · `portal`: a
login page answers instead · `twice`: the request arrives twice."""

PORTAL = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nlogin"


class Line:
    """A port of its own before a platform's port; one request on a connection.

    Each request takes the next of `faults`; when there is none left, `then`.
    """

    def __init__(self, port: int, journal: Journal) -> None:
        self._target, self._journal = port, journal
        self.faults: list[Fault] = []
        self.then: Fault = "ok"
        self.seen: list[str] = []
        """The first line of each request that got through."""
        self.after: Callable[[], Any] = lambda: None
        """Called when the platform has answered and before the till hears of it."""
        line = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                line._handle(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, till: socket.socket) -> None:
        fault = self.faults.pop(0) if self.faults else self.then
        if fault == "cut":
            return
        request = _message(till)
        if not request:
            return
        if fault == "portal":
            till.sendall(PORTAL)
            return
        self.seen.append(request.partition(b"\r\n")[0].decode())
        for _ in range(2 if fault == "twice" else 1):
            reply = self._forward(request)
        self.after()
        head, _, body = reply.partition(b"\r\n\r\n")
        lost = fault == "lost"
        self._journal.note(request, None if lost else int(head.split()[1]), body)
        if not lost:
            till.sendall(reply)

    def _forward(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._target), 10) as platform:
            platform.sendall(request)
            return _message(platform)


def _message(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    want = lengths[0] if lengths else 0
    while len(body) < want:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body
