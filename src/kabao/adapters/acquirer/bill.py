"""The acquirer's file of a day: CSV in GBK, columns found by name, a line of totals at the end."""

from __future__ import annotations

import csv
from datetime import date

from kabao.adapters.figures import fen_of, mfen_of, us_of
from kabao.funding.model.answers import Bill, BillLine, LineKind, SpoiltBill

KINDS = {"消费": LineKind.PAYMENT, "退货": LineKind.REFUND, "拒付": LineKind.RECALL}
TOTALS = "合计"


def number(terminal: str, reference: str) -> str:
    """How a sale at a terminal is known: a reference is the terminal's own."""
    return f"{terminal}-{reference}"


def read(file: bytes, merchant: str, day: date) -> Bill | SpoiltBill:
    """The bill in a downloaded file. It knows no orders of ours, only slips."""
    try:
        names, *rows, last = csv.reader(file.decode("gbk").splitlines(), strict=True)
        lines = tuple(_line(dict(zip(names, row, strict=True)), merchant) for row in rows)
        name, of_day, count, taken, given = last
        totals = (name, of_day, int(count), fen_of(taken), fen_of(given))
    except (ValueError, KeyError, csv.Error) as wrong:
        return SpoiltBill(f"{type(wrong).__name__}: the file cannot be read")
    came = sum(line.amount_fen for line in lines if line.kind is LineKind.PAYMENT)
    went = sum(line.amount_fen for line in lines if line.kind is not LineKind.PAYMENT)
    if totals != (TOTALS, f"{day:%Y%m%d}", len(lines), came, went):
        return SpoiltBill("the file does not agree with its own totals")
    return Bill(day, lines)


def _line(cells: dict[str, str], merchant: str) -> BillLine:
    if cells["商户号"] != merchant:
        raise ValueError("another merchant")
    kind = KINDS[cells["交易类型"]]
    own = number(cells["终端号"], cells["参考号"])
    return BillLine(
        kind=kind,
        order_no="",
        refund_no=None if kind is LineKind.PAYMENT else own,
        channel_no=number(cells["终端号"], cells["原参考号"] or cells["参考号"]),
        amount_fen=fen_of(cells["金额"]),
        fee_mfen=mfen_of(cells["手续费"]),
        at_us=us_of(cells["时间"]),
    )
