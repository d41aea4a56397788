"""UnionPay's file of a day: a zip, in it `INN<date>88ZM_<merchant>`, lines of fixed width.

Widths are in bytes of GBK, with one byte between fields. A line that is shorter
than its fields is what a truncated file ends with.
"""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta

from kabao.adapters.figures import LOCAL
from kabao.adapters.line import FILE_BYTES
from kabao.adapters.unionpay.stamps import us_near
from kabao.base.clock import to_us
from kabao.funding.model.answers import Bill, BillLine, LineKind, SpoiltBill

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

DETAIL = "88ZM_"
KINDS = {
    "01": LineKind.PAYMENT,
    "04": LineKind.REFUND,
    "31": LineKind.REFUND,
    "99": LineKind.REFUND,
}
MAX_FILES = 20
_MFEN_PER_FEN = 1000
_NOON = timedelta(hours=12)


def read(file: bytes, day: date) -> Bill | SpoiltBill:
    """The bill in an unpacked answer. A day without trades has a zip without this file."""
    noon_us = to_us(datetime.combine(day, time(), LOCAL) + _NOON)
    try:
        raw = _detail(file)
        if raw and not raw.endswith(b"\n"):
            return SpoiltBill("the file ends in the middle of a line")
        return Bill(day, tuple(_line(row, noon_us) for row in raw.split(b"\n") if row.strip()))
    except (ValueError, KeyError, zipfile.BadZipFile, NotImplementedError) as wrong:
        # `zipfile` raises NotImplementedError for a way of packing it does not know.
        return SpoiltBill(f"{type(wrong).__name__}: the file cannot be read")


def _detail(file: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        inside = archive.infolist()
        if len(inside) > MAX_FILES or sum(one.file_size for one in inside) > FILE_BYTES:
            raise ValueError("the archive is too large")
        return b"".join(archive.read(one) for one in inside if DETAIL in one.filename)


def _line(row: bytes, noon_us: int) -> BillLine:
    cells: dict[str, str] = {}
    at = 0
    for name, width in FIELDS:
        if at + width > len(row):
            raise ValueError("a line is too short")
        cells[name] = row[at : at + width].decode("gbk").strip()
        at += width + 1
    kind = KINDS[cells["txnType"]]
    return BillLine(
        kind=kind,
        order_no=cells["orderId"],
        refund_no=cells["orderId"] if kind is LineKind.REFUND else None,
        channel_no=cells["queryId"],
        amount_fen=int(cells["txnAmt"]),
        fee_mfen=_signed(cells["merCharge"]) * _MFEN_PER_FEN,
        at_us=us_near(cells["txnTime"], noon_us),
    )


def _signed(text: str) -> int:
    """Fen behind `D` (we pay) or `C` (we get). Raises ValueError."""
    if not text:
        return 0
    way, digits = text[0], text[1:]
    if way not in "CD":
        raise ValueError("no direction of money")
    return int(digits) if way == "D" else -int(digits)
