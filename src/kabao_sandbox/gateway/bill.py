"""The list of a day as a gateway writes it: cells separated by `|`, totals first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

COLUMNS = "时间|类型|商户订单号|商户退款号|银行流水号|金额|手续费|摘要"


def written(rows: Sequence[Row], day: date, merchant: str) -> bytes:
    """The file."""
    taken = sum(row.amount_fen for row in rows if not row.refund)
    given = sum(row.amount_fen for row in rows if row.refund)
    first = f"{merchant}|{day:%Y%m%d}|{len(rows)}|{_yuan(taken)}|{_yuan(given)}"
    return "\n".join([first, COLUMNS, *map(_line, rows), ""]).encode()


def _line(row: Row) -> str:
    kind = "拒付" if row.recall else "退款" if row.refund else "支付"
    fee = f"{'-' if row.fee_mfen < 0 else ''}{abs(row.fee_mfen) // 100_000}"
    cells = (
        moment.text(row.at_us), kind, row.no, row.refund_no, row.number, _yuan(row.amount_fen),
        f"{fee}.{abs(row.fee_mfen) % 100_000:05d}", row.subject.replace("|", " "),
    )  # fmt: skip
    return "|".join(cells)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
