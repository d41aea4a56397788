"""Messages in the UnionPay style, written from the standard alone.

Bytes on the line: two of length, five of addresses (TPDU), six of header, then two of
message type, eight of bitmap and the fields. Session keys are 3DES.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

TPDU = bytes.fromhex("6000030000")
TPDU_BACK = bytes.fromhex("6000000003")
HEADER = bytes.fromhex("602200000000")
HEAD_BYTES = len(TPDU) + len(HEADER)
LENGTH_BYTES = 2
BLOCK = 8
MAC_FIELD = 64

Content = str | bytes


class BrokenError(Exception):
    """What came is no message."""


class Form(NamedTuple):
    """How a field is written: `n` packed digits, `c` characters, `b` bytes; its size, or by
    how many bytes its length is told.
    """

    kind: str
    size: int = 0
    told: int = 0


FORMS = {
    2: Form("n", told=1),
    3: Form("n", 6),
    4: Form("n", 12),
    11: Form("n", 6),
    12: Form("n", 6),
    13: Form("n", 4),
    15: Form("n", 4),
    22: Form("n", 4),
    25: Form("n", 2),
    26: Form("n", 2),
    35: Form("n", told=1),
    37: Form("c", 12),
    38: Form("c", 6),
    39: Form("c", 2),
    41: Form("c", 8),
    42: Form("c", 15),
    44: Form("c", told=1),
    48: Form("n", told=2),
    49: Form("c", 3),
    52: Form("b", 8),
    54: Form("c", told=2),
    59: Form("c", told=2),
    60: Form("n", told=2),
    61: Form("n", told=2),
    62: Form("b", told=2),
    63: Form("b", told=2),
    MAC_FIELD: Form("b", 8),
}


class Message(msgspec.Struct, frozen=True):
    """A message type of four digits, and fields by number."""

    mti: str
    fields: dict[int, Content]

    def text(self, field: int) -> str:
        """A field of digits or characters; empty if it is not there."""
        content = self.fields.get(field, "")
        return content if isinstance(content, str) else content.decode("ascii", "replace")


def pack(message: Message) -> bytes:
    """A message as bytes, without length and head."""
    bitmap, body = 0, []
    for number, content in sorted(message.fields.items()):
        form = FORMS[number]
        bitmap |= 1 << (64 - number)
        if form.told:
            body.append(bytes.fromhex(f"{len(content):0{2 * form.told}d}"))
        body.append(_packed(content) if form.kind == "n" else _plain(content))
    return bytes.fromhex(message.mti) + bitmap.to_bytes(8, "big") + b"".join(body)


def _packed(content: Content) -> bytes:
    assert isinstance(content, str), "digits are text"
    return bytes.fromhex(content + "0" * (len(content) % 2))


def _plain(content: Content) -> bytes:
    return content.encode("ascii") if isinstance(content, str) else content


def unpack(data: bytes) -> Message:
    """Bytes as a message. Raises BrokenError."""
    bitmap, at = int.from_bytes(data[2:10], "big"), 10
    fields: dict[int, Content] = {}
    for number in range(1, 65):
        if not bitmap >> (64 - number) & 1:
            continue
        form = FORMS.get(number)
        if form is None:
            raise BrokenError(f"field {number} is none of ours")
        size, at = _size(form, data, at)
        length = (size + 1) // 2 if form.kind == "n" else size
        raw, at = data[at : at + length], at + length
        if len(raw) < length:
            raise BrokenError(f"field {number} is cut off")
        fields[number] = _content(form, raw, size)
    if at != len(data):
        raise BrokenError("there are bytes behind the last field")
    return Message(data[:2].hex(), fields)


def _size(form: Form, data: bytes, at: int) -> tuple[int, int]:
    if not form.told:
        return form.size, at
    told = data[at : at + form.told].hex()
    if not told.isdecimal():
        raise BrokenError("a length that is no number")
    return int(told), at + form.told


def _content(form: Form, raw: bytes, size: int) -> Content:
    if form.kind == "n":
        return raw.hex().upper()[:size]
    return raw.decode("ascii", "replace") if form.kind == "c" else raw


def framed(body: bytes) -> bytes:
    """As it goes onto the line."""
    frame = TPDU + HEADER + body
    return len(frame).to_bytes(LENGTH_BYTES, "big") + frame


def unframed(frame: bytes) -> bytes:
    """The body of an answer, whose addresses must be ours turned round. Raises BrokenError."""
    if frame[: len(TPDU)] != TPDU_BACK or len(frame) < HEAD_BYTES:
        raise BrokenError("an answer for somebody else")
    return frame[HEAD_BYTES:]


# --- keys -------------------------------------------------------------------------------------

_EACH_BLOCK = modes.ECB()  # noqa: S305 -- what the standard's keys, PIN blocks and MACs are made with


def encrypt(key: bytes, data: bytes) -> bytes:
    """3DES, block by block; a key of eight bytes is used three times."""
    return Cipher(_triple(key), _EACH_BLOCK).encryptor().update(data)


def decrypt(key: bytes, data: bytes) -> bytes:
    """The other way."""
    return Cipher(_triple(key), _EACH_BLOCK).decryptor().update(data)


def _triple(key: bytes) -> TripleDES:
    return TripleDES((key * 3)[:24])


def session_keys(tmk: bytes, sent: bytes) -> tuple[bytes, bytes]:
    """PIN key and MAC key out of field 62 of a sign-in (MF-04). Raises BrokenError."""
    pin_key, mac_key = decrypt(tmk, sent[:16]), decrypt(tmk, sent[20:28])
    for key, check in ((pin_key, sent[16:20]), (mac_key, sent[36:40])):
        if encrypt(key, bytes(BLOCK))[:4] != check:
            raise BrokenError("a session key whose check value is wrong")
    return pin_key, mac_key


def mac(key: bytes, body: bytes) -> bytes:
    """Field 64 of a message that is packed without it (MF-05)."""
    folded = 0
    for at in range(0, len(body), BLOCK):
        folded ^= int.from_bytes(body[at : at + BLOCK].ljust(BLOCK, b"\0"), "big")
    digits = f"{folded:016X}".encode()
    first = int.from_bytes(encrypt(key, digits[:BLOCK]), "big")
    mixed = first ^ int.from_bytes(digits[BLOCK:], "big")
    return encrypt(key, mixed.to_bytes(BLOCK, "big")).hex().upper()[:BLOCK].encode()


def signed(key: bytes, message: Message) -> bytes:
    """A message as bytes with its MAC at the end."""
    with_room = Message(message.mti, message.fields | {MAC_FIELD: bytes(BLOCK)})
    body = pack(with_room)[:-BLOCK]
    return body + mac(key, body)


def pin_block(key: bytes, pin: str, number: str) -> bytes:
    """Field 52 (MF-06)."""
    field = int(f"{len(pin):02X}{pin}".ljust(16, "F"), 16)
    return encrypt(key, (field ^ int(number[:-1][-12:], 16)).to_bytes(BLOCK, "big"))
