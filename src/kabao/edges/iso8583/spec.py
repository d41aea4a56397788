"""A dialect as its file says, checked once when it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from importlib.resources import files
from typing import Annotated

import msgspec

from kabao.edges.iso8583.model import Outcome, Verb

LAST_FIELD = 128
_FOLDER = files("kabao.edges.iso8583") / "dialects"


class Kind(StrEnum):
    """How a field's content is written."""

    BCD = "bcd"
    """Digits, two to a byte."""
    TRACK = "track"
    """Digits and `D` for the separator, two to a byte."""
    ASCII = "ascii"
    TEXT = "text"
    """Text in the dialect's encoding."""
    BINARY = "binary"


class Side(StrEnum):
    """Where an odd number of digits is filled up."""

    LEFT = "left"
    RIGHT = "right"


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field. `size`: digits, characters or bytes, at most where it has a length."""

    kind: Kind
    size: Annotated[int, msgspec.Meta(ge=1, le=999)]
    length: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    """Bytes of the packed length before it; 0: always `size`."""
    pad: Side = Side.RIGHT

    @property
    def packed(self) -> bool:
        """Whether two of what `size` counts make a byte."""
        return self.kind in {Kind.BCD, Kind.TRACK}


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What surrounds a message (MF-01)."""

    begins: str
    """Hex digits that every frame of this dialect begins with: how it is recognised."""
    tpdu: bool
    header_bytes: int
    max_bytes: int

    @property
    def head_bytes(self) -> int:
        """Bytes before the message type."""
        return (TPDU_BYTES if self.tpdu else 0) + self.header_bytes


TPDU_BYTES = 5


class Bitmap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which bitmaps there may be, and where the MAC is: in this field, or in the last one
    (128) of a message with a second bitmap.
    """

    secondary: bool
    mac: int


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages of this type whose parts begin like this are this verb."""

    verb: Verb
    mti: str
    when: dict[str, str] = {}


class ReplyForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which field of a reply says what."""

    echo: tuple[int, ...]
    kind: int
    local_time: tuple[int, str]
    settlement_date: tuple[int, str]
    result: int
    rrn: int
    approval: int
    amount: tuple[int, str]
    balance: tuple[int, str]
    private: int
    totals: int
    words: int
    words_form: str
    local_date: tuple[int, str] | None = None


class Part(StrEnum):
    """What digits of a settlement's sums say."""

    DEBIT_FEN = "debit_fen"
    DEBIT_COUNT = "debit_count"
    CREDIT_FEN = "credit_fen"
    CREDIT_COUNT = "credit_count"
    RESULT = "result"
    """1 even, 2 not even."""
    NOTHING = "nothing"
    """Noughts: what there is none of here."""
    EVEN = "even"
    """Always 1: what there is none of is even."""


COUNTS = frozenset({Part.DEBIT_COUNT, Part.CREDIT_COUNT})
SUMS = frozenset({Part.DEBIT_FEN, Part.CREDIT_FEN}) | COUNTS

CORRECTIONS = 100
"""Of the messages that a batch's counts can tell, so many are kept for voids and the like."""


class MacMethod(StrEnum):
    """How a MAC is made: `xor` is MF-05, `cbc` a CBC-MAC over zero-padded blocks."""

    XOR = "xor"
    CBC = "cbc"


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a cipher is used for, and how."""

    mac: MacMethod
    pin_block: str
    """The part that carries the PIN block."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a till shows, does next and says for an outcome."""

    text: str
    display: str = ""
    step: str = ""


class Entry(StrEnum):
    """How the till came by the card: each a figure of reader compatibility (S-19)."""

    TYPED = "typed"
    TRACK = "track"
    CHIP = "chip"
    CONTACTLESS = "contactless"
    BARCODE = "barcode"
    UNKNOWN = "unknown"


class Dialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One dialect, whole."""

    name: str
    encoding: str
    fill: str
    frame: Frame
    bitmap: Bitmap
    fields: dict[int, Field]
    parts: dict[str, tuple[int, int, int]]
    messages: tuple[Shape, ...]
    totals: tuple[tuple[Part, int], ...]
    """A settlement's sums: what the digits say, and how many there are."""
    entry_modes: dict[str, Entry]
    currencies: dict[str, str]
    reply: ReplyForm
    results: dict[Outcome, str]
    security: dict[str, Security]

    @property
    def batch_max(self) -> int:
        """After how many messages a batch must be settled, because its counts have no more
        digits.
        """
        return (
            int(10 ** min(digits for part, digits in self.totals if part in COUNTS)) - CORRECTIONS
        )

    def check(self) -> None:
        """Raises ValueError for a file that contradicts itself."""
        if missing := set(Outcome) - self.results.keys():
            raise ValueError(f"{self.name}: no result code for {', '.join(sorted(missing))}")
        last = LAST_FIELD if self.bitmap.secondary else 64
        if wrong := [n for n in self.fields if not 2 <= n <= last or n == 65]:
            raise ValueError(f"{self.name}: there can be no field {wrong[0]}")
        macs = {self.bitmap.mac} | ({LAST_FIELD} if self.bitmap.secondary else set())
        for number in {part[0] for part in self.parts.values()} | macs:
            if number not in self.fields:
                raise ValueError(f"{self.name}: field {number} is used and not described")
        if lacking := SUMS - {part for part, _ in self.totals}:
            raise ValueError(f"{self.name}: the totals lack {', '.join(sorted(lacking))}")
        for shape in self.messages:
            if unknown := shape.when.keys() - self.parts.keys():
                raise ValueError(f"{self.name}: {shape.verb} looks at {', '.join(unknown)}")
        for number, field in self.fields.items():
            if field.length and field.size >= 10 ** (2 * field.length):
                raise ValueError(f"{self.name}: the length of field {number} has too few digits")


def parse(text: str) -> Dialect:
    """A dialect from the text of its file. Raises ValueError."""
    dialect = msgspec.convert(tomllib.loads(text), Dialect, strict=False)
    dialect.check()
    return dialect


def shipped(name: str) -> Dialect:
    """A dialect that Kabao brings: `unionpay` or `jpos_cmf`."""
    return parse((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


SHIPPED = ("unionpay", "jpos_cmf")
"""The dialects that a host understands."""


def words() -> Mapping[Outcome, Words]:
    """What tills say, for every outcome."""
    found = tomllib.loads((_FOLDER / "words.toml").read_text(encoding="utf-8"))
    said = msgspec.convert(found, dict[Outcome, Words])
    assert said.keys() == set(Outcome), "every outcome has its words"
    return said
