"""`python -m kabao.app.bench.load_pos`: tills that pay over ISO 8583, in a process of their own.

Orders as JSON on standard input, what was measured as JSON on standard output. Every
connection is one terminal that has signed in; it keeps a number of purchases in flight, each
with card number, PIN block and MAC, and sends the next when one is answered. A batch that
is nearly full is settled, as a till's is, and the next one begun.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from functools import partial
from typing import cast

import msgspec
import uvloop

from kabao.app.bench.load import Measured
from kabao.app.bench.plan import percentile
from kabao.edges.iso8583.ciphers import Block, mac, pin_block
from kabao.edges.iso8583.codec import Codec
from kabao.edges.iso8583.model import Fields, Totals
from kabao.edges.iso8583.reading import show_totals
from kabao.edges.iso8583.spec import MacMethod, shipped
from kabao.vault.model import TerminalCipher

HEAD = bytes.fromhex("6000030000602200000000")
AMOUNT_FEN = 1
BATCH = 800
"""Purchases in a batch: a host takes some hundreds, until their sums overflow."""

TRACE_BYTES = slice(30, 33)
"""Where field 11 stands in the answer to a purchase: after head, type, bitmap, 3 and 4."""


class Master(msgspec.Struct, frozen=True):
    """A terminal and its master key."""

    terminal_no: str
    merchant_no: str
    tmk: str

    def __repr__(self) -> str:
        return f"Master({self.terminal_no})"


class PosOrders(msgspec.Struct, frozen=True):
    """What to do."""

    host: str
    port: int
    masters: list[Master]
    payers: list[tuple[str, str]]
    seconds: float
    in_flight: int
    first_trace: int
    """A till's traces are unique in its batch: every measurement has a span of its own."""


class _Till(asyncio.Protocol):
    def __init__(self, load: _Load, master: Master) -> None:
        self._load, self._master = load, master
        self._codec = Codec(shipped("unionpay"))
        self._buffer = b""
        self._trace = load.first_trace
        self._sent: dict[bytes, float] = {}
        self._batch = "000000"
        self._begun = self._bought = self._waiting = 0
        """Of this batch: sent, approved; and purchases that wait for the next one."""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._load.errors += len(self._sent)

    def sign_in(self) -> None:
        message = self._codec.encode("0800", self._common("00") | {60: "00000000001"})
        self._write(message)

    def _common(self, kind: str) -> dict[int, str | bytes]:
        self._trace += 1
        return {
            11: f"{self._trace:06d}",
            41: self._master.terminal_no,
            42: self._master.merchant_no,
            60: f"{kind}{self._batch}000",
        }

    def buy(self) -> None:
        if self._begun >= BATCH:
            self._waiting += 1
            if not self._sent:
                self._settle()
            return
        self._begun += 1
        number, pin = self._load.payer()
        fields = self._common("22") | {
            2: number,
            3: "000000",
            4: f"{AMOUNT_FEN:012d}",
            22: "011",
            25: "00",
            26: "12",
            49: "156",
            52: pin_block(self._pik, pin, number),
        }
        message = self._codec.encode("0200", fields, mac=True)
        self._sent[bytes.fromhex(cast("str", fields[11]))] = time.perf_counter()
        self._write(message + mac(MacMethod.XOR, self._mak, message))

    async def end(self) -> None:
        """Settle what there is, so that whoever signs in next begins a batch."""
        self._settle()
        await asyncio.wait_for(self.ready, 10)

    def _settle(self) -> None:
        """Everything is answered: say what it comes to."""
        self.ready = asyncio.get_running_loop().create_future()
        totals = Totals(debit_fen=self._bought * AMOUNT_FEN, debit_count=self._bought)
        fields = self._common("00") | {
            48: show_totals(self._codec.dialect.totals, totals, even=True),
            49: "156",
            60: f"00{self._batch}201",
        }
        message = self._codec.encode("0500", fields, mac=True)
        self._write(message + mac(MacMethod.XOR, self._mak, message))

    def _write(self, message: bytes) -> None:
        frame = HEAD + message
        self._transport.write(len(frame).to_bytes(2, "big") + frame)

    def data_received(self, data: bytes) -> None:
        buffer, at = self._buffer + data, 0
        while len(buffer) - at >= 2:
            end = at + 2 + int.from_bytes(buffer[at : at + 2], "big")
            if end > len(buffer):
                break
            self._heard(buffer[at + 2 : end])
            at = end
        self._buffer = buffer[at:]

    def _heard(self, frame: bytes) -> None:
        if not self.ready.done():
            self._between(frame)
            return
        now = time.perf_counter()
        trace = frame[TRACE_BYTES]
        begun = self._sent.pop(trace, None)
        right = begun is not None and self._codec.decode(frame, len(HEAD)).fields[39] == "00"
        self._bought += right
        self._load.answered(self, now - (begun or now), right=right, now=now)

    def _between(self, frame: bytes) -> None:
        """The answer to a settlement or a sign-in."""
        answer = self._codec.decode(frame, len(HEAD))
        if answer.fields[39] != "00":
            sums = f"{self._bought} of {self._begun} bought, the host has {answer.fields.get(48)!r}"
            raise RuntimeError(f"{answer.mti} was answered {answer.fields[39]!r}: {sums}")
        if answer.mti == "0510":
            self.sign_in()
            return
        self._signed_in(answer.fields)
        self._begun = self._bought = 0
        again, self._waiting = self._waiting, 0
        if self._load.goes_on(time.perf_counter()):
            for _ in range(again):
                self.buy()

    def _signed_in(self, fields: Fields) -> None:
        keys, batch = fields[62], fields[60]
        assert isinstance(keys, bytes) and isinstance(batch, str)
        tmk = Block(TerminalCipher.TDES, bytes.fromhex(self._master.tmk))
        self._pik = Block(TerminalCipher.TDES, tmk.decrypt(keys[:16]))
        self._mak = Block(TerminalCipher.TDES, tmk.decrypt(keys[20:28]))
        self._batch = batch[2:8]
        self.ready.set_result(None)

    @property
    def waiting(self) -> int:
        """What is not answered yet; a settlement or sign-in counts as one."""
        return len(self._sent) + (not self.ready.done())


class _Load:
    def __init__(self, orders: PosOrders) -> None:
        self._orders = orders
        self._until = 0.0
        self.first_trace = orders.first_trace
        self.waits: list[float] = []
        self.errors = 0

    def payer(self) -> tuple[str, str]:
        return self._orders.payers[secrets.randbelow(len(self._orders.payers))]

    def answered(self, till: _Till, waited: float, *, right: bool, now: float) -> None:
        self.waits.append(waited)
        self.errors += not right
        if self.goes_on(now):
            till.buy()

    def goes_on(self, now: float) -> bool:
        """Whether there is more to buy."""
        return now < self._until

    async def run(self) -> Measured:
        orders, loop = self._orders, asyncio.get_running_loop()
        tills = []
        for master in orders.masters:
            _, till = await loop.create_connection(
                partial(_Till, self, master), orders.host, orders.port
            )
            till.sign_in()
            await asyncio.wait_for(till.ready, 10)
            tills.append(till)
        begun = time.perf_counter()
        self._until = begun + orders.seconds
        for till in tills:
            for _ in range(orders.in_flight):
                till.buy()
        await asyncio.sleep(orders.seconds)
        took, done = time.perf_counter() - begun, len(self.waits)
        deadline = time.perf_counter() + 10
        # Nobody tells: answers come in on many connections.
        while any(t.waiting for t in tills) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.errors += sum(till.waiting for till in tills)
        for till in tills:
            await till.end()
        self.waits.sort()
        return Measured(
            round(done / took, 1),
            round(percentile(self.waits, 0.5) * 1000, 2),
            round(percentile(self.waits, 0.99) * 1000, 2),
            done,
            self.errors,
        )


def main() -> None:
    """Read orders, measure, answer."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=PosOrders)
    measured = uvloop.run(_Load(orders).run())
    sys.stdout.write(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main()
