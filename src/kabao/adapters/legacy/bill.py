"""A legacy system's export of a day, read as its mapping says."""

from __future__ import annotations

import csv
from typing import IO

from kabao.adapters.bills import (
    DONE,
    Place,
    checked,
    columns,
    number,
    number_or_none,
    reading,
    texts,
)
from kabao.adapters.figures import clock_us_of, day_us_of, fen_of, mfen_of
from kabao.adapters.legacy.mapping import LegacyMapping, Totals
from kabao.reconciliation.model.lines import (
    BILL_CUT,
    BILL_TOTALS,
    BillReader,
    Expected,
    Line,
)


def read(file: IO[bytes], expected: Expected, mapping: LegacyMapping) -> BillReader:
    """The lines of an export. It names no merchant; its days and currencies are looked at."""
    return checked(_read(file, mapping, expected.currency), expected)


def _read(file: IO[bytes], mapping: LegacyMapping, currency: str) -> BillReader:
    place = Place()
    with reading(place):
        rows = csv.reader(
            texts(file, mapping.encoding, place), delimiter=mapping.delimiter, strict=True
        )
        names = [name.strip() for name in next(rows, [])]
        cells = _Cells(names, mapping, currency, place)
        totals, sum_fen = mapping.totals, 0
        for at, row in enumerate(rows, 1):
            if totals is not None and row[:1] == [totals.first_cell]:
                _check(row, totals, mapping, (at - 1, sum_fen), place)
                if any(rows):
                    raise place.spoilt("something stands behind the totals")
                return
            if len(row) != len(names):
                raise place.spoilt("not as many cells as columns")
            line = cells.line(at, row)
            sum_fen += line.amount_fen
            yield line
        if totals is not None:
            raise place.spoilt("the file ends before its totals", BILL_CUT)


def _check(
    row: list[str], totals: Totals, mapping: LegacyMapping, found: tuple[int, int], place: Place
) -> None:
    said = int(row[totals.count])
    sum_fen = found[1] if totals.amount is None else _fen(row[totals.amount], mapping)
    if (said, sum_fen) != found:
        raise place.spoilt("the totals are not those of the lines", BILL_TOTALS)


class _Cells:
    """Makes lines of rows."""

    def __init__(
        self, names: list[str], mapping: LegacyMapping, currency: str, place: Place
    ) -> None:
        named = mapping.columns
        must = (named.their_no, named.day, named.kind, named.amount)
        may = (named.our_no, named.our_sub_no, named.time, named.fee, named.currency, named.status)
        self._must = columns(names, must, place)
        there = [name for name in may if name is not None]
        if there:
            columns(names, there, place)
        self._may = [None if name is None else names.index(name) for name in may]
        self._mapping, self._currency = mapping, currency

    def line(self, at: int, row: list[str]) -> Line:
        """Raises ValueError and KeyError."""
        mapping = self._mapping
        their_no, day, kind, amount = map(str.strip, self._must(row))
        our_no, our_sub_no, time, fee, currency, status = (
            "" if place is None else row[place].strip() for place in self._may
        )
        on, first_us = day_us_of(day, mapping.day_form)
        return Line(
            source_no=at,
            kind=mapping.kinds[kind],
            our_no=number_or_none(our_no),
            our_sub_no=number_or_none(our_sub_no),
            their_no=number(their_no),
            amount_fen=abs(_fen(amount, mapping)),
            fee_mfen=mfen_of(fee) if fee else 0,
            currency=number(currency) if currency else self._currency,
            at_us=first_us + (clock_us_of(time) if time else 0),
            day=on,
            status=mapping.statuses[status] if status else DONE,
        )


def _fen(text: str, mapping: LegacyMapping) -> int:
    return int(text) if mapping.amount == "fen" else fen_of(text)
