"""The file of a day as an acquirer writes it: CSV in GBK."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

COLUMNS = (
    *("商户号", "终端号", "时间", "交易类型", "卡号", "参考号", "授权号", "原参考号"),
    *("金额", "手续费"),
)


def written(rows: Sequence[Row], merchant: str, day: date) -> bytes:
    """The file. A sale's number is terminal, reference and authorisation code."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for row in rows:
        terminal, reference, auth_code = _parts(row)
        kind = "拒付" if row.recall else "退货" if row.refund else "消费"
        own = row.refund_number or reference
        lines.writerow((
            merchant, terminal, moment.text(row.at_us), kind, "6228********1234", own, auth_code,
            reference if row.refund else "", _yuan(row.amount_fen), _fee(row.fee_mfen),
        ))  # fmt: skip
    taken = sum(row.amount_fen for row in rows if not row.refund)
    given = sum(row.amount_fen for row in rows if row.refund)
    lines.writerow(("合计", f"{day:%Y%m%d}", len(rows), _yuan(taken), _yuan(given)))
    return out.getvalue().encode("gbk")


def _parts(row: Row) -> tuple[str, str, str]:
    """A sale that was planted is nobody's: its number is a row of digits."""
    if "-" not in row.number:
        return "10000009", row.number[-12:], "000000"
    terminal, reference, auth_code = row.number.split("-")
    return terminal, reference, auth_code


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def _fee(mfen: int) -> str:
    return f"{'-' if mfen < 0 else ''}{abs(mfen) // 100_000}.{abs(mfen) % 100_000:05d}"
