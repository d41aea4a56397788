"""Alipay's trade bill: a zip, in it CSV in GBK with comment lines around the table.

Columns are found by name. The comment lines behind the table count what stands
in it; a file that ends before them, or does not agree with them, is spoilt.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date

from kabao.adapters.figures import fen_of, mfen_of, us_of
from kabao.adapters.line import FILE_BYTES
from kabao.funding.model.answers import Bill, BillLine, LineKind, SpoiltBill

KINDS = {"交易": LineKind.PAYMENT, "退款": LineKind.REFUND}
SUMMARY = "汇总"
COUNTS = re.compile(r"#(交易|退款)合计：(\d+)笔")
"""What the foot says of each kind, such as `#交易合计：2笔，商家实收共…`."""

MAX_FILES = 10


def read(file: bytes, day: date) -> Bill | SpoiltBill:
    """The bill in a downloaded file."""
    try:
        text = _detail(file)
        lines, counted = _table(text)
    except (ValueError, KeyError, zipfile.BadZipFile, NotImplementedError, csv.Error) as wrong:
        # `zipfile` raises NotImplementedError for a way of packing it does not know.
        return SpoiltBill(f"{type(wrong).__name__}: the file cannot be read")
    found = {name: sum(line.kind is kind for line in lines) for name, kind in KINDS.items()}
    if counted != found:
        return SpoiltBill("the file does not agree with its own counts")
    return Bill(day, tuple(lines))


def _detail(file: bytes) -> str:
    """The text of the one file that is not the summary. Raises ValueError."""
    with zipfile.ZipFile(io.BytesIO(file), metadata_encoding="gbk") as archive:
        inside = archive.infolist()
        if len(inside) > MAX_FILES or sum(one.file_size for one in inside) > FILE_BYTES:
            raise ValueError("the archive is too large")
        details = [one for one in inside if SUMMARY not in one.filename]
        if len(details) != 1:
            raise ValueError("the archive has no single table")
        return archive.read(details[0]).decode("gbk")


def _table(text: str) -> tuple[list[BillLine], dict[str, int]]:
    """The lines, and what the foot counts. Raises ValueError and KeyError."""
    counted = {name: int(count) for name, count in COUNTS.findall(text)}
    rows = csv.reader(row for row in text.splitlines() if row and not row.startswith("#"))
    names = [name.strip() for name in next(rows, [])]
    return list(_lines(names, rows)), counted


def _lines(names: list[str], rows: Iterator[list[str]]) -> Iterator[BillLine]:
    for row in rows:
        cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
        kind = KINDS[cells["业务类型"]]
        yield BillLine(
            kind=kind,
            order_no=cells["商户订单号"],
            refund_no=cells["退款批次号/请求号"] or None,
            channel_no=cells["支付宝交易号"],
            amount_fen=abs(fen_of(cells["订单金额（元）"])),
            # The bill shows a fee as what is taken from us, so that -0.60 was paid.
            fee_mfen=-mfen_of(cells["服务费（元）"]),
            at_us=us_of(cells["完成时间"]),
        )
