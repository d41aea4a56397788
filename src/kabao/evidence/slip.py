"""Slips for 58 and 80 mm printers, in Chinese: pure.

A slip is a list of lines with something at the left, at the right or in the
middle. The same lines become text, where a full-width character takes two of
the printer's columns, and an image. What it shows besides the receipt (names,
cash taken beside the card) is printed and not signed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from enum import IntEnum
from xml.sax.saxutils import escape

import msgspec

from kabao.base.money import yuan
from kabao.evidence.model import Destination, Kind, Receipt


class Paper(IntEnum):
    """The width of a roll in millimetres."""

    NARROW = 58
    WIDE = 80


COLUMNS: Mapping[Paper, int] = {Paper.NARROW: 32, Paper.WIDE: 48}
_DOTS, _HEIGHT = 12, 30
"""A column's width and a line's height in dots: 384 or 576 dots across."""

TITLES: Mapping[Kind, str] = {
    Kind.PAYMENT: "消费",
    Kind.HOLD: "预授权",
    Kind.CAPTURE: "预授权完成",
    Kind.RELEASE: "预授权到期解冻",
    Kind.VOID: "撤销",
    Kind.REFUND: "退货",
    Kind.REVERSAL: "冲正",
    Kind.TOPUP: "充值",
    Kind.TOPUP_VOID: "充值撤销",
    Kind.TOPUP_REFUND: "充值退款",
}
_WENT: Mapping[Destination, str] = {
    "card": "原卡",
    "new_card": "同种新卡",
    "suspense": "挂账待处理",
}
_TAKEN = frozenset({Kind.PAYMENT, Kind.CAPTURE})


class Line(msgspec.Struct, frozen=True):
    """One line; `rule` is a dashed one."""

    left: str = ""
    right: str = ""
    middle: str = ""
    rule: bool = False


RULE = Line(rule=True)


class Names(msgspec.Struct, frozen=True):
    """What people call the places on a slip."""

    store: str
    terminal_no: str | None
    cashier_code: str | None


class Cash(msgspec.Struct, frozen=True):
    """Cash taken beside the card, in fen, before and after rounding."""

    due_fen: int
    paid_fen: int


class Slip(msgspec.Struct, frozen=True):
    """A slip laid out for a paper."""

    paper: Paper
    lines: list[Line]

    @property
    def columns(self) -> int:
        """Half-width characters a line holds."""
        return COLUMNS[self.paper]

    def rows(self) -> list[str]:
        """Its lines as a printer takes them, none wider than the paper."""
        return [_row(line, self.columns) for line in self.lines]

    def text(self) -> str:
        """All of it as text."""
        return "\n".join(self.rows()) + "\n"

    def svg(self) -> str:
        """All of it as an image, a dot of the printer a unit."""
        width, height = self.columns * _DOTS, (len(self.lines) + 1) * _HEIGHT
        body = "".join(_drawn(line, n, width) for n, line in enumerate(self.lines, 1))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{self.paper}mm" font-family="monospace" font-size="{2 * _DOTS}">'
            f'<rect width="{width}" height="{height}" fill="#fff"/>{body}</svg>'
        )


def slip(
    receipt: Receipt,
    code: str,
    names: Names,
    *,
    copy: int,
    paper: Paper,
    returnable: bool = False,
    cash: Cash | None = None,
) -> Slip:
    """The slip of a receipt. `copy` counts printings: all but the first are marked 重印.
    `returnable`: whether goods are taken back on it without the card.
    """
    lines = [Line(middle=names.store), Line(middle=f"{TITLES[receipt.kind]}凭证")]
    if copy > 1:
        lines.append(Line(middle=f"*** 重印 第{copy}联 ***"))
    lines += [RULE, *_place(receipt.merchant_no, names), RULE]
    lines += [
        Line("卡号", f"**** {receipt.last4}"),
        Line("交易类型", TITLES[receipt.kind]),
        Line("金额", _money(receipt.amount)),
    ]
    if receipt.bonus:
        lines.append(Line("其中赠送金额", _money(receipt.bonus)))
    if receipt.destination is not None:
        lines.append(Line("退款去向", _WENT[receipt.destination]))
    lines.append(Line("卡可用余额", _money(receipt.balance_after)))
    lines += _cash(receipt, cash)
    lines.append(RULE)
    if receipt.reference is not None:
        lines.append(Line("参考号", receipt.reference))
    lines += [
        Line("交易时间", _time(receipt.occurred_at)),
        Line("营业日", receipt.business_date),
        Line("流水号"),
        Line(right=receipt.serial),
        Line("验证码", code),
        RULE,
    ]
    if receipt.kind in _TAKEN:
        lines.append(Line("预付卡支付部分不开具发票"))
    lines.append(Line("凭流水号和验证码查询或退货" if returnable else "凭流水号和验证码查询"))
    return _fitted(lines, paper)


def unknown_slip(
    amount_fen: int,
    at: str,
    merchant_no: str,
    names: Names,
    *,
    reference: str | None,
    paper: Paper,
) -> Slip:
    """What a customer takes along whose payment got no answer. `at` is RFC 3339."""
    lines = [
        Line(middle=names.store),
        Line(middle="交易结果未知"),
        RULE,
        *_place(merchant_no, names),
        RULE,
        Line("金额", _money(amount_fen)),
        Line("交易时间", _time(at)),
    ]
    if reference is not None:
        lines.append(Line("参考号", reference))
    lines += [
        RULE,
        Line("结果未知，请勿重复付款。"),
        Line("如已扣款而交易未成立，"),
        Line("系统将自动冲正，款项退回原卡。"),
        Line("本单不是付款凭证，可凭此查询。"),
    ]
    return _fitted(lines, paper)


def width(text: str) -> int:
    """Columns a text takes. Characters of ambiguous width are full on Chinese printers."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "FWA" else 1
        for c in text
    )


def _place(merchant_no: str | None, names: Names) -> Iterator[Line]:
    if merchant_no is not None:
        yield Line("商户号", merchant_no)
    if names.terminal_no is not None:
        yield Line("终端号", names.terminal_no)
    if names.cashier_code is not None:
        yield Line("收银员", names.cashier_code)


def _cash(receipt: Receipt, cash: Cash | None) -> Iterator[Line]:
    """Only what was not paid by card may be invoiced (CR-73)."""
    if cash is not None:
        yield Line("现金应收", _money(cash.due_fen))
        yield Line("抹零", _money(cash.paid_fen - cash.due_fen))
        yield Line("现金实收", _money(cash.paid_fen))
    if receipt.kind in _TAKEN:
        yield Line("可开票金额", _money(receipt.invoiceable + (cash.paid_fen if cash else 0)))


def _money(fen: int) -> str:
    return f"{yuan(fen)}元"


def _time(rfc3339: str) -> str:
    return rfc3339[:19].replace("T", " ")


def _fitted(lines: list[Line], paper: Paper) -> Slip:
    """Break what is wider than the paper; nothing is cut off."""
    columns = COLUMNS[paper]
    return Slip(paper, [part for line in lines for part in _broken(line, columns)])


def _broken(line: Line, columns: int) -> Iterator[Line]:
    if line.left and line.right and width(line.left) + 1 + width(line.right) > columns:
        yield from _broken(Line(left=line.left), columns)
        yield from _broken(Line(right=line.right), columns)
        return
    side = next((name for name in ("left", "right", "middle") if getattr(line, name)), None)
    if side is None or width(getattr(line, side)) <= columns or (line.left and line.right):
        yield line
        return
    for part in _parts(getattr(line, side), columns):
        yield msgspec.structs.replace(line, **{side: part})


def _parts(text: str, columns: int) -> Iterator[str]:
    part = ""
    for character in text:
        if width(part + character) > columns:
            yield part
            part = ""
        part += character
    yield part


def _row(line: Line, columns: int) -> str:
    if line.rule:
        return "-" * columns
    if line.middle:
        return " " * ((columns - width(line.middle)) // 2) + line.middle
    gap = columns - width(line.left) - width(line.right)
    return (line.left + " " * gap + line.right).rstrip()


def _drawn(line: Line, n: int, across: int) -> str:
    y = n * _HEIGHT
    if line.rule:
        return f'<path d="M0 {y - 10}H{across}" stroke="#000" stroke-dasharray="6"/>'
    ends = (
        ("start", 0, line.left),
        ("end", across, line.right),
        ("middle", across // 2, line.middle),
    )
    return "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
        for anchor, x, text in ends
        if text
    )
