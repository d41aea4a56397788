"""Numbers, PINs, tracks and barcodes: drawing them and reading them back.

Card number    PREFIX RANDOM CHECK
    16 to 19 digits: a prefix of the programme, digits from the operating
    system's CSPRNG, the Luhn digit. Nothing in it counts upwards, and at most
    `card.number.density_ppm` of a range are ever issued, so no number tells
    anything of another (ATK-2).

Track 2        NUMBER = YYMM SVC KV VALUE
    At most 37 characters (ISO/IEC 7813), sentinels `;` and `?` around it
    allowed, `D` for `=` as in field 35 of ISO 8583. YYMM: last month of
    validity as printed, `4912` on a card without one. SVC: 721 (private, asks
    the issuer, no PIN) or 720 (with PIN). KV: version of the card's key,
    2 digits. VALUE: verification value over all that stands before it.

Barcode        988 NUMBER KV VALUE
    Digits only and an even number of them, so Code 128 C packs two to a
    symbol; 988 begins neither a WeChat (10-15), Alipay (25-30) nor UnionPay
    (62) pay code. VALUE: 8 digits, made apart from the track's, so that
    neither can be turned into the other.

The last validity stands in the books; the one in a track only belongs to what
its value covers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Container, Sequence
from datetime import date

from kabao.base.money import split
from kabao.cards.model import BARCODE_PREFIX, KEY_DIGITS, VALUE_DIGITS, Hidden, is_weak_pin

TRACK_MAX = 37
_NO_EXPIRY = "4912"
_TAIL = KEY_DIGITS + VALUE_DIGITS
_DRAW_BYTES = 16

_TRACK = re.compile(
    rf";?([0-9]{{12,19}})[=D]([0-9]{{4}})([0-9]{{3}})([0-9]{{{KEY_DIGITS}}})([0-9]{{{VALUE_DIGITS}}})\??"
)
_BARCODE = re.compile(
    rf"{BARCODE_PREFIX}([0-9]{{12,19}})([0-9]{{{KEY_DIGITS}}})([0-9]{{{VALUE_DIGITS}}})"
)

# Twice a digit, its digits summed (ISO/IEC 7812-1 annex B), as a byte table.
_DOUBLED = bytes(
    (2 * (b - 48)) // 10 + (2 * (b - 48)) % 10 if 48 <= b < 58 else 0 for b in range(256)
)


class Shown(Hidden, frozen=True):
    """A track or barcode taken apart: whose it claims to be, and the proof."""

    number: str
    key_version: int
    covered: tuple[str, ...]
    """What the value was made over."""
    value: str


def luhn_digit(payload: str) -> str:
    """The check digit for a number without one."""
    signs = payload.encode()
    total = sum(signs[-1::-2].translate(_DOUBLED)) + sum(signs[-2::-2]) - 48 * (len(signs) // 2)
    return str(-total % 10)


def has_luhn(number: str) -> bool:
    """Whether a number's last digit checks."""
    return number[-1:] == luhn_digit(number[:-1])


def range_size(prefix: str, length: int) -> int:
    """How many numbers a range can have."""
    return int(10 ** (length - len(prefix) - 1))


def draw_numbers(prefix: str, length: int, count: int) -> list[str]:
    """Fresh card numbers, all different.

    128 random bits per number make the modulo's bias less than 2^-70.
    """
    span, width = range_size(prefix, length), length - len(prefix) - 1
    assert count <= span // 10, "a range is never drawn to its end"
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        want = count - len(drawn)
        raw = secrets.token_bytes(_DRAW_BYTES * want)
        for at in range(0, len(raw), _DRAW_BYTES):
            tail = int.from_bytes(raw[at : at + _DRAW_BYTES], "big") % span
            payload = f"{prefix}{tail:0{width}d}"
            drawn[payload + luhn_digit(payload)] = None
    return list(drawn)


def draw_pins(length: int, weak: Container[str], count: int) -> list[str]:
    """Fresh PINs, none of them weak. Two cards may get the same."""
    span = 10**length
    drawn: list[str] = []
    while len(drawn) < count:
        raw = secrets.token_bytes(8 * (count - len(drawn)))
        for at in range(0, len(raw), 8):
            pin = f"{int.from_bytes(raw[at : at + 8], 'big') % span:0{length}d}"
            if not is_weak_pin(pin, weak):
                drawn.append(pin)
    return drawn


def track_covered(number: str, until: date | None, *, pin_on_swipe: bool) -> tuple[str, ...]:
    """What a track's verification value is made over."""
    yymm = _NO_EXPIRY if until is None else f"{until:%y%m}"
    return ("track", number, yymm, "720" if pin_on_swipe else "721")


def barcode_covered(number: str) -> tuple[str, ...]:
    """What a barcode's verification value is made over."""
    return ("barcode", number)


def make_track(covered: Sequence[str], key_version: int, value: str) -> str:
    """Track 2 from `track_covered` and its verification value."""
    _, number, yymm, service = covered
    track = f"{number}={yymm}{service}{key_version:0{KEY_DIGITS}d}{value}"
    assert len(track) <= TRACK_MAX and len(value) == VALUE_DIGITS
    return track


def make_barcode(covered: Sequence[str], key_version: int, value: str) -> str:
    """Barcode data from `barcode_covered` and its verification value."""
    assert len(value) == VALUE_DIGITS
    return f"{BARCODE_PREFIX}{covered[1]}{key_version:0{KEY_DIGITS}d}{value}"


def read_track(track2: str) -> Shown | None:
    """Take a track apart; None if it is none of ours."""
    found = _TRACK.fullmatch(track2)
    if found is None:
        return None
    number, yymm, service, key_version, value = found.groups()
    return Shown(number, int(key_version), ("track", number, yymm, service), value)


def read_barcode(data: str) -> Shown | None:
    """Take barcode data apart; None if it is none of ours."""
    found = _BARCODE.fullmatch(data)
    if found is None:
        return None
    number, key_version, value = found.groups()
    return Shown(number, int(key_version), ("barcode", number), value)


def allot(room: Sequence[int], count: int) -> list[int] | None:
    """How many numbers to draw from each range: in proportion to the room left
    in it, so that no range fills first; None if there is not enough in all.
    """
    if sum(room) < count:
        return None
    return split(count, room)


def room_left(prefix: str, length: int, issued: int, density_ppm: int) -> int:
    """How many more numbers a range may hold (ATK-2)."""
    return max(0, range_size(prefix, length) * density_ppm // 1_000_000 - issued)
