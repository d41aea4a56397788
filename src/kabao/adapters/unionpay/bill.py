"""UnionPay's file of a day: a zip, in it `INN<date>88ZM_<merchant>`, lines of fixed width.

Widths are in bytes of GBK, with one byte between fields. A line that is shorter
than its fields is what a truncated file ends with. A day there ends at 23:00, so that
a line may be of the evening before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import IO

from kabao.adapters.bills import (
    DONE,
    LINE_BYTES,
    Place,
    check_day,
    check_subject,
    number,
    reading,
    unpacked,
)
from kabao.adapters.figures import LOCAL, clock_us_of, day_us_of
from kabao.adapters.unionpay.stamps import us_near
from kabao.base.clock import to_us
from kabao.reconciliation.model.lines import (
    BILL_CUT,
    BILL_HEADER,
    BillReader,
    Expected,
    Line,
    LineKind,
)

FIELDS = (
    ("tradeNo", 3),
    ("acqInsCode", 11),
    ("sendInsCode", 11),
    ("traceNo", 6),
    ("txnTime", 10),
    ("payCardNo", 19),
    ("txnAmt", 12),
    ("merCatCode", 4),
    ("termType", 2),
    ("queryId", 21),
    ("oldPayType", 2),
    ("orderId", 32),
    ("payCardType", 2),
    ("origTraceNo", 6),
    ("origTime", 10),
    ("merCharge", 13),
    ("settleAmt", 13),
    ("payType", 4),
    ("groupMerCode", 15),
    ("txnType", 2),
    ("txnSubType", 2),
    ("bizType", 6),
    ("accType", 2),
    ("billType", 4),
    ("billNo", 32),
    ("interactMode", 1),
    ("origQryId", 21),
    ("merId", 15),
)
"""Names and widths as far as they are needed; a line goes on behind them."""

KINDS = {
    "01": LineKind.PAY,
    "04": LineKind.REFUND,
    "31": LineKind.REFUND,
    "99": LineKind.REFUND,
}
_NAME = re.compile(r"INN(\d{6})88(ZM[A-Z]*)_(\w+)", re.ASCII)
_DETAIL = "ZM"
_MFEN_PER_FEN = 1000
_NOON = timedelta(hours=12)


def _slices() -> tuple[dict[str, slice], int]:
    """Where each field stands, and where the last one ends."""
    found, at = {}, 0
    for name, width in FIELDS:
        found[name] = slice(at, at + width)
        at += width + 1
    return found, at - 1


_AT, _LENGTH = _slices()


def read(file: IO[bytes], expected: Expected) -> BillReader:
    """The lines of an unpacked answer.

    A day without trades has a zip without this file: then another one tells day and merchant.
    """
    place = Place()
    noon_us = to_us(datetime.combine(expected.day, time(), LOCAL) + _NOON)
    with unpacked(file, _details, place) as found:
        if found is None:
            raise place.spoilt("no file in it tells a day and a merchant", BILL_CUT)
        name, table = found
        with reading(place):
            if _checked(name, expected, place) != _DETAIL:
                return
            while row := table.readline(LINE_BYTES + 1):
                place.line += 1
                if not row.endswith(b"\n"):
                    raise place.spoilt("the file ends in the middle of a line", BILL_CUT)
                if row.strip():
                    yield _line(row.rstrip(b"\r\n"), expected, noon_us, place)


def _details(names: Sequence[str]) -> list[str]:
    trades = [name for name in names if f"88{_DETAIL}_" in name]
    return trades or [name for name in names if _NAME.fullmatch(name.rpartition("/")[2])][:1]


def _checked(name: str, expected: Expected, place: Place) -> str:
    """What a file of this day and merchant tells of."""
    said = _NAME.fullmatch(name.rpartition("/")[2])
    if said is None:
        raise place.spoilt("the name tells no day and no merchant", BILL_HEADER)
    check_day(day_us_of(said[1], "%y%m%d")[0], expected, place)
    check_subject(said[3], expected, place)
    return said[2]


def _line(row: bytes, expected: Expected, noon_us: int, place: Place) -> Line:
    if len(row) < _LENGTH:
        raise place.spoilt("a line is too short", BILL_CUT)
    row.decode("gbk")  # widths count its bytes, and none may be junk
    check_subject(_cell(row, "merId"), expected, place)
    kind, order = KINDS[_cell(row, "txnType")], number(_cell(row, "orderId"))
    back = kind is LineKind.REFUND
    return Line(
        source_no=place.line,
        kind=kind,
        our_no=None if back else order,
        our_sub_no=order if back else None,
        their_no=number(_cell(row, "queryId")),
        amount_fen=_digits(_cell(row, "txnAmt")),
        fee_mfen=_signed(_cell(row, "merCharge")) * _MFEN_PER_FEN,
        currency="CNY",
        at_us=_moment_us(_cell(row, "txnTime"), noon_us),
        day=expected.day,
        status=DONE,
        original_no=(_cell(row, "origQryId") or None) if back else None,
    )


def _cell(row: bytes, name: str) -> str:
    return row[_AT[name]].decode("gbk").strip()


def _moment_us(text: str, noon_us: int) -> int:
    """Of month, day and time of day. Raises ValueError."""
    clock = f"{text[4:6]}:{text[6:8]}:{text[8:]}"
    return _first_us(text[:4], noon_us) + clock_us_of(clock)


@lru_cache(maxsize=64)
def _first_us(month_day: str, noon_us: int) -> int:
    return us_near(f"{month_day}000000", noon_us)


def _digits(text: str) -> int:
    """An amount in fen. Raises ValueError."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("no amount in fen")
    return int(text)


def _signed(text: str) -> int:
    """Fen behind `D` (we pay) or `C` (we get). Raises ValueError."""
    if not text:
        return 0
    if text[0] not in "CD":
        raise ValueError("no direction of money")
    return _digits(text[1:]) if text[0] == "D" else -_digits(text[1:])
