"""The slip of a sale without a line (脱机交易), for 58 and 80 mm printers. Pure.

A slip of a sale that the platform answered comes from the platform: only it knows the
balance and the serial.
"""

from __future__ import annotations

import unicodedata
from datetime import tzinfo

from kabao.till.offline import Sold

COLUMNS = 32
"""Half-width characters across 58 mm paper; 80 mm has 48."""


def offline_slip(
    sold: Sold,
    *,
    store: str,
    terminal_no: str,
    zone: tzinfo,
    columns: int = COLUMNS,
    copy: int = 1,
) -> str:
    """Lines for the printer. `store` and `terminal_no` as people call them; `copy` counts
    printings: all but the first are marked 重印.
    """
    rule = "-" * columns
    lines = [_middle(store, columns), _middle("消费凭证（未联机）", columns)]
    if copy > 1:
        lines.append(_middle(f"*** 重印 第{copy}联 ***", columns))
    pairs = [
        ("终端号", terminal_no),
        ("卡号", f"**** {sold.last4}"),
        ("金额", f"{sold.amount // 100:,}.{sold.amount % 100:02}元"),
        ("交易时间", sold.occurred_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")),
        ("脱机流水号", str(sold.sequence)),
        ("参考号", sold.reference),
    ]
    lines += [rule, *(line for pair in pairs for line in _pair(*pair, columns)), rule]
    lines += ["未联机交易，联网后自动上送入账。", "卡余额以联网查询为准。"]
    lines.append("预付卡支付部分不开具发票")
    return "\n".join(lines) + "\n"


def _width(text: str) -> int:
    """Columns a text takes: a full-width character takes two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "FWA" else 1 for sign in text)


def _middle(text: str, columns: int) -> str:
    return " " * max(0, (columns - _width(text)) // 2) + text


def _pair(left: str, right: str, columns: int) -> list[str]:
    """On one line, or on two where they do not fit."""
    gap = columns - _width(left) - _width(right)
    if gap > 0:
        return [left + " " * gap + right]
    return [left, " " * max(0, columns - _width(right)) + right]
