"""WeChat Pay's trade bill: CSV with a back-tick before every value, totals in the last line.

Goods' names may hold commas, and nothing is quoted: values are parted by a comma
with the next value's back-tick. Columns are found by name, since there are forms
of 24 and of 27.
"""

from __future__ import annotations

from typing import IO

from kabao.adapters.bills import (
    DONE,
    Place,
    check_subject,
    checked,
    columns,
    number,
    number_or_none,
    reading,
    texts,
)
from kabao.adapters.figures import fen_of, mfen_of, moment_of
from kabao.reconciliation.model.lines import (
    BILL_CUT,
    BILL_TOTALS,
    BillReader,
    Expected,
    Line,
    LineKind,
)

TICK = "`"
NEXT = "," + TICK
PAID, GIVEN_BACK = "SUCCESS", frozenset({"REFUND", "REVOKED"})
COLUMNS = (
    "商户号",
    "交易时间",
    "交易状态",
    "微信订单号",
    "商户订单号",
    "微信退款单号",
    "商户退款单号",
    "退款状态",
    "应结订单金额",
    "退款金额",
    "手续费",
    "货币种类",
)
TOTALS = ("总交易单数", "应结订单总金额", "退款总金额", "手续费总金额")
NONE = frozenset({"", "0"})
"""What stands where there is no number."""

_MFEN_PER_FEN = 1000


def read(file: IO[bytes], expected: Expected) -> BillReader:
    """The lines of an unpacked file."""
    return checked(_Table(file, expected).lines(), expected)


class _Table:
    """Reads a bill once."""

    def __init__(self, file: IO[bytes], expected: Expected) -> None:
        self._expected = expected
        self._place = Place()
        self._texts = texts(file, "utf-8", self._place)
        self._count = self._taken_fen = self._given_fen = self._fees_mfen = 0

    def lines(self) -> BillReader:
        with reading(self._place):
            names = _names(next(self._texts, ""))
            take = columns(names, COLUMNS, self._place)
            for text in self._texts:
                if not text.startswith(TICK):
                    self._agrees(_names(text))
                    return
                row = text[1:].split(NEXT)
                if len(row) != len(names):
                    raise self._place.spoilt("not as many values as columns")
                yield self._line(take(row))
            raise self._place.spoilt("the file ends before its totals", BILL_CUT)

    def _line(self, cells: tuple[str, ...]) -> Line:
        (
            merchant, when, state, trade, order, refund_there, refund_here, refund_state,
            taken, given, fee, currency,
        ) = map(str.strip, cells)  # fmt: skip
        check_subject(merchant, self._expected, self._place)
        back = state in GIVEN_BACK
        if not back and state != PAID:
            raise ValueError("a trade state that moves no money we know of")
        amount_fen, fee_mfen = fen_of(given if back else taken), mfen_of(fee)
        self._count += 1
        self._taken_fen += 0 if back else amount_fen
        self._given_fen += amount_fen if back else 0
        self._fees_mfen += fee_mfen
        day, at_us = moment_of(when)
        return Line(
            source_no=self._count,
            kind=LineKind.REFUND if back else LineKind.PAY,
            our_no=number_or_none(order),
            our_sub_no=_number(refund_here) if back else None,
            their_no=(_number(refund_there) if back else None) or number(trade),
            amount_fen=amount_fen,
            fee_mfen=fee_mfen,
            currency=currency,
            at_us=at_us,
            day=day,
            status=DONE if not back or refund_state in {"", PAID} else number(refund_state.lower()),
            original_no=trade if back else None,
        )

    def _agrees(self, names: list[str]) -> None:
        """The last line says what stands above it; its fees are rounded to the fen."""
        take = columns(names, TOTALS, self._place)
        row = next(self._texts, "").removeprefix(TICK).split(NEXT)
        if len(row) != len(names):
            raise self._place.spoilt("the file ends before its totals", BILL_CUT)
        count, taken, given, fees = map(str.strip, take(row))
        if (
            (int(count), fen_of(taken)) != (self._count, self._taken_fen)
            or fen_of(given) != self._given_fen
            or abs(mfen_of(fees) - self._fees_mfen) >= _MFEN_PER_FEN
        ):
            raise self._place.spoilt("the totals are not those of the lines", BILL_TOTALS)
        if any(text.strip() for text in self._texts):
            raise self._place.spoilt("something stands behind the totals")


def _names(text: str) -> list[str]:
    return [name.strip().strip(TICK) for name in text.split(",")]


def _number(text: str) -> str | None:
    return None if text in NONE else number(text)
