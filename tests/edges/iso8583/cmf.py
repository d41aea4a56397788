"""A till that speaks jPOS CMF: written and read by pyiso8583, its sums and MACs its own."""

from __future__ import annotations

import asyncio
from typing import Any

from kabao.edges.iso8583.spec import shipped
from tests.scenarios.world import Card

from . import oracle
from .till import des, mac_of, pin_block

CMF = shipped("jpos_cmf")
OK = "0000"


async def send(port: int, frame: bytes) -> bytes:
    """One frame and its answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(len(frame).to_bytes(2, "big") + frame)
        async with asyncio.timeout(10):
            size = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(size)
    finally:
        writer.close()


def yuan(fen: int) -> str:
    """DE 4: currency, minor unit, amount."""
    return f"1562{fen:012}"


class CmfTill:
    """One terminal; answers by field number, `t` the type."""

    def __init__(self, port: int, terminal_no: str, merchant_no: str, tmk: bytes) -> None:
        self.port, self.tmk = port, tmk
        self.numbers = {41: f"{terminal_no:16}", 42: merchant_no}
        self.batch, self.trace = f"{0:06}", 0
        self.pik = self.mak = b""
        self.debit, self.credit = [0, 0], [0, 0]
        self.lines: list[str] = []

    async def sign_in(self, cashier: str = "") -> dict[str, str]:
        person = {62: cashier} if cashier else {}
        raw = oracle.encode(CMF, "2804", self._fields({24: "801"} | person))
        answer = oracle.decode(CMF, await send(self.port, raw))
        keys = bytes.fromhex(answer["72"])
        self.pik = des(self.tmk, keys[:16], back=True)
        self.mak = des(self.tmk, keys[20:28], back=True)
        self.batch = answer["59"][:6]
        return answer

    async def ask(self, mti: str, fields: dict[int, Any]) -> dict[str, str]:
        """A message with its MAC: in field 128 if there is one above 64, else in 64."""
        fields = self._fields(fields)
        at = 128 if max(fields) > 64 else 64
        raw = oracle.encode(CMF, mti, fields | {at: bytes(8)})[:-8]
        answer = await send(self.port, raw + mac_of(self.mak, raw))
        read = oracle.decode(CMF, answer)
        high = any(int(n) > 64 for n in read if n.isdecimal() and n != "128")
        mac = read.pop("128" if high else "64")
        assert bytes.fromhex(mac) == answer[-8:] == mac_of(self.mak, answer[:-8])
        return read

    def _fields(self, fields: dict[int, Any]) -> dict[int, Any]:
        self.trace += 1
        made = {11: f"{self.trace:012}", 59: f"{self.batch}{0:06}01"}
        return made | self.numbers | fields

    async def buy(self, card: Card, fen: int) -> dict[str, str]:
        block = pin_block(self.pik, card.pin, card.number)
        sale = {2: card.number, 3: "006000", 4: yuan(fen), 52: block}
        answer = await self.ask("2200", sale)
        if answer["39"] == OK:
            self._count(self.debit, "00", fen)
        return answer

    async def void(self, trace: int, fen: int) -> dict[str, str]:
        original = f"2200{trace:012}{0:014}"
        answer = await self.ask("2200", {3: "026000", 4: yuan(fen), 56: original})
        if answer["39"] == OK:
            self._count(self.credit, "01", fen)
        return answer

    async def reverse(self, trace: int) -> dict[str, str]:
        return await self.ask("2420", {3: "006000", 56: f"2200{trace:012}{0:014}"})

    async def settle(self) -> dict[str, str]:
        return await self.ask("2540", {74: self.totals()})

    async def upload(self) -> dict[str, str]:
        for at in range(0, len(self.lines), 8):
            part = self.lines[at : at + 8]
            said = f"{len(part):02}{''.join(part)}".encode()
            answer = await self.ask("2304", {24: "301", 72: said})
            assert answer["39"] == OK, answer
        return await self.ask("2304", {24: "303"})

    def totals(self) -> str:
        """DE 74: six pairs of amount and number."""
        none = "0" * 52
        return "".join(f"{fen:016}{count:010}{none}" for fen, count in (self.credit, self.debit))

    def _count(self, side: list[int], kind: str, fen: int) -> None:
        side[0] += fen
        side[1] += 1
        self.lines.append(f"{kind}{self.trace:06}{0:020}{fen:012}")
