"""A gateway's list of a day: cells separated by `|`, in UTF-8.

The first line is `merchant|day|lines|taken|given`, the second names the columns.
A file whose lines do not add up to its first one is spoilt.
"""

from __future__ import annotations

from datetime import date

from kabao.adapters.figures import fen_of, mfen_of, us_of
from kabao.funding.model.answers import Bill, BillLine, LineKind, SpoiltBill

KINDS = {"支付": LineKind.PAYMENT, "退款": LineKind.REFUND, "拒付": LineKind.RECALL}


def read(file: bytes, day: date) -> Bill | SpoiltBill:
    """The bill in a downloaded file."""
    try:
        first, second, *rows = file.decode().splitlines()
        _, written, count, taken, given = first.split("|")
        lines = tuple(_line(second.split("|"), row) for row in rows if row)
        totals = (written, int(count), fen_of(taken), fen_of(given))
    except (ValueError, KeyError) as wrong:
        return SpoiltBill(f"{type(wrong).__name__}: the file cannot be read")
    came = sum(line.amount_fen for line in lines if line.kind is LineKind.PAYMENT)
    went = sum(line.amount_fen for line in lines if line.kind is not LineKind.PAYMENT)
    if totals != (f"{day:%Y%m%d}", len(lines), came, went):
        return SpoiltBill("the file does not agree with its own totals")
    return Bill(day, lines)


def _line(names: list[str], row: str) -> BillLine:
    cells = dict(zip(names, row.split("|"), strict=True))
    return BillLine(
        kind=KINDS[cells["类型"]],
        order_no=cells["商户订单号"],
        refund_no=cells["商户退款号"] or None,
        channel_no=cells["银行流水号"],
        amount_fen=fen_of(cells["金额"]),
        fee_mfen=mfen_of(cells["手续费"]),
        at_us=us_of(cells["时间"]),
    )
