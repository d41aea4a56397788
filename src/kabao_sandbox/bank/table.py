"""A day's statement as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date

from kabao_sandbox.bank.model import ACCOUNT, PAYER_BANK, Booked
from kabao_sandbox.party import moment

COLUMNS = (
    *("流水号", "时间", "借贷", "金额", "手续费", "对方户名", "对方账号", "对方行号"),
    *("子账号", "商户订单号", "商户退款号", "原流水号", "附言"),
)


def written(entries: Sequence[Booked], opening_fen: int, day: date) -> bytes:
    """The file."""
    closing_fen = opening_fen + sum(entry.signed_fen for entry in entries)
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow((
        "账号", ACCOUNT, "日期", day.isoformat(), "期初余额", _yuan(opening_fen),
        "期末余额", _yuan(closing_fen), "笔数", len(entries),
    ))  # fmt: skip
    lines.writerow(COLUMNS)
    for one in entries:
        way = ("贷" if one.credit else "借") + ("冲" if one.reversal else "")
        lines.writerow((
            one.no, moment.text(one.at_us), way, _yuan(one.amount_fen),
            _yuan(one.fee_fen), one.name, one.account, PAYER_BANK, one.virtual,
            one.order, "" if one.credit else one.end_to_end, one.original, one.words,
        ))  # fmt: skip
    return ("\ufeff" + out.getvalue()).encode()


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
