"""Check a receipt with nothing but its file and a public key."""

from __future__ import annotations

import msgspec

from kabao.evidence import merkle
from kabao.evidence.model import RECEIPT_FORMAT, UNPROVEN, Proof, Receipt, SignedHead
from kabao.vault.model import PUBLIC_BYTES
from kabao.vault.ops import sm3, verify_signature

MAX_PATH = 64


class ReceiptFile(msgspec.Struct, frozen=True):
    """A receipt as `GET /v1/receipts/{receipt}` gives it; what else is there is not looked at."""

    format: str
    receipt: Receipt
    digest: str
    proof: Proof | None


class Checked(msgspec.Struct, frozen=True):
    """A receipt that holds."""

    receipt: Receipt
    head: int
    signed_at: str
    fingerprint: str
    """Of the key that signed: the first 16 hex digits of its SM3 digest."""
    pinned: bool
    """Whether that key is the one that was trusted beforehand."""


def check(text: bytes, pinned: bytes | None = None) -> Checked:
    """Check a receipt file.

    Without a pinned key it is only shown that the file is whole and who signed
    it: compare the fingerprint with the one the issuer publishes.

    Raises:
        KabaoError: `receipt_unproven`, with what is wrong.
    """
    file = _read(text)
    digest = merkle.leaf(file.receipt.lines())
    if _bytes(file.digest, "digest", 32) != digest:
        raise UNPROVEN.error(
            "The digest is not that of the fields: a field or the digest was changed."
        )
    if file.proof is None:
        raise UNPROVEN.error("The receipt is not signed yet: ask for it again in a second.")
    proof, head = file.proof, file.proof.signed.head
    if len(proof.path) > MAX_PATH:
        raise UNPROVEN.error("The path is longer than any tree is deep.")
    beside = [_bytes(one, "path", 32) for one in proof.path]
    root = merkle.climb(digest, proof.place, head.leaves, beside)
    if root != _bytes(head.root, "root", 32):
        raise UNPROVEN.error(
            "The path does not lead from this receipt to the head: "
            "the receipt is another one's, or the path or the head was changed."
        )
    public = check_head(proof.signed, pinned)
    return Checked(file.receipt, head.no, head.signed_at, fingerprint(public), pinned is not None)


def check_head(signed: SignedHead, pinned: bytes | None = None) -> bytes:
    """Check a head's signature; the key that made it. Raises `receipt_unproven`."""
    public = _bytes(signed.public_key, "public key", PUBLIC_BYTES)
    if pinned is not None and public != pinned:
        raise UNPROVEN.error(
            f"Signed by the key {fingerprint(public)}, not by the trusted {fingerprint(pinned)}."
        )
    signature = _bytes(signed.signature, "signature", 64)
    if not verify_signature(public, signed.head.lines(), signature):
        raise UNPROVEN.error("The signature is not that of this head by this key.")
    return public


def fingerprint(public: bytes) -> str:
    """Short enough to compare by eye."""
    return sm3(public).hex()[:16]


def public_key(text: str) -> bytes:
    """A public key of 128 hex digits. Raises `receipt_unproven`."""
    return _bytes("".join(text.split()).lower(), "public key", PUBLIC_BYTES)


def _read(text: bytes) -> ReceiptFile:
    try:
        file = msgspec.json.decode(text, type=ReceiptFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise UNPROVEN.error(f"That is not a receipt file: {broken}.") from None
    if file.format != RECEIPT_FORMAT:
        raise UNPROVEN.error(f"That is not a receipt of the format {RECEIPT_FORMAT}.")
    return file


def _bytes(text: str, what: str, size: int) -> bytes:
    """Lower-case hex only, so that no two files say the same in two ways."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size or found.hex() != text:
        raise UNPROVEN.error(f"The {what} is not {size} bytes in lower-case hexadecimal.")
    return found
