"""The export of a legacy card system: CSV in GBK, with columns only its maker would name so."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

COLUMNS = (
    "流水",
    "单号",
    "退单号",
    "日期",
    "时间",
    "类别",
    "金额(元)",
    "手续费(元)",
    "币种",
    "状态",
    "备注",
)

MAPPING = """\
# How this export is read: its columns, by what we call them.
encoding = "gbk"
day_form = "%Y%m%d"

[columns]
their_no = "流水"
our_no = "单号"
our_sub_no = "退单号"
day = "日期"
time = "时间"
kind = "类别"
amount = "金额(元)"
fee = "手续费(元)"
currency = "币种"
status = "状态"

[kinds]
"消费" = "pay"
"退货" = "refund"

[statuses]
"成功" = "done"
"失败" = "failed"

[totals]
first_cell = "合计"
count = 1
"""


def written(rows: Sequence[Row]) -> bytes:
    """The file, with how many rows it has in its last line."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for row in rows:
        at = moment.at(row.at_us)
        lines.writerow((
            row.refund_number or row.number, row.no, row.refund_no, f"{at:%Y%m%d}",
            f"{at:%H:%M:%S}", "退货" if row.refund else "消费",
            f"{row.amount_fen // 100}.{row.amount_fen % 100:02d}", _fee(row.fee_mfen),
            row.currency, "成功", row.subject,
        ))  # fmt: skip
    lines.writerow(("合计", len(rows)))
    return out.getvalue().encode("gbk")


def _fee(mfen: int) -> str:
    return f"{'-' if mfen < 0 else ''}{abs(mfen) // 100_000}.{abs(mfen) % 100_000:05d}"
