"""Amounts and times as the channels write them, converted at this border and nowhere else."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from kabao.base.clock import from_us, to_us

LOCAL = ZoneInfo("Asia/Shanghai")
SECONDS = "%Y-%m-%d %H:%M:%S"

_YUAN = re.compile(r"([+-]?)(\d{1,13})(?:\.(\d{1,5}))?", re.ASCII)
_MFEN_DIGITS = 5
_MFEN_PER_FEN = 1000
_DIGITS_MAX = 15
_US = 1_000_000


def yuan(fen: int) -> str:
    """`1234` to `"12.34"`: no thousands separator, unlike what people read."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def mfen_of(text: str) -> int:
    """Yuan with up to five decimals to thousandths of a fen. Raises ValueError."""
    found = _YUAN.fullmatch(text.strip())
    if found is None:
        raise ValueError("no amount in yuan")
    sign, whole, decimals = found.groups()
    mfen = int(whole + (decimals or "").ljust(_MFEN_DIGITS, "0"))
    return -mfen if sign == "-" else mfen


def fen_of(text: str) -> int:
    """Yuan to fen, exactly. Raises ValueError for less than a fen, too."""
    if text[-3:-2] == ".":  # as nearly every bill writes nearly every amount: eight times as fast
        digits = text[:-3] + text[-2:]
        if digits.isdigit() and digits.isascii() and len(digits) <= _DIGITS_MAX:
            return int(digits)
    mfen = mfen_of(text)
    if mfen % _MFEN_PER_FEN:
        raise ValueError("an amount of less than a fen")
    return mfen // _MFEN_PER_FEN


def cut(text: str, most: int) -> str:
    """As much of a text as fits into so many bytes of UTF-8: by which channels count differs."""
    return text.encode()[:most].decode(errors="ignore")


def local(us: int, form: str = SECONDS) -> str:
    """A moment as the channels write it."""
    return from_us(us).astimezone(LOCAL).strftime(form)


def us_of(text: str, form: str = SECONDS) -> int:
    """A channel's time, which is Shanghai's, to microseconds. Raises ValueError."""
    return to_us(datetime.strptime(text.strip(), form).replace(tzinfo=LOCAL))


@lru_cache(maxsize=64)
def day_us_of(text: str, form: str = "%Y-%m-%d") -> tuple[date, int]:
    """A day, and its first moment in Shanghai. Raises ValueError."""
    first = datetime.strptime(text, form).replace(tzinfo=LOCAL)
    return first.date(), to_us(first)


def moment_of(text: str) -> tuple[date, int]:
    """A channel's time in `SECONDS`, as day and microseconds. Raises ValueError."""
    if text[10:11] != " ":
        raise ValueError("no moment")
    day, first_us = day_us_of(text[:10])
    return day, first_us + clock_us_of(text[11:])


def clock_us_of(text: str) -> int:
    """`HH:MM:SS` in microseconds. Raises ValueError."""
    digits = text[:2] + text[3:5] + text[6:]
    if (
        len(text) != len("HH:MM:SS")
        or text[2] + text[5] != "::"
        or not (digits.isascii() and digits.isdigit())
    ):
        raise ValueError("no time of day")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("no time of day")
    return ((hours * 60 + minutes) * 60 + seconds) * _US


def us_of_rfc3339(text: str) -> int:
    """A time with offset to microseconds. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without offset")
    return to_us(at)
