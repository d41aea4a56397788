"""The port to a terminal that is not connected to us."""

from __future__ import annotations

import re
from datetime import date
from typing import IO

import msgspec

from kabao.adapters.acquirer import bill
from kabao.adapters.bills import Billed
from kabao.adapters.blame import unsent
from kabao.adapters.envelope import Envelope, Partner
from kabao.adapters.line import FILE_BYTES, OK, Line
from kabao.base.clock import Clock
from kabao.funding.model.answers import (
    BillFile,
    Capabilities,
    Closed,
    Created,
    Fetched,
    Incoming,
    NoBill,
    Notice,
    NotThere,
    Order,
    Paid,
    Payer,
    Queried,
    Refund,
    RefundAnswer,
    Refused,
    Rejected,
    Reply,
    Scene,
    Slip,
    Unknown,
    Unreachable,
    Why,
)
from kabao.reconciliation.model.lines import BillReader, Expected

AT_THE_TERMINAL = "refund_at_the_terminal"
NO_FILE = 404

CAPABILITIES = Capabilities(
    scenes=frozenset({Scene.TERMINAL}),
    no_credit=False,  # the terminal takes whatever card is put in
    closes=True,
    reverses_paid=frozenset(),
    notice_age_signed=False,
    recorded=True,
)

_TERMINAL = re.compile(r"[0-9A-Z]{8}", re.ASCII)
_REFERENCE = re.compile(r"\d{12}", re.ASCII)
_AUTH_CODE = re.compile(r"[0-9A-Z]{6}", re.ASCII)


class Account(msgspec.Struct, frozen=True):
    """Our contract with the acquirer, and which terminals are ours."""

    partner: Partner
    terminals: frozenset[str]


class AcquirerChannel(Billed):
    """Implements `kabao.funding.ports.PayChannel`."""

    def __init__(
        self, line: Line, account: Account, clock: Clock, *, age_s: int, debit_only: bool = False
    ) -> None:
        """`debit_only`: our contract there bars credit cards."""
        self._account, self._clock = account, clock
        self._envelope = Envelope(line, account.partner, clock, age_s=age_s)
        self.capabilities = msgspec.structs.replace(CAPABILITIES, no_credit=debit_only)

    async def create(self, order: Order, payer: Payer) -> Created:
        """Take a slip for what it says. The amount is the order's: the cashier compares."""
        if order.scene is not Scene.TERMINAL:
            return unsent("scene_not_offered")
        if order.no_credit and not self.capabilities.no_credit:
            return unsent("no_credit_not_offered")
        slip = payer.slip
        if slip is None or not _is_readable(slip):
            return unsent("slip_unreadable")
        if slip.terminal not in self._account.terminals:
            return unsent("terminal_unknown")
        number = bill.slip_number(slip.terminal, slip.reference)
        return Paid(number, order.amount_fen, self._clock.now_us(), funds=f"card {slip.auth_code}")

    async def query(self, order: Order) -> Queried:
        """Nobody knows of an order but us: what was not recorded is not there."""
        del order
        return NotThere()

    async def close(self, order: Order) -> Queried:
        """Nothing has to be ended anywhere."""
        del order
        return Closed()

    async def refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Refused: money goes back at the terminal, with the card there."""
        del order, refund
        return Refused(AT_THE_TERMINAL)

    async def query_refund(self, order: Order, refund: Refund) -> RefundAnswer:
        """Refused, as it was asked for."""
        return await self.refund(order, refund)

    def read(self, incoming: Incoming) -> Notice | Rejected:
        """The acquirer sends nothing by itself."""
        del incoming
        return Rejected(Why.UNREADABLE)

    def reply(self, *, taken: bool) -> Reply:
        """Nobody listens to it."""
        return Reply(200 if taken else 404, "text/plain", b"")

    async def fetch_bill(self, day: date, into: IO[bytes]) -> BillFile:
        """The file of a day."""
        target = f"/v1/files?day={day}"
        answer = await self._envelope.ask("GET", target, b"", most=FILE_BYTES)
        if isinstance(answer, Unreachable | Unknown):
            return answer
        if answer.status == NO_FILE:
            return NoBill("none yet")
        if answer.status != OK:
            return Unknown(f"HTTP {answer.status}")
        into.write(answer.body)
        return Fetched()

    def bill_lines(self, file: IO[bytes], day: date) -> BillReader:
        """The lines of such a file."""
        return bill.read(file, Expected(self._account.partner.merchant, day))


def _is_readable(slip: Slip) -> bool:
    return bool(
        _TERMINAL.fullmatch(slip.terminal)
        and _REFERENCE.fullmatch(slip.reference)
        and _AUTH_CODE.fullmatch(slip.auth_code)
    )
