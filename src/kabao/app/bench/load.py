"""`python -m kabao.app.bench.load`: HTTP load from a process of its own.

Reads its orders as JSON on standard input and writes what it measured as JSON
on standard output. Closed loop: every connection sends again as soon as it is
answered. Open loop: requests leave at a fixed rate whatever the answers do,
and waiting is counted from the moment a request was due.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import deque
from typing import cast

import msgspec
import uvloop

from kabao.app.bench.plan import percentile

TICK_S = 0.001


class Orders(msgspec.Struct, frozen=True):
    """What to do."""

    host: str
    port: int
    key: str
    tills: list[tuple[str, str]]
    payers: list[tuple[str, str]]
    seconds: float
    connections: int
    rate: float | None = None
    """Requests a second for the open loop; None: closed loop."""
    topups: bool = False
    """Load the cards with cash instead of paying with them."""


class Measured(msgspec.Struct, frozen=True):
    """What came of it."""

    per_second: float
    p50_ms: float
    p99_ms: float
    count: int
    errors: int


class _Connection(asyncio.Protocol):
    """One keep-alive connection; answers come in the order of the requests."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self.due: deque[float] = deque()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._load.lost(len(self.due))

    def send(self, due: float) -> None:
        assert self.transport is not None
        self.due.append(due)
        self.transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while True:
            head = buffer.find(b"\r\n\r\n")
            if head < 0:
                break
            at = buffer.find(b"content-length: ", 0, head)
            size = int(buffer[at + 16 : buffer.find(b"\r", at)])
            if len(buffer) < head + 4 + size:
                break
            self._load.answered(self, buffer[9:12] == b"201" and self._load.done in buffer[head:])
            buffer = buffer[head + 4 + size :]
        self._buffer = buffer


class _Load:
    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._until = 0.0
        self.waits: list[float] = []
        self.errors = 0
        self._prefix = secrets.token_hex(8)
        self._n = 0
        self.done = b'"confirmed"' if orders.topups else b'"captured"'
        self._more = ',"channel":"cash"' if orders.topups else ""
        verb = "topups" if orders.topups else "payments"
        head = (
            f"POST /v1/{verb} HTTP/1.1\r\nHost: {orders.host}\r\n"
            f"Authorization: Bearer {orders.key}\r\nContent-Type: application/json\r\n"
        )
        self._head = head.encode()

    def request(self) -> bytes:
        """A payment or top-up with a key of its own."""
        self._n += 1
        n, orders = self._n, self._orders
        store, terminal = orders.tills[n % len(orders.tills)]
        number, pin = orders.payers[secrets.randbelow(len(orders.payers))]
        body = (
            f'{{"amount":1,"currency":"CNY","source":{{"type":"card_number","number":"{number}",'
            f'"pin":"{pin}"}},"store":"sto_{store}","terminal":"ter_{terminal}"{self._more}}}'
        ).encode()
        return b"%bIdempotency-Key: %b-%d\r\nContent-Length: %d\r\n\r\n%b" % (
            self._head,
            self._prefix.encode(),
            n,
            len(body),
            body,
        )

    def answered(self, connection: _Connection, right: bool) -> None:  # noqa: FBT001 - hot
        """An answer came: note the wait, and in a closed loop go on."""
        now = time.perf_counter()
        self.waits.append(now - connection.due.popleft())
        self.errors += not right
        if self._orders.rate is None and now < self._until:
            connection.send(now)

    def lost(self, waiting: int) -> None:
        """A connection went away with requests unanswered."""
        self.errors += waiting

    async def run(self) -> Measured:
        orders, loop = self._orders, asyncio.get_running_loop()
        connections = []
        for _ in range(orders.connections):
            _, protocol = await loop.create_connection(
                lambda: _Connection(self), orders.host, orders.port
            )
            connections.append(protocol)
        begun = time.perf_counter()
        self._until = begun + orders.seconds
        if orders.rate is None:
            for connection in connections:
                connection.send(time.perf_counter())
            await asyncio.sleep(orders.seconds)
        else:
            await self._open_loop(connections, begun, orders.rate)
        took = time.perf_counter() - begun
        done = len(self.waits)
        await self._drain(connections)
        self.waits.sort()
        return Measured(
            round(done / took, 1),
            round(percentile(self.waits, 0.5) * 1000, 2),
            round(percentile(self.waits, 0.99) * 1000, 2),
            done,
            self.errors,
        )

    async def _open_loop(self, connections: list[_Connection], begun: float, rate: float) -> None:
        sent = 0
        while (now := time.perf_counter()) < self._until:
            while sent < (now - begun) * rate:
                connections[sent % len(connections)].send(begun + sent / rate)
                sent += 1
            await asyncio.sleep(TICK_S)

    async def _drain(self, connections: list[_Connection]) -> None:
        """Wait for what is still under way: a lost answer must show."""
        deadline = time.perf_counter() + 10
        # Nobody tells: answers come in on many connections.
        while any(c.due for c in connections) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.errors += sum(len(c.due) for c in connections)


def main() -> None:
    """Read orders, measure, answer."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    measured = uvloop.run(_Load(orders).run())
    sys.stdout.write(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
