"""What a line of a channel's bill says of an order of ours (T-20: reconciled). Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from kabao.funding.model.answers import BillLine
from kabao.funding.model.collections import FundingRefund, Held
from kabao.funding.model.life import RefundState


class Found(StrEnum):
    """How a line compares with our books."""

    MATCHED = "matched"
    UNTOLD = "untold"  # it is ours, and we were not told: the channel is asked
    AMOUNT = "amount"  # another amount than ours
    NUMBER = "number"  # of a payment of another number than ours
    STRANGE = "strange"  # nothing of ours
    RETURNED = "returned"  # a refund came back to us: where does it belong?
    ABSENT = "absent"  # ours, and not in the bill


class BillState(StrEnum):
    """How far a bill has come."""

    WAITING = "waiting"  # to be fetched, or fetched again
    MATCHED = "matched"  # every line was looked at


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """A channel's bill of a day."""

    channel: str
    day: date
    state: BillState
    asked: int
    lines: int
    differences: int
    reason: str | None
    """Why it is not there yet."""


def of_payment(line: BillLine, held: Held | None) -> Found:
    """A line of a payment, with the order it is of."""
    if held is None:
        return Found.STRANGE
    if line.amount_fen != held.collection.amount_fen:
        return Found.AMOUNT
    if held.order.channel_no is None:
        return Found.UNTOLD
    return Found.MATCHED if held.order.channel_no == line.channel_no else Found.NUMBER


def of_refund(line: BillLine, refund: FundingRefund | None) -> Found:
    """A line of money that went back, with the refund it is of."""
    if refund is None:
        return Found.STRANGE
    if line.amount_fen != refund.amount_fen:
        return Found.AMOUNT
    return Found.MATCHED if refund.state is RefundState.DONE else Found.UNTOLD
