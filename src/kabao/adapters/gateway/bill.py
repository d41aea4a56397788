"""A gateway's list of a day: cells separated by `|`, in UTF-8.

The first line is `merchant|day|lines|taken|given`, the second names the columns.
A file whose lines do not add up to its first one is spoilt.
"""

from __future__ import annotations

from typing import IO

from kabao.adapters.bills import (
    DONE,
    Place,
    check_day,
    check_subject,
    checked,
    columns,
    number,
    number_or_none,
    reading,
    texts,
)
from kabao.adapters.figures import day_us_of, fen_of, mfen_of, moment_of
from kabao.reconciliation.model.lines import (
    BILL_CUT,
    BILL_TOTALS,
    BillReader,
    Expected,
    Line,
    LineKind,
)

KINDS = {"支付": LineKind.PAY, "退款": LineKind.REFUND, "拒付": LineKind.RECALL}
COLUMNS = ("类型", "商户订单号", "商户退款号", "银行流水号", "金额", "手续费", "时间")


def read(file: IO[bytes], expected: Expected) -> BillReader:
    """The lines of a downloaded file."""
    return checked(_read(file, expected), expected)


def _read(file: IO[bytes], expected: Expected) -> BillReader:
    place = Place()
    with reading(place):
        rows = texts(file, "utf-8", place)
        merchant, written, count, taken, given = next(rows, "").split("|")
        check_subject(merchant, expected, place)
        check_day(day_us_of(written, "%Y%m%d")[0], expected, place)
        said = (int(count), fen_of(taken), fen_of(given))
        names = next(rows, "").split("|")
        take = columns(names, COLUMNS, place)
        found = came = went = 0
        for row in rows:
            cells = row.split("|")
            if len(cells) != len(names):
                raise place.spoilt("not as many cells as columns")
            found += 1
            line = _line(found, take(cells))
            came += line.amount_fen if line.kind is LineKind.PAY else 0
            went += line.amount_fen if line.kind is not LineKind.PAY else 0
            yield line
        if said[0] > found:
            raise place.spoilt("fewer lines than the first one says", BILL_CUT)
        if said != (found, came, went):
            raise place.spoilt("the totals are not those of the lines", BILL_TOTALS)


def _line(at: int, cells: tuple[str, ...]) -> Line:
    word, order, refund, own, amount, fee, when = cells
    kind, own = KINDS[word], number(own)
    taken_back = kind is LineKind.RECALL
    day, at_us = moment_of(when)
    return Line(
        source_no=at,
        kind=kind,
        our_no=number_or_none(order),
        our_sub_no=None if taken_back else number_or_none(refund),
        # What was taken back has the bank's number where a refund has ours.
        their_no=(number_or_none(refund) if taken_back else None) or own,
        amount_fen=fen_of(amount),
        fee_mfen=mfen_of(fee),
        currency="CNY",
        at_us=at_us,
        day=day,
        status=DONE,
        original_no=None if kind is LineKind.PAY else own,
    )
