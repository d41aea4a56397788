"""Messages to bytes and back, compiled from a dialect.

The first message with a bitmap makes a plan for all that follow: neighbouring fields of
fixed length become one `struct`, those with a length are read in between. Strict: what
is left over, cut off, undescribed or not written as its kind says is a `FormatError`, and
nothing else is ever raised.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec

from kabao.edges.iso8583.model import Fields, FormatError, Value
from kabao.edges.iso8583.spec import LAST_FIELD, Dialect, Field, Kind, Side

Read = Callable[[bytes, int], Value]
"""Bytes of a field, and its size, to its content. Raises ValueError."""

Write = Callable[[Value], bytes]

MTI_BYTES = 2
MAP_BYTES = 8
PLANS_MAX = 512
"""Bitmaps whose plan is remembered: a till uses a dozen, an attacker has 2^64."""

_TRACK_SIGNS = frozenset("0123456789D")


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A message taken apart."""

    mti: str
    fields: Fields
    mac_at: int | None
    """Where its MAC stands, which covers everything before it."""


class _Run(msgspec.Struct, frozen=True):
    """Fields of fixed length, one after the other."""

    layout: struct.Struct
    fields: tuple[tuple[int, Read, int], ...]


class _Var(msgspec.Struct, frozen=True):
    """A field with its length before it."""

    number: int
    field: Field
    read: Read


_Plan = tuple[tuple[_Run | _Var, ...], int, int | None]
"""Steps, bytes of the bitmaps, field of the MAC if it is there."""

_Form = tuple[bytes, tuple[tuple[int, Write], ...]]
"""The bitmaps, and what writes each field."""


class Codec:
    """One dialect, ready to use."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._reads = {n: _reader(f, dialect) for n, f in dialect.fields.items()}
        self._writes = {n: _writer(f, dialect) for n, f in dialect.fields.items()}
        self._plans: dict[bytes, _Plan] = {}
        self._forms: dict[tuple[tuple[int, ...], bool], _Form] = {}

    # --- reading ----------------------------------------------------------------------------

    def decode(self, data: bytes, at: int = 0) -> Decoded:
        """Take a message apart that begins at `at`. Raises FormatError."""
        mti = data[at : at + MTI_BYTES].hex()
        if len(mti) != 4 or not mti.isdecimal():
            raise FormatError("no message type")
        at += MTI_BYTES
        try:
            return self._fields(data, at, mti)
        except (ValueError, struct.error, IndexError) as wrong:
            raise FormatError(str(wrong), mti) from None

    def _fields(self, data: bytes, at: int, mti: str) -> Decoded:
        bitmap = data[at : at + MAP_BYTES]
        if bitmap and bitmap[0] & 0x80:
            bitmap = data[at : at + 2 * MAP_BYTES]
        plan = self._plans.get(bitmap)
        if plan is None:
            plan = self._plan(bitmap)
        steps, size, mac = plan
        at += size
        fields: Fields = {}
        for step in steps:
            if isinstance(step, _Run):
                values = step.layout.unpack_from(data, at)
                for (number, read, digits), value in zip(step.fields, values, strict=True):
                    fields[number] = read(value, digits)
                at += step.layout.size
            else:
                at = _read_var(step, data, at, fields)
        if at != len(data):
            raise ValueError("bytes are left over")
        mac_at = None if mac is None else at - self.dialect.fields[mac].size
        return Decoded(mti, fields, mac_at)

    def _plan(self, bitmap: bytes) -> _Plan:
        """How to read what this bitmap announces. Raises ValueError."""
        numbers = self._numbers(bitmap)
        steps: list[_Run | _Var] = []
        run: list[int] = []
        for number in numbers:
            field = self.dialect.fields[number]
            if field.length:
                self._close_run(run, steps)
                steps.append(_Var(number, field, self._reads[number]))
            else:
                run.append(number)
        self._close_run(run, steps)
        last = numbers[-1] if numbers else 0
        mac = last if last == self._mac_field(last) else None
        plan = (tuple(steps), len(bitmap), mac)
        if len(self._plans) < PLANS_MAX:
            self._plans[bitmap] = plan
        return plan

    def _numbers(self, bitmap: bytes) -> list[int]:
        if len(bitmap) not in {MAP_BYTES, 2 * MAP_BYTES}:
            raise ValueError("the bitmap is cut off")
        bits = int.from_bytes(bitmap, "big")
        width = 8 * len(bitmap)
        numbers = [n for n in range(1, width + 1) if bits >> (width - n) & 1]
        if numbers[:1] == [1]:
            if not self.dialect.bitmap.secondary or len(bitmap) != 2 * MAP_BYTES:
                raise ValueError("there is no second bitmap in this dialect")
            if numbers[-1] <= 64:
                raise ValueError("the second bitmap is empty")
            numbers = numbers[1:]
        for number in numbers:
            if number not in self.dialect.fields:
                raise ValueError(f"there is no field {number}")
        return numbers

    def _close_run(self, run: list[int], steps: list[_Run | _Var]) -> None:
        if not run:
            return
        fields = self.dialect.fields
        layout = struct.Struct("".join(f"{_bytes(fields[n], fields[n].size)}s" for n in run))
        steps.append(_Run(layout, tuple((n, self._reads[n], fields[n].size) for n in run)))
        run.clear()

    # --- writing ----------------------------------------------------------------------------

    def encode(self, mti: str, fields: Fields, *, mac: bool = False) -> bytes:
        """A message from its fields. With `mac`, its field is announced in the bitmap and
        its bytes are for the caller to add. Raises ValueError for what the dialect forbids.
        """
        shape = (tuple(fields), mac)
        form = self._forms.get(shape)
        if form is None:
            form = self._form(tuple(fields), mac=mac)
            if len(self._forms) < PLANS_MAX:
                self._forms[shape] = form
        head, writes = form
        parts = [bytes.fromhex(mti), head]
        parts += [write(fields[number]) for number, write in writes]
        return b"".join(parts)

    def _mac_field(self, last: int) -> int:
        """Where the MAC is in a message with this field at its end: it comes after it."""
        mac = self.dialect.bitmap.mac
        return mac if last <= mac else LAST_FIELD

    def _form(self, numbers: tuple[int, ...], *, mac: bool) -> _Form:
        ordered = sorted(numbers)
        writes = tuple((n, self._writes[n]) for n in ordered)
        if mac:
            ordered.append(self._mac_field(ordered[-1] if ordered else 0))
        second = bool(ordered) and ordered[-1] > 64
        width = 128 if second else 64
        bits = (1 << (width - 1)) if second else 0
        for number in ordered:
            bits |= 1 << (width - number)
        return bits.to_bytes(width // 8, "big"), writes


def _read_var(step: _Var, data: bytes, at: int, fields: Fields) -> int:
    """Read one field with a length; where the next one begins. Raises ValueError."""
    field = step.field
    end = at + field.length
    length = data[at:end].hex()
    if len(length) != 2 * field.length or not length.isdecimal():
        raise ValueError(f"field {step.number} has no length")
    size = int(length)
    if size > field.size:
        raise ValueError(f"field {step.number} is too long")
    last = end + ((size + 1) // 2 if field.packed else size)
    if last > len(data):
        raise ValueError(f"field {step.number} is cut off")
    fields[step.number] = step.read(data[end:last], size)
    return last


def _bytes(field: Field, size: int) -> int:
    return (size + 1) // 2 if field.packed else size


def _reader(field: Field, dialect: Dialect) -> Read:
    match field.kind:
        case Kind.BCD | Kind.TRACK:
            signs = _TRACK_SIGNS if field.kind is Kind.TRACK else None
            return _packed_reader(field, dialect.fill, signs)
        case Kind.ASCII:
            return _read_ascii
        case Kind.TEXT:
            return lambda data, _size: data.decode(dialect.encoding)
        case Kind.BINARY:
            return lambda data, _size: data


def _packed_reader(field: Field, fill: str, signs: frozenset[str] | None) -> Read:
    left = field.pad is Side.LEFT
    if signs is None and not field.length and field.size % 2 == 0:
        return _read_even

    def read(data: bytes, size: int) -> str:
        text = data.hex()
        if len(text) != size:
            pad, text = (text[0], text[1:]) if left else (text[-1], text[:-1])
            if pad != fill:
                raise ValueError("an odd number of digits is filled up wrongly")
        if signs is None:
            if text and not text.isdecimal():
                raise ValueError("a digit is none")
            return text
        text = text.upper()
        if not signs.issuperset(text):
            raise ValueError("a track has other signs than digits and D")
        return text

    return read


def _read_even(data: bytes, size: int) -> str:
    """Digits of which there is always an even number."""
    del size
    text = data.hex()
    if not text.isdecimal():
        raise ValueError("a digit is none")
    return text


def _read_ascii(data: bytes, size: int) -> str:
    del size
    text = data.decode("ascii")
    if not text.isprintable():
        raise ValueError("a character cannot be printed")
    return text


def _writer(field: Field, dialect: Dialect) -> Write:
    """Content to bytes, with the length where there is one."""
    size, length = field.size, field.length

    def framed(count: int, data: bytes) -> bytes:
        if count > size or (not length and count != size):
            raise ValueError(f"a field of {size} cannot hold {count}")
        return bytes.fromhex(f"{count:0{2 * length}d}") + data if length else data

    def packed(value: Value) -> bytes:
        assert isinstance(value, str)
        filled = value
        if len(value) % 2:
            filled = dialect.fill + value if field.pad is Side.LEFT else value + dialect.fill
        return framed(len(value), bytes.fromhex(filled))

    def text(value: Value) -> bytes:
        data = value.encode(dialect.encoding) if isinstance(value, str) else value
        return framed(len(data), data)

    return packed if field.packed else text
