"""The file of a day as UnionPay writes it: lines of fixed width, in GBK, zipped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

WIDTHS = (
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
)  # fmt: skip


def written(rows: Sequence[Row], day: date, merchant: str, *, truncated: bool) -> bytes:
    """The zip: the table of trades, and the empty one of errors."""
    table = b"".join(_line(row, merchant) + b"\r\n" for row in rows)
    if truncated:
        table = table[: len(table) // 2 - 3]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"INN{day:%y%m%d}88ZM_{merchant}", table)
        archive.writestr(f"INN{day:%y%m%d}88ZME_{merchant}", b"")
    return file.getvalue()


def _line(row: Row, merchant: str) -> bytes:
    fee_fen = round(row.fee_mfen / 1000)
    fee = f"{'C' if fee_fen < 0 else 'D'}{abs(fee_fen):012d}"
    settled = f"{'D' if row.refund else 'C'}{row.amount_fen:012d}"
    number = row.refund_number if row.refund else row.number
    cells = (
        "S22", "48270000", "00049992", number[-6:], f"{moment.at(row.at_us):%m%d%H%M%S}",
        "6216***********0018", f"{row.amount_fen:012d}", "5311", "08", number, "",
        row.refund_no if row.refund else row.no, "01", "", "", fee, settled, "0001", "",
        "04" if row.refund else "01", "00" if row.refund else "07", "000000", "01", "", "", "0",
        row.number if row.refund else "", merchant, "", "", "", "", settled, "", row.subject,
        "", "", "", "", "", "",
    )  # fmt: skip
    return b" ".join(
        cell.encode("gbk", "replace")[:width].ljust(width)
        for cell, width in zip(cells, WIDTHS, strict=True)
    )
