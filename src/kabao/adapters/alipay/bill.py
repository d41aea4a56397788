"""Alipay's trade bill: a zip, in it CSV in GBK with comment lines around the table.

The comment lines above the table name the account and the day, those behind it count and
sum what stands in it. Columns are found by name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO

from kabao.adapters.bills import (
    DONE,
    Place,
    check_day,
    checked,
    columns,
    number,
    number_or_none,
    reading,
    texts,
    unpacked,
)
from kabao.adapters.figures import day_us_of, fen_of, mfen_of, moment_of
from kabao.reconciliation.model.lines import (
    BILL_CUT,
    BILL_HEADER,
    BILL_MERCHANT,
    BILL_TOTALS,
    BillReader,
    Expected,
    Line,
    LineKind,
)

KINDS = {"交易": LineKind.PAY, "退款": LineKind.REFUND}
SUMMARY = "汇总"
COLUMNS = (
    "业务类型",
    "支付宝交易号",
    "商户订单号",
    "退款批次号/请求号",
    "订单金额（元）",
    "商家实收（元）",
    "服务费（元）",
    "完成时间",
)

_ACCOUNT = re.compile(r"#账号：\[(\d+)\]")
_DAYS = re.compile(r"#起始日期：\[(\S+) 00:00:00\]\s+终止日期：\[(\S+) 23:59:59\]")
_DAY = "%Y年%m月%d日"
_FOOT = re.compile(r"#(交易|退款)合计：(\d+)笔，商家实收(?:退款)?共(-?[\d.]+)元")
"""What the foot says of each kind."""


def read(file: IO[bytes], expected: Expected) -> BillReader:
    """The lines of a downloaded file."""
    return checked(_read(file, expected), expected)


def _read(file: IO[bytes], expected: Expected) -> BillReader:
    place = Place()
    with unpacked(file, _details, place) as found:
        if found is None:
            raise place.spoilt("the archive has no table")
        with reading(place):
            lines = texts(found[1], "gbk", place)
            _head(lines, expected, place)
            yield from _Table(lines, place)


def _details(names: Sequence[str]) -> list[str]:
    return [name for name in names if SUMMARY not in name]


def _head(lines: Iterator[str], expected: Expected, place: Place) -> None:
    """The comments above the table, as far as the line that begins it."""
    account = days = None
    for text in lines:
        if "业务明细列表" in text:
            break
        account = account or _ACCOUNT.match(text)
        days = days or _DAYS.match(text)
    if account is None or days is None:
        raise place.spoilt("the head names no account or no day", BILL_HEADER)
    # The account is the merchant's number with a few digits more, of its books there.
    if not account[1].startswith(expected.subject):
        raise place.spoilt("another merchant", BILL_MERCHANT)
    for one in days.groups():
        check_day(day_us_of(one, _DAY)[0], expected, place)


class _Table:
    """Iterates over the table's lines, and compares it with its foot."""

    def __init__(self, lines: Iterator[str], place: Place) -> None:
        self._lines, self._place = lines, place
        self._foot: list[tuple[LineKind, int, int]] = []
        self._count = dict.fromkeys(KINDS.values(), 0)
        self._sum_fen = dict.fromkeys(KINDS.values(), 0)

    def __iter__(self) -> Iterator[Line]:
        rows = csv.reader(self._rows())
        names = [name.strip() for name in next(rows, [])]
        take = columns(names, COLUMNS, self._place)
        for at, row in enumerate(rows, 1):
            if len(row) != len(names):
                raise self._place.spoilt("not as many cells as columns")
            yield self._line(at, take(row))
        self._agrees()

    def _rows(self) -> Iterator[str]:
        """Those of the table; what the foot says is kept."""
        for text in self._lines:
            if not text.startswith("#"):
                if text:
                    yield text
            elif (said := _FOOT.match(text)) is not None:
                self._foot.append((KINDS[said[1]], int(said[2]), abs(fen_of(said[3]))))

    def _line(self, at: int, cells: tuple[str, ...]) -> Line:
        word, trade, order, refund, amount, taken, fee, done = map(str.strip, cells)
        kind = KINDS[word]
        self._count[kind] += 1
        self._sum_fen[kind] += abs(fen_of(taken))
        day, at_us = moment_of(done)
        return Line(
            source_no=at,
            kind=kind,
            our_no=number_or_none(order),
            our_sub_no=number_or_none(refund),
            their_no=number(trade),
            amount_fen=abs(fen_of(amount)),
            # The bill shows a fee as what is taken from us, so that -0.60 was paid.
            fee_mfen=-mfen_of(fee),
            currency="CNY",
            at_us=at_us,
            day=day,
            status=DONE,
            original_no=trade if kind is LineKind.REFUND else None,
        )

    def _agrees(self) -> None:
        if len(self._foot) != len(KINDS):
            raise self._place.spoilt("the file ends before its totals", BILL_CUT)
        for kind, count, sum_fen in self._foot:
            if (count, sum_fen) != (self._count[kind], self._sum_fen[kind]):
                raise self._place.spoilt("the totals are not those of the lines", BILL_TOTALS)
