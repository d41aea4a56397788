"""A receipt, and files of receipts signed by a key of the tests."""

from __future__ import annotations

from typing import Any

import msgspec

from kabao.evidence import merkle
from kabao.evidence.model import (
    GENESIS,
    RECEIPT_FORMAT,
    Head,
    Kind,
    Proof,
    Receipt,
    SignedHead,
    serial_of,
)
from kabao.evidence.ops.verify import ReceiptFile
from kabao.sm2 import new_private
from kabao.vault.signatures import Signer

OP = "0190f0f0f0f07000800000000000000a"


def ident(prefix: str, number: int) -> str:
    return f"{prefix}_0190f0f0f0f07000{0x8000000000000000 + number:016x}"


RECEIPT = Receipt(
    serial=serial_of(OP),
    kind=Kind.PAYMENT,
    subject=f"pay_{OP}",
    amount=1_234,
    principal=1_000,
    bonus=234,
    currency="CNY",
    destination=None,
    card=ident("card", 1),
    last4="4242",
    balance_after=8_766,
    issuer=ident("com", 2),
    store=ident("sto", 3),
    merchant_no="KB0000000000007",
    terminal=ident("ter", 4),
    cashier=None,
    reference="order-1",
    tender="stored_value",
    invoiceable=0,
    business_date="2026-11-22",
    occurred_at="2026-11-22T10:00:00.000000+08:00",
    recorded_at="2026-11-22T10:00:00.000000+08:00",
)


def replaced(receipt: Any, name: str) -> Any:
    """The same with one field different."""
    value = getattr(receipt, name)
    other: Any = {
        "kind": Kind.REFUND,
        "destination": "suspense",
        "cashier": ident("csh", 9),
    }.get(name)
    if other is None:
        other = value + 1 if isinstance(value, int) else value[:-1] + chr(ord(value[-1]) ^ 1)
    return msgspec.structs.replace(receipt, **{name: other})


def receipt_file(signer: Signer, *, leaves: int = 5, place: int = 3) -> ReceiptFile:
    """A receipt among others in a signed tree."""
    texts = [b"another %d" % n for n in range(leaves)]
    texts[place] = RECEIPT.lines()
    digests = [merkle.leaf(text) for text in texts]
    head = Head(
        no=7,
        leaves=leaves,
        root=merkle.root(digests).hex(),
        previous=GENESIS.hex(),
        signed_at=RECEIPT.recorded_at,
        key=1,
    )
    signed = SignedHead(
        head=head, signature=signer.sign(head.lines()).hex(), public_key=signer.public.hex()
    )
    path = [one.hex() for one in merkle.path(digests, place)]
    proof = Proof(place=place, path=path, signed=signed)
    return ReceiptFile(RECEIPT_FORMAT, RECEIPT, digests[place].hex(), proof)


def signer() -> Signer:
    return Signer(new_private())
