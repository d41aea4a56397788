"""A till of its own: another codec, another MAC, nothing of the host's but the standard.

Written from compliance.md section 5 (MF-01 to MF-10), UnionPay style, 3DES.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

Fields = dict[int, Any]

DIGITS, CHARS, BYTES = "n", "c", "b"
FIXED = {
    3: (DIGITS, 6), 4: (DIGITS, 12), 11: (DIGITS, 6), 12: (DIGITS, 6), 13: (DIGITS, 4),
    14: (DIGITS, 4), 15: (DIGITS, 4), 22: (DIGITS, 4), 25: (DIGITS, 2), 26: (DIGITS, 2),
    37: (CHARS, 12), 38: (CHARS, 6), 39: (CHARS, 2), 41: (CHARS, 8), 42: (CHARS, 15),
    49: (CHARS, 3), 52: (BYTES, 8), 53: (DIGITS, 16), 64: (BYTES, 8),
}  # fmt: skip
VARIABLE = {
    2: (DIGITS, 1), 32: (DIGITS, 1), 35: (DIGITS, 1), 36: (DIGITS, 2), 44: (CHARS, 1),
    48: (DIGITS, 2), 54: (CHARS, 2), 58: (CHARS, 2), 59: (CHARS, 2), 60: (DIGITS, 2),
    61: (DIGITS, 2), 62: (BYTES, 2), 63: (BYTES, 2),
}  # fmt: skip

ANSWER_S = 10.0
TPDU = bytes.fromhex("6000030000")
HEADER = bytes.fromhex("602200000000")


def des(key: bytes, data: bytes, *, back: bool = False) -> bytes:
    cipher = Cipher(TripleDES((key * 3)[:24]), modes.ECB())
    context = cipher.decryptor() if back else cipher.encryptor()
    return context.update(data)


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def mac_of(key: bytes, message: bytes) -> bytes:
    """MF-05, block by block."""
    block = bytes(8)
    for at in range(0, len(message), 8):
        block = xor(block, message[at : at + 8].ljust(8, b"\0"))
    text = block.hex().upper().encode()
    return des(key, xor(des(key, text[:8]), text[8:])).hex().upper()[:8].encode()


def pin_block(key: bytes, pin: str, pan: str) -> bytes:
    """MF-06."""
    field = bytes.fromhex(f"{len(pin):02X}{pin}".ljust(16, "F"))
    return des(key, xor(field, bytes.fromhex("0000" + pan[:-1][-12:])))


def pack(mti: str, fields: Fields) -> bytes:
    bits, body = 0, b""
    for number in sorted(fields):
        bits |= 1 << (64 - number)
        value = fields[number]
        if number in FIXED:
            kind, _ = FIXED[number]
            body += _content(kind, value)
        else:
            kind, width = VARIABLE[number]
            body += bytes.fromhex(f"{len(value):0{2 * width}d}") + _content(kind, value)
    return bytes.fromhex(mti) + bits.to_bytes(8, "big") + body


def _content(kind: str, value: Any) -> bytes:
    if kind == DIGITS:
        return bytes.fromhex(value + "0" * (len(value) % 2))
    return value.encode() if kind == CHARS else value


def unpack(data: bytes) -> tuple[str, Fields]:
    mti, bits, at = data[:2].hex(), int.from_bytes(data[2:10], "big"), 10
    fields: Fields = {}
    for number in range(2, 65):
        if not bits >> (64 - number) & 1:
            continue
        if number in FIXED:
            kind, size = FIXED[number]
        else:
            kind, width = VARIABLE[number]
            size = int(data[at : at + width].hex())
            at += width
        length = (size + 1) // 2 if kind == DIGITS else size
        raw = data[at : at + length]
        assert len(raw) == length, f"field {number} is cut off"
        fields[number] = (
            raw.hex()[:size] if kind == DIGITS else raw.decode() if kind == CHARS else raw
        )
        at += length
    assert at == len(data), "bytes are left over"
    return mti, fields


class Answer:
    """What the host said."""

    def __init__(self, mti: str, fields: Fields) -> None:
        self.mti, self.fields = mti, fields

    @property
    def code(self) -> str:
        return str(self.fields[39])

    @property
    def rrn(self) -> str:
        return str(self.fields[37])

    @property
    def amount(self) -> int:
        return int(self.fields[4])

    @property
    def available(self) -> int | None:
        said = self.fields.get(54)
        return None if said is None else int(said[8:])

    @property
    def words(self) -> tuple[str, str, str, str]:
        """Display code, next step, tries left, text."""
        text = self.fields[63].decode("gb18030")
        return text[:3].strip(), text[3:6].strip(), text[6:9].strip(), text[9:]

    def __repr__(self) -> str:
        return f"Answer({self.mti}, {self.fields.get(39)})"


class LostError(Exception):
    """The host hung up."""


class Till:
    """One terminal, one connection; as many messages in flight as are sent at once."""

    address = "127.0.0.1"

    def __init__(
        self,
        port: int,
        terminal_no: str,
        merchant_no: str,
        tmk: bytes,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port, self.tls = port, tls
        self.terminal_no, self.merchant_no, self.tmk = terminal_no, merchant_no, tmk
        self.pik = self.mak = b""
        self.batch, self.trace = "000000", 0
        self.debit, self.credit = [0, 0], [0, 0]
        self._waiting: dict[tuple[str, str], asyncio.Future[Answer]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        reader, self._writer = await asyncio.open_connection(self.address, self.port, ssl=self.tls)
        self._reading = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                self._heard(await reader.readexactly(size))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LostError())
        self._waiting.clear()

    def _heard(self, frame: bytes) -> None:
        assert frame[:5] == TPDU[:1] + TPDU[3:5] + TPDU[1:3], "the addresses are swapped"
        mti, fields = unpack(frame[11:])
        if 64 in fields:
            assert fields[64] == mac_of(self.mak, frame[11:-8]), "the host's MAC is right"
        key = (mti, str(fields.get(11, "")))
        waiting = self._waiting.pop(key, None) or self._waiting.pop((mti, ""), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(mti, fields))

    # --- messages ---------------------------------------------------------------------------

    def next(self) -> str:
        self.trace += 1
        return f"{self.trace:06d}"

    def signed(self, mti: str, fields: Fields) -> bytes:
        message = pack(mti, fields | {64: bytes(8)})[:-8]
        return message + mac_of(self.mak, message)

    def framed(self, message: bytes) -> bytes:
        frame = TPDU + HEADER + message
        return len(frame).to_bytes(2, "big") + frame

    async def send_raw(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def exchange(self, message: bytes) -> Answer:
        mti, fields = unpack(message)
        key = (f"{mti[:2]}{int(mti[2]) + 1}{mti[3]}", str(fields.get(11, "")))
        waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        await self.send_raw(self.framed(message))
        async with asyncio.timeout(ANSWER_S):
            return await waiting

    def common(self, kind: str, trace: str | None = None) -> Fields:
        return {
            11: trace or self.next(),
            41: self.terminal_no,
            42: self.merchant_no,
            60: f"{kind}{self.batch}000",
        }

    async def sign_in(self, cashier: str = "cashier") -> Answer:
        fields = self.common("00") | {63: cashier.encode()}
        fields[60] = f"00{self.batch}001"
        answer = await self.exchange(pack("0800", fields))
        if answer.code == "00":
            keys = answer.fields[62]
            assert len(keys) == 40
            self.pik = des(self.tmk, keys[:16], back=True)
            self.mak = des(self.tmk, keys[20:28], back=True)
            assert des(self.pik, bytes(8))[:4] == keys[16:20], "the PIN key's check value"
            assert des(self.mak, bytes(8))[:4] == keys[36:40], "the MAC key's check value"
            batch = answer.fields[60][2:8]
            if batch != self.batch:
                self.batch, self.debit, self.credit = batch, [0, 0], [0, 0]
        return answer

    async def sign_off(self) -> Answer:
        fields = self.common("00")
        fields[60] = f"00{self.batch}002"
        return await self.exchange(self.signed("0820", fields))

    async def echo(self) -> Answer:
        fields = self.common("00")
        fields[60] = f"00{self.batch}301"
        return await self.exchange(pack("0820", fields))

    def card(self, card: Any, *, pin: str | None = None, how: str = "typed") -> Fields:
        """How the card is read. `card` has number, pin, track2 and barcode."""
        secret = card.pin if pin is None else pin
        if how == "typed":
            fields: Fields = {2: card.number, 22: "0110"}
        elif how == "barcode":
            return {22: "0320", 59: card.barcode}
        else:
            mode = {"track": "0210", "chip": "0510"}[how]
            fields = {35: card.track2.replace("=", "D"), 22: mode}
        if secret:
            fields |= {26: "12", 52: pin_block(self.pik, secret, card.number)}
        return fields

    def sale(
        self, card: Any, amount: int, *, trace: str | None = None, **read: Any
    ) -> tuple[str, Fields]:
        fields = self.common("22", trace) | self.card(card, **read)
        return "0200", fields | {3: "000000", 4: f"{amount:012d}", 25: "00", 49: "156"}

    async def buy(self, card: Any, amount: int, **how: Any) -> Answer:
        answer = await self.exchange(self.signed(*self.sale(card, amount, **how)))
        if answer.code in {"00", "10"}:
            self._count(self.debit, answer.amount)
        return answer

    async def inquire(self, card: Any, **read: Any) -> Answer:
        fields = self.common("01") | self.card(card, **read) | {3: "310000", 25: "00", 49: "156"}
        return await self.exchange(self.signed("0200", fields))

    async def later(
        self, mti: str, processing: str, condition: str, kind: str, amount: int, *,
        original: str | None = None, batch: str | None = None, rrn: str | None = None,
        trace: str | None = None, more: Fields | None = None,
    ) -> Answer:  # fmt: skip
        """Void, refund, completion and the like."""
        fields = self.common(kind, trace) | {
            3: processing, 4: f"{amount:012d}", 22: "0120", 25: condition, 49: "156",
        }  # fmt: skip
        if original is not None:
            fields[61] = f"{batch or self.batch}{original}"
        if rrn is not None:
            fields[37] = rrn
        return await self.exchange(self.signed(mti, fields | (more or {})))

    async def void(self, original: str, amount: int, **more: Any) -> Answer:
        answer = await self.later("0200", "200000", "00", "23", amount, original=original, **more)
        if answer.code == "00":
            self._count(self.credit, amount)
        return answer

    async def refund(self, rrn: str, amount: int, **more: Any) -> Answer:
        answer = await self.later("0220", "200000", "00", "25", amount, rrn=rrn, **more)
        if answer.code == "00":
            self._count(self.credit, amount)
        return answer

    async def hold(self, card: Any, amount: int, **read: Any) -> Answer:
        fields = self.common("10") | self.card(card, **read)
        fields |= {3: "030000", 4: f"{amount:012d}", 25: "06", 49: "156"}
        return await self.exchange(self.signed("0100", fields))

    async def complete(self, amount: int, **named: Any) -> Answer:
        answer = await self.later("0200", "000000", "06", "20", amount, **named)
        if answer.code == "00":
            self._count(self.debit, amount)
        return answer

    async def cancel(self, amount: int, **named: Any) -> Answer:
        return await self.later("0100", "200000", "06", "11", amount, **named)

    async def load(
        self, card: Any, amount: int, *, trace: str | None = None, **read: Any
    ) -> Answer:
        fields = self.common("46", trace) | self.card(card, **read)
        fields |= {3: "630000", 4: f"{amount:012d}", 25: "00", 49: "156"}
        answer = await self.exchange(self.signed("0200", fields))
        if answer.code == "00":
            self._count(self.credit, amount)
        return answer

    async def void_load(self, original: str, amount: int, **more: Any) -> Answer:
        answer = await self.later("0200", "170000", "00", "51", amount, original=original, **more)
        if answer.code == "00":
            self._count(self.debit, amount)
        return answer

    async def reverse(
        self, trace: str, amount: int, *, processing: str = "000000", condition: str = "00",
        batch: str | None = None, reason: str = "98",
    ) -> Answer:  # fmt: skip
        """MF-10: the original's trace and batch."""
        fields = self.common("22", trace)
        fields |= {3: processing, 4: f"{amount:012d}", 25: condition, 39: reason, 49: "156"}
        fields[60] = f"22{batch or self.batch}000"
        return await self.exchange(self.signed("0400", fields))

    async def last(self, original: str, batch: str | None = None) -> Answer:
        return await self.later("0200", "380000", "00", "07", 0, original=original, batch=batch)

    def uncount(self, side: str, amount: int) -> None:
        """An answer came and was reversed afterwards."""
        sums = self.debit if side == "debit" else self.credit
        sums[0] -= amount
        sums[1] -= 1

    def allowing(self, pin: str) -> Fields:
        """The supervisor's code and PIN."""
        return {63: b"supervisor", 62: pin_block(self.pik, pin, "0" * 16)}

    def totals(self) -> str:
        return (
            f"{self.debit[0]:012d}{self.debit[1]:03d}{self.credit[0]:012d}{self.credit[1]:03d}0"
            + "0" * 31
        )

    async def settle(self) -> Answer:
        fields = self.common("00") | {48: self.totals(), 49: "156"}
        fields[60] = f"00{self.batch}201"
        return await self.exchange(self.signed("0500", fields))

    async def upload(self, lines: list[tuple[int, str, int]]) -> Answer:
        """Lines of direction, trace and amount, eight to a message."""
        answer = None
        for at in range(0, max(len(lines), 1), 8):
            part = lines[at : at + 8]
            body = "".join(f"{'01' if d > 0 else '00'}{t}{0:020d}{a:012d}" for d, t, a in part)
            fields = self.common("00") | {48: f"{len(part):02d}{body}"}
            fields[60] = f"00{self.batch}201"
            answer = await self.exchange(self.signed("0320", fields))
            assert answer.code == "00", answer
        assert answer is not None
        return answer

    async def end_upload(self) -> Answer:
        fields = self.common("00")
        fields[60] = f"00{self.batch}207"
        return await self.exchange(self.signed("0320", fields))

    def _count(self, side: list[int], amount: int) -> None:
        side[0] += amount
        side[1] += 1
