"""Receipts, heads and proofs: what is signed, in which form, and how it is checked."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from kabao.base.errors import Kind as ErrorKind
from kabao.base.errors import code

RECEIPT_FORMAT = "kabao-receipt-1"
HEAD_FORMAT = "kabao-evidence-head-1"
CODE_DIGITS = 8
GENESIS = bytes(32)
"""What the first head is chained to."""

NO_RECEIPT = code("receipt_not_found", ErrorKind.NOT_FOUND, "There is no such receipt.")
SERIAL_MISTYPED = code(
    "serial_mistyped", ErrorKind.INVALID, "This is not a serial: a character of it is wrong."
)
BOOKS_DIFFER = code(
    "receipt_differs_from_books",
    ErrorKind.CONFLICT,
    "The books do not say what was signed for this receipt. Tell the auditor.",
)
UNPROVEN = code("receipt_unproven", ErrorKind.INVALID, "The receipt is not proven.")


RETURNS_STOPPED = code(
    "returns_not_allowed", ErrorKind.REFUSED, "Goods are not taken back without their card."
)
NOT_RETURNABLE = code(
    "receipt_not_returnable", ErrorKind.REFUSED, "Only what was paid can be given back."
)
CODE_WRONG = code(
    "verification_code_wrong", ErrorKind.REFUSED, "That is not the code on this slip."
)
TOO_MANY_TRIES = code(
    "verification_tried_too_often",
    ErrorKind.TOO_MANY,
    "The code of this slip was tried too often; wait.",
)


class Kind(StrEnum):
    """What a receipt is about."""

    PAYMENT = "payment"
    HOLD = "hold"
    CAPTURE = "capture"
    RELEASE = "release"
    """A hold whose time was over."""
    VOID = "void"
    REFUND = "refund"
    REVERSAL = "reversal"
    TOPUP = "topup"
    TOPUP_VOID = "topup_void"
    TOPUP_REFUND = "topup_refund"


RETURNABLE = frozenset({Kind.PAYMENT, Kind.CAPTURE})
"""Receipts on which goods are taken back."""

Destination = Literal["card", "new_card", "suspense"]


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is signed of an operation. Amounts in fen, ids as at the edge."""

    serial: str
    kind: Kind
    subject: str
    """The payment or top-up it belongs to."""
    amount: int
    principal: int
    bonus: int
    currency: str
    destination: Destination | None
    """Where value that was given back went; None: nothing was."""
    card: str
    last4: str
    balance_after: int
    """What could be spent then."""
    issuer: str
    store: str | None
    """None for what was bought in an own online channel."""
    merchant_no: str | None
    terminal: str | None
    cashier: str | None
    reference: str | None
    tender: str
    invoiceable: int
    """What the seller may invoice of it: nothing of a card's value (CR-71, CR-73)."""
    business_date: str
    occurred_at: str
    recorded_at: str

    def lines(self) -> bytes:
        """The canonical form: the format, then a line `name: value` for each field.

        Texts are single lines (`base.web.fields`), so no value can pass for
        another field; an absent value is empty.
        """
        fields = [RECEIPT_FORMAT]
        for name in self.__struct_fields__:
            value = getattr(self, name)
            fields.append(f"{name}: {'' if value is None else value}")
        return ("\n".join(fields) + "\n").encode()


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tree's head: what is signed. Digests in hexadecimal."""

    no: int
    leaves: int
    root: str
    previous: str
    """The digest of the head before; 64 zeros for the first."""
    signed_at: str
    key: int
    """The version of the key that signs."""

    def lines(self) -> bytes:
        """The canonical form, as of a receipt."""
        fields = [f"{name}: {getattr(self, name)}" for name in self.__struct_fields__]
        return ("\n".join([HEAD_FORMAT, *fields]) + "\n").encode()


class SignedHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A head, its signature, and the key to check it with. In hexadecimal."""

    head: Head
    signature: str
    public_key: str


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way from a receipt's digest to a signed head."""

    place: int
    path: list[str]
    """The digests beside the way, from the leaf up."""
    signed: SignedHead


class Leaf(msgspec.Struct, frozen=True):
    """A digest in the log."""

    op: str
    subject: str
    topup: bool
    """Whether the subject is a top-up; else it is a payment."""
    digest: bytes
    tree: int = 0
    place: int = 0


class Proven(msgspec.Struct, frozen=True):
    """A receipt with its digest and, once it is signed, its proof."""

    receipt: Receipt
    digest: str
    proof: Proof | None


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {sign: value for value, sign in enumerate(_ALPHABET)}
_READ_AS = str.maketrans("ILO", "110", " -")
_SIGNS, _GROUP = 26, 9


def serial_of(op: str) -> str:
    """An operation's id (32 hex characters) as people read, scan and type it.

    26 characters of Crockford's base 32 and one to find mistyping by, in three
    groups of nine. Nothing is stored for it: `op_of` reads it back.
    """
    number = int(op, 16)
    signs = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_SIGNS)))
    text = signs + _ALPHABET[_check(signs)]
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def op_of(serial: str) -> str:
    """The id behind a serial, however it is grouped. Raises `serial_mistyped`."""
    text = serial.upper().translate(_READ_AS)
    if len(text) != _SIGNS + 1 or any(sign not in _VALUE for sign in text):
        raise SERIAL_MISTYPED.error(field="receipt")
    number = 0
    for sign in text[:-1]:
        number = number << 5 | _VALUE[sign]
    if number >> 128 or _check(text[:-1]) != _VALUE[text[-1]]:
        raise SERIAL_MISTYPED.error(field="receipt")
    return f"{number:032x}"


def _check(signs: str) -> int:
    """A weighted sum modulo 31, a prime: it finds every single wrong character but for the
    one that 31 hides, and every two that were swapped.
    """
    return sum((place + 1) * _VALUE[sign] for place, sign in enumerate(signs)) % 31
