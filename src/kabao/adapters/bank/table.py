"""A day's statement as a table: CSV in UTF-8, for banks without camt.053.

The first line names the account, the day and both balances in pairs of name and value; the
second names the columns, which are found by name.
"""

from __future__ import annotations

import csv
from datetime import date

from kabao.adapters.bank.entries import Entry
from kabao.adapters.bank.statement import OtherAccountError, whole
from kabao.adapters.bank.xml import NotReadableError
from kabao.adapters.figures import fen_of, mfen_of, us_of

WAYS = {"贷": (True, False), "借": (False, False), "贷冲": (True, True), "借冲": (False, True)}
"""Whether it came, and whether it undoes an earlier one."""


def read(file: bytes, account: str, day: date) -> tuple[Entry, ...]:
    """Every entry of an account's day. Raises NotReadableError, like `statement.read`."""
    try:
        rows = list(csv.reader(file.decode("utf-8-sig").splitlines(), strict=True))
        first, names = rows[0], rows[1]
        head = dict(zip(first[::2], first[1::2], strict=True))
        found = [_entry(dict(zip(names, row, strict=True))) for row in rows[2:]]
        opening, closing = fen_of(head["期初余额"]), fen_of(head["期末余额"])
        count = int(head["笔数"])
    except (ValueError, KeyError, IndexError, csv.Error) as wrong:
        raise NotReadableError(f"{type(wrong).__name__}: the table cannot be read") from None
    if head.get("账号") != account:
        raise OtherAccountError("another account")
    if count != len(found):
        raise NotReadableError("not as many entries as it says")
    return whole(found, day, opening, closing)


def _entry(cells: dict[str, str]) -> Entry:
    came, reversal = WAYS[cells["借贷"]]
    amount_fen = fen_of(cells["金额"])
    if amount_fen < 0 or not cells["流水号"]:
        raise ValueError("a negative amount, or no number")
    return Entry(
        no=cells["流水号"],
        came=came,
        amount_fen=amount_fen,
        fee_mfen=mfen_of(cells["手续费"]),
        at_us=us_of(cells["时间"]),
        reversal=reversal,
        original=cells["原流水号"],
        account=cells["子账号"],
        order_no=cells["商户订单号"],
        refund_no=cells["商户退款号"],
        words=cells["附言"],
        party=cells["对方户名"],
        party_account=cells["对方账号"],
        party_bank=cells["对方行号"],
    )
