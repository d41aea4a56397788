"""WeChat Pay's trade bill: CSV with a back-tick before every value, totals in the last line.

Goods' names may hold commas, and nothing is quoted: values are parted by a comma
with the next value's back-tick. Columns are found by name, since there are forms
of 24 and of 27.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.adapters.figures import fen_of, mfen_of, us_of
from kabao.funding.model.answers import Bill, BillLine, LineKind, SpoiltBill

TICK = "`"
COUNT, TAKEN, GIVEN, FEES = "总交易单数", "应结订单总金额", "退款总金额", "手续费总金额"
GIVEN_BACK = frozenset({"REFUND", "REVOKED"})
_AROUND = 3
"""Lines besides those of trades: the names, the totals' names, the totals."""


def read(file: bytes, day: date) -> Bill | SpoiltBill:
    """The bill in an unpacked file."""
    try:
        text = file.decode("utf-8-sig")
        rows = [row for row in text.splitlines() if row.strip()]
        if len(rows) < _AROUND or rows[-1].count(TICK) != len(rows[-2].split(",")):
            return SpoiltBill("the file ends before its totals")
        names = _names(rows[0])
        lines = tuple(_line(_cells(names, row)) for row in rows[1:-2])
        whole = _agrees(lines, _cells(_names(rows[-2]), rows[-1]))
    except (ValueError, KeyError) as wrong:
        return SpoiltBill(f"{type(wrong).__name__}: the file cannot be read")
    return Bill(day, lines) if whole else SpoiltBill("the file does not agree with its own totals")


def _names(row: str) -> list[str]:
    return [name.strip().strip(TICK) for name in row.split(",")]


def _cells(names: Sequence[str], row: str) -> dict[str, str]:
    """A row's values by name. Raises ValueError when their number is another."""
    if not row.startswith(TICK):
        raise ValueError("a value without its back-tick")
    values = row[len(TICK) :].split("," + TICK)
    return dict(zip(names, (value.strip() for value in values), strict=True))


def _line(cells: dict[str, str]) -> BillLine:
    refund = cells["交易状态"] in GIVEN_BACK
    if not refund and cells["交易状态"] != "SUCCESS":
        raise ValueError("a trade state that moves no money we know of")
    return BillLine(
        kind=LineKind.REFUND if refund else LineKind.PAYMENT,
        order_no=cells["商户订单号"],
        refund_no=(cells["商户退款单号"] or None) if refund else None,
        channel_no=cells["微信订单号"],
        amount_fen=fen_of(cells["退款金额"] if refund else cells["应结订单金额"]),
        fee_mfen=mfen_of(cells["手续费"]),
        at_us=us_of(cells["交易时间"]),
    )


def _agrees(lines: Sequence[BillLine], totals: dict[str, str]) -> bool:
    """Whether the last line says what stands above it; its fees are rounded to the fen."""
    taken = sum(line.amount_fen for line in lines if line.kind is LineKind.PAYMENT)
    given = sum(line.amount_fen for line in lines if line.kind is LineKind.REFUND)
    fees = sum(line.fee_mfen for line in lines)
    return (
        int(totals[COUNT]) == len(lines)
        and fen_of(totals[TAKEN]) == taken
        and fen_of(totals[GIVEN]) == given
        and abs(mfen_of(totals[FEES]) - fees) < _FEN
    )


_FEN = 1000
