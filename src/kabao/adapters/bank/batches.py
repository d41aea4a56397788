"""The port to what clearing pays out: many sums in one file, under one number."""

from __future__ import annotations

import asyncio
from datetime import date

from kabao.adapters.bank import meaning, payout, statement
from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.payout import BatchStatus, Holder, Payout, Status
from kabao.adapters.bank.xml import NotReadableError
from kabao.adapters.envelope import Envelope
from kabao.adapters.line import OK, Answer
from kabao.clearing.model.batches import (
    Batch,
    BatchAnswer,
    BatchTold,
    Fate,
    Returns,
    ReturnsAnswer,
    Told,
)
from kabao.funding.model.answers import NotThere, Refused, Unknown

XML = "application/xml"
FILE_BYTES = 256 << 20
"""The largest document we take: about two hundred thousand entries."""

NO_FILE = "NO_FILE"
TAKEN = frozenset({meaning.DUPLICATE, "DU01", "DU02", "DU03", "DU04", "DU05"})
"""A copy was refused, of a file or a sum that the bank has: what became of that one is asked."""


class Batches:
    """Implements `kabao.clearing.ports.PayoutBank`.

    Args:
        envelope: what is said to the bank travels in it.
        us: the account that is paid from.
    """

    def __init__(self, envelope: Envelope, us: Holder) -> None:
        self._envelope, self._us = envelope, us

    def written(self, batch: Batch) -> bytes:
        """The file, pain.001.001.09."""
        payouts = [
            Payout(
                no=part.no,
                order_no=part.instruction,
                amount_fen=part.amount_fen,
                created_us=batch.created_us,
                words=part.words,
                us=self._us,
                to=Holder(part.to.name, part.to.account, part.to.bank),
            )
            for part in batch.parts
        ]
        return payout.batch(batch.no, batch.day.isoformat(), payouts)

    async def send(self, batch: Batch) -> BatchAnswer:
        """Send the file."""
        return await self._heard(batch, "POST", "/v1/payment-files", self.written(batch))

    async def ask(self, batch: Batch) -> BatchAnswer:
        """Ask for its pain.002."""
        return await self._heard(batch, "GET", f"/v1/payment-files?message={batch.no}", b"")

    async def returns(self, day: date) -> ReturnsAnswer:
        """Credits of a day that undo payouts (camt.054)."""
        target = f"/v1/notifications?from={day}&to={day}"
        answer = await self._envelope.ask("GET", target, b"", most=FILE_BYTES, kind=XML)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != OK:
            return Unknown(f"HTTP {answer.status}")
        try:
            # A large document takes seconds, in which others want their turn.
            told = await asyncio.to_thread(statement.told, answer.body, self._us.account)
        except NotReadableError as wrong:
            return Unknown(str(wrong))
        return Returns(day, tuple(_returned(one) for one in told if _came_back(one)))

    async def _heard(self, batch: Batch, method: str, target: str, body: bytes) -> BatchAnswer:
        answer = await self._envelope.ask(method, target, body, most=FILE_BYTES, kind=XML)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != OK:
            code = meaning.code_of(answer)
            return NotThere() if code == NO_FILE else Unknown(code or f"HTTP {answer.status}")
        try:
            status = await asyncio.to_thread(payout.read_batch, answer.body)
        except NotReadableError as wrong:
            return Unknown(str(wrong))
        return meant(status, batch)


def meant(status: BatchStatus, batch: Batch) -> BatchTold | Refused | Unknown:
    """What a pain.002 says of a batch. One that speaks of anything else says nothing."""
    amounts = {part.no: part.amount_fen for part in batch.parts}
    if status.no != batch.no:
        return Unknown("another file was told")
    for one in status.payouts:
        if one.no not in amounts or one.amount_fen not in {None, amounts[one.no]}:
            return Unknown("another payout was told")
    if status.code in payout.REFUSED:
        if status.reason in TAKEN:
            return Unknown("the bank has another file of this number")
        if not status.payouts:
            return Refused(status.reason or status.code)
    named = {one.no: _told(one) for one in status.payouts}
    fate = _fate(status.code)
    if fate is Fate.REJECTED and any(one.reason in TAKEN for one in status.payouts):
        fate = Fate.UNDER_WAY  # a copy was refused
    if fate is not Fate.UNDER_WAY:  # it holds for all of it, whether each sum is named or not
        no_to_all = fate is Fate.REJECTED
        unnamed = {no: Told(no, fate, reason=status.reason, whole=no_to_all) for no in amounts}
        named = unnamed | named
    return BatchTold(tuple(named.values()))


def _told(one: Status) -> Told:
    fate = _fate(one.code)
    if fate is Fate.REJECTED and one.reason in TAKEN:
        fate = Fate.UNDER_WAY
    return Told(one.no, fate, one.amount_fen, one.reason)


def _fate(code: str) -> Fate:
    """Codes we do not know decide nothing: the bank is asked again."""
    if code in payout.DONE:
        return Fate.PAID
    return Fate.REJECTED if code in payout.REFUSED else Fate.UNDER_WAY


def _came_back(one: Entry) -> bool:
    return one.came and one.reversal and bool(one.refund_no)


def _returned(one: Entry) -> Told:
    return Told(one.refund_no, Fate.RETURNED, one.amount_fen, one.reason, one.at_us)
