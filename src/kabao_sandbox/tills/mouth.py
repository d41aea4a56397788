"""How a terminal says something over a bad line: signed, once or more, until it is heard."""

from __future__ import annotations

import asyncio
import contextlib

from kabao_sandbox.tills.chance import Chance
from kabao_sandbox.tills.line import Heard, Line, SilenceError
from kabao_sandbox.tills.model import Account, Fault, Faults, Till
from kabao_sandbox.tills.wire import (
    BLOCK,
    HEAD_BYTES,
    MAC_FIELD,
    BrokenError,
    Content,
    Message,
    mac,
    pack,
    session_keys,
    signed,
    unpack,
)

Fields = dict[int, Content]

OK, NO_MAC, SIGN_IN = "00", "A0", "77"
UNSURE = frozenset({"09", "96", "98"})
"""The host does not know, or cannot now: to be asked again."""

TRIES = 40
PAUSE_S = 0.1
GARBAGE_BYTES = 80
WRONG_MAC = b"WRONGMAC"
"""No MAC is written so: its characters are hexadecimal digits."""

_CLOCKED = frozenset({12, 13, 15, MAC_FIELD})
"""What may differ when the same answer is given again."""


class Answer:
    """What the host has said, for certain."""

    def __init__(self, message: Message) -> None:
        self.fields = message.fields
        self.code, self.rrn = message.text(39), message.text(37)
        self.batch, self.totals = message.text(60)[2:8], message.text(48)
        self.amount_fen = int(message.text(4) or 0)

    @property
    def is_ok(self) -> bool:
        """Whether it was done."""
        return self.code == OK


class Mouth:
    """A terminal's keys, its trace numbers, and its way of speaking."""

    def __init__(self, line: Line, account: Account, faults: Faults, chance: Chance) -> None:
        self._line, self._account, self.faults, self.chance = line, account, faults, chance
        self.till = Till(account.terminal_no)
        self.pin_key = self._mac_key = b""
        self.batch, self._trace, self._cashier = "000000", 0, account.cashier

    def next_trace(self) -> str:
        """A number that this batch has not seen."""
        self._trace += 1
        return f"{self._trace:06}"

    def common(self, kind: str, function: str = "000") -> Fields:
        """What every message has; `kind` and `function` are parts of field 60."""
        return {
            11: self.next_trace(),
            41: self._account.terminal_no,
            42: self._account.merchant_no,
            60: f"{kind}{self.batch}{function}",
        }

    def defect(self, what: str) -> None:
        """Something that must not be."""
        self.till.defects.append(f"{self._account.terminal_no}/{self.batch}: {what}")

    async def sign_in(self, cashier: str | None = None) -> None:
        """Fetch session keys and the number of the batch, as this cashier or as before."""
        self._cashier = self._cashier if cashier is None else cashier
        fields = self.common("00", "001")
        if self._cashier:
            fields[63] = self._cashier.encode()
        for _ in range(TRIES):
            try:
                heard = await self._line.ask(pack(Message("0800", fields)))
            except SilenceError:
                continue
            answer = Answer(heard.message)
            if answer.is_ok:
                break
            await asyncio.sleep(PAUSE_S)
        else:
            raise SilenceError("nobody lets the terminal in")
        sent = heard.message.fields[62]
        assert isinstance(sent, bytes)
        tmk = bytes.fromhex(self._account.tmk)
        self.pin_key, self._mac_key = session_keys(tmk, sent)
        self.batch = self.till.batch = answer.batch

    async def echo(self) -> None:
        """Ask whether the host is there."""
        heard = await self._line.ask(pack(Message("0820", self.common("00", "301"))))
        if heard.message.text(39) != OK:
            self.defect("an echo without an answer")

    async def until_heard(self, mti: str, fields: Fields) -> Answer:
        """Say something until there is an answer that means something."""
        for _ in range(TRIES):
            try:
                answer = await self.say(mti, fields)
            except SilenceError:
                self.till.done["asked again"] += 1
                continue
            if answer.code == SIGN_IN:
                await self.sign_in()
            elif answer.code in UNSURE:
                await asyncio.sleep(PAUSE_S)
            else:
                return answer
        raise SilenceError(f"no certain answer in {TRIES} tries")

    async def say(self, mti: str, fields: Fields) -> Answer:
        """Say something once, over a line that may be bad. Raises SilenceError."""
        body = signed(self._mac_key, Message(mti, fields))
        fault = self.faults.draw(self.chance)
        if fault is not None:
            self.till.faults[fault] += 1
        match fault:
            case Fault.LOST:
                await self._line.ask(body)
                raise SilenceError
            case Fault.LATE:
                self._line.leave(body)
                raise SilenceError
            case Fault.DUPLICATE:
                return await self._twice(body)
            case Fault.WRONG_MAC:
                await self._offer(body)
            case Fault.GARBAGE:
                await self._shout()
            case _:
                pass
        return self._read(await self._line.ask(body))

    async def _twice(self, body: bytes) -> Answer:
        both = await asyncio.gather(self._line.ask(body), self._line.ask(body))
        first, second = (self._read(heard) for heard in both)
        if _lasting(first) != _lasting(second) and not {first.code, second.code} & UNSURE:
            self.defect(f"sent twice, answered {first.code} and {second.code}")
        return second if first.code in UNSURE else first

    async def _offer(self, body: bytes) -> None:
        """The same with a MAC that is not right."""
        wrong = (await self._line.ask(body[:-BLOCK] + WRONG_MAC)).message.text(39)
        if wrong != NO_MAC:
            self.defect(f"a wrong MAC was answered {wrong}")

    async def _shout(self) -> None:
        garbage = self.chance.randbytes(self.chance.randrange(1, GARBAGE_BYTES))
        answer = await self._line.shout(garbage)
        with contextlib.suppress(BrokenError):
            if unpack(answer[HEAD_BYTES:]).text(39) == OK:
                self.defect("garbage was approved")

    def _read(self, heard: Heard) -> Answer:
        """An answer whose MAC is right; a refusal may have none. Raises SilenceError."""
        answer, sent = Answer(heard.message), heard.message.fields.get(MAC_FIELD)
        right = sent == mac(self._mac_key, heard.body[:-BLOCK])
        if not right and (sent is not None or answer.is_ok):
            self.defect(f"an answer {answer.code} with a wrong MAC, or none")
            raise SilenceError
        self.till.answers[answer.code] += 1
        return answer


def _lasting(answer: Answer) -> Fields:
    return {number: said for number, said in answer.fields.items() if number not in _CLOCKED}
