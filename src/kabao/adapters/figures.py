"""Amounts and times as the channels write them, converted at this border and nowhere else."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from kabao.base.clock import from_us, to_us

LOCAL = ZoneInfo("Asia/Shanghai")
SECONDS = "%Y-%m-%d %H:%M:%S"

_YUAN = re.compile(r"([+-]?)(\d{1,13})(?:\.(\d{1,5}))?", re.ASCII)
_MFEN_DIGITS = 5
_MFEN_PER_FEN = 1000


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


def us_of_rfc3339(text: str) -> int:
    """A time with offset to microseconds. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without offset")
    return to_us(at)
