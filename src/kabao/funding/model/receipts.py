"""Money that comes to our bank account: which order it is for, or nobody's (T-13). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

import msgspec

from kabao.funding.model.answers import NoBill, SpoiltBill, Unknown, Unreachable

REFERENCE_DIGITS = 12
_DRAWN = 10 ** (REFERENCE_DIGITS - 1)


def reference_of(order_no: str) -> str:
    """What a payer writes with a transfer: 12 digits from the order's number, the last checks.

    Two orders may have the same one, about once in 10^11 pairs; then neither is guessed.
    """
    drawn = f"{int(order_no, 16) % _DRAWN:0{REFERENCE_DIGITS - 1}d}"
    return drawn + _check_digit(drawn)


def is_reference(text: str) -> bool:
    """Whether a payer can have been shown these digits."""
    return (
        len(text) == REFERENCE_DIGITS
        and text.isascii()
        and text.isdigit()
        and text[-1] == _check_digit(text[:-1])
    )


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One sum that came to the account."""

    no: str
    """The bank's number of the entry."""
    amount_fen: int
    at_us: int
    reference: str
    """That of the virtual account, or the one the payer wrote; empty where there is none."""
    payer: str
    """Personal data, as is `payer_account`."""
    payer_account: str


class Receipts(msgspec.Struct, frozen=True, tag=True):
    """What came on a day, so far."""

    day: date
    items: tuple[Receipt, ...]


ReceiptsAnswer = Receipts | NoBill | SpoiltBill | Unreachable | Unknown


class Expected(msgspec.Struct, frozen=True):
    """An order that waits for a transfer, or had one."""

    order_no: str
    amount_fen: int


class Nobodys(StrEnum):
    """Why a sum is for no order: it is kept aside, and a person looks. Never guessed."""

    NO_REFERENCE = "no_reference"
    NO_ORDER = "no_order"
    SEVERAL_ORDERS = "several_orders"
    WRONG_AMOUNT = "wrong_amount"
    ELSEWHERE = "elsewhere"  # for no order, and booked by whoever it is for: a deposit of cash


def owner(receipt: Receipt, expected: Mapping[str, list[Expected]]) -> Expected | Nobodys:
    """The order that a sum is for; whether it may still be paid, its state decides.

    Args:
        receipt: what came.
        expected: orders by their reference.
    """
    if not receipt.reference:
        return Nobodys.NO_REFERENCE
    found = expected.get(receipt.reference, [])
    if len(found) != 1:
        return Nobodys.SEVERAL_ORDERS if found else Nobodys.NO_ORDER
    (order,) = found
    return order if order.amount_fen == receipt.amount_fen else Nobodys.WRONG_AMOUNT


def _check_digit(digits: str) -> str:
    """By ISO 7812 (Luhn): no single wrong digit and hardly a swap is missed."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)
