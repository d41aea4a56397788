"""A day's statement as a table: CSV in UTF-8, for banks without camt.053.

The first line names the account, the day and both balances in pairs of name and value; the
second names the columns, which are found by name.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date
from typing import IO

from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.statement import OtherAccountError, Sums
from kabao.adapters.bank.xml import NotReadableError
from kabao.adapters.bills import Place, columns, reading, texts
from kabao.adapters.figures import day_us_of, fen_of, mfen_of, moment_of
from kabao.reconciliation.model.lines import BILL_CUT, BILL_DAY, SpoiltBillError

WAYS = {"贷": (True, False), "借": (False, False), "贷冲": (True, True), "借冲": (False, True)}
"""Whether it came, and whether it undoes an earlier one."""

COLUMNS = (
    *("流水号", "时间", "借贷", "金额", "手续费", "对方户名", "对方账号", "对方行号"),
    *("子账号", "商户订单号", "商户退款号", "原流水号", "附言"),
)


def read(file: IO[bytes], account: str, day: date) -> Iterator[Entry]:
    """Every entry of an account's day. Raises NotReadableError, like `statement.read`."""
    place = Place()
    try:
        with reading(place):
            yield from _read(file, account, day, place)
    except SpoiltBillError as spoilt:
        raise NotReadableError(spoilt.reason, spoilt.code, line=spoilt.line) from None


def _read(file: IO[bytes], account: str, day: date, place: Place) -> Iterator[Entry]:
    rows = csv.reader(texts(file, "utf-8", place), strict=True)
    first = next(rows, [])
    head = dict(zip(first[::2], first[1::2], strict=True))
    if head["账号"] != account:
        raise OtherAccountError
    if day_us_of(head["日期"])[0] != day:
        raise place.spoilt("another day", BILL_DAY)
    opening, closing = fen_of(head["期初余额"]), fen_of(head["期末余额"])
    names = next(rows, [])
    take = columns(names, COLUMNS, place)
    sums, found = Sums(day), 0
    for row in rows:
        if len(row) != len(names):
            raise place.spoilt("not as many cells as columns")
        found += 1
        yield sums.add(_entry(take(row)))
    if int(head["笔数"]) != found:
        raise place.spoilt("not as many entries as it says", BILL_CUT)
    sums.check(opening, closing)


def _entry(cells: tuple[str, ...]) -> Entry:
    (
        no, when, way, amount, fee, party, party_account, party_bank,
        account, order, refund, original, words,
    ) = cells  # fmt: skip
    came, reversal = WAYS[way]
    amount_fen = fen_of(amount)
    if amount_fen < 0 or not no:
        raise ValueError("a negative amount, or no number")
    return Entry(
        no=no,
        came=came,
        amount_fen=amount_fen,
        fee_mfen=mfen_of(fee),
        at_us=moment_of(when)[1],
        reversal=reversal,
        original=original,
        account=account,
        order_no=order,
        refund_no=refund,
        words=words,
        party=party,
        party_account=party_account,
        party_bank=party_bank,
    )
