"""The acquirer's file of a day: CSV in GBK, columns found by name, a line of totals at the end."""

from __future__ import annotations

import csv
from typing import IO

from kabao.adapters.bills import (
    DONE,
    Place,
    check_day,
    check_subject,
    columns,
    number,
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

KINDS = {"消费": LineKind.PAY, "退货": LineKind.REFUND, "拒付": LineKind.RECALL}
COLUMNS = ("商户号", "交易类型", "终端号", "参考号", "原参考号", "金额", "手续费", "时间")
TOTALS = "合计"


def slip_number(terminal: str, reference: str) -> str:
    """How a sale at a terminal is known: a reference is the terminal's own."""
    return f"{terminal}-{reference}"


def read(file: IO[bytes], expected: Expected) -> BillReader:
    """The lines of a downloaded file. It knows no orders of ours, only slips."""
    place = Place()
    with reading(place):
        rows = csv.reader(texts(file, "gbk", place), strict=True)
        names = next(rows, [])
        take = columns(names, COLUMNS, place)
        found = came = went = 0
        for row in rows:
            if row[:1] == [TOTALS]:
                break
            if len(row) != len(names):
                raise place.spoilt("not as many cells as columns")
            found += 1
            line = _line(found, take(row), expected, place)
            came += line.amount_fen if line.kind is LineKind.PAY else 0
            went += line.amount_fen if line.kind is not LineKind.PAY else 0
            yield line
        else:
            raise place.spoilt("the file ends before its totals", BILL_CUT)
        _, of_day, count, taken, given = row
        check_day(day_us_of(of_day, "%Y%m%d")[0], expected, place)
        if (int(count), fen_of(taken), fen_of(given)) != (found, came, went):
            raise place.spoilt("the totals are not those of the lines", BILL_TOTALS)
        if any(rows):
            raise place.spoilt("something stands behind the totals")


def _line(at: int, cells: tuple[str, ...], expected: Expected, place: Place) -> Line:
    merchant, word, terminal, reference, original, amount, fee, when = cells
    check_subject(merchant, expected, place)
    kind = KINDS[word]
    return Line(
        source_no=at,
        kind=kind,
        our_no=None,
        our_sub_no=None,
        their_no=number(slip_number(terminal, reference)),
        amount_fen=fen_of(amount),
        fee_mfen=mfen_of(fee),
        currency="CNY",
        at_us=moment_of(when)[1],
        day=expected.day,
        status=DONE,
        original_no=number(slip_number(terminal, original)) if original else None,
    )
