"""The trade bill as WeChat writes it: 27 columns, a back-tick before every value."""

from __future__ import annotations

from collections.abc import Sequence

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

COLUMNS = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
TOTALS = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)


def written(rows: Sequence[Row], app: str, merchant: str) -> bytes:
    """The file, before it is packed."""
    taken = sum(row.amount_fen for row in rows if not row.refund)
    given = sum(row.amount_fen for row in rows if row.refund)
    fees = sum(row.fee_mfen for row in rows)
    totals = (
        str(len(rows)), _yuan(taken), _yuan(given), "0.00", _yuan(round(fees / 1000)),
        _yuan(taken), _yuan(given),
    )  # fmt: skip
    lines = [COLUMNS, *(_line(row, app, merchant) for row in rows), TOTALS, _ticked(totals), ""]
    return ("\ufeff" + "\r\n".join(lines)).encode()


def _line(row: Row, app: str, merchant: str) -> str:
    taken = "0.00" if row.refund else _yuan(row.amount_fen)
    given = _yuan(row.amount_fen) if row.refund else "0.00"
    return _ticked((
        moment.text(row.at_us), app, merchant, "0", "", row.number, row.no, row.payer, "NATIVE",
        "REFUND" if row.refund else "SUCCESS", "CMB_DEBIT", row.currency, taken, "0.00",
        row.refund_number or "0", row.refund_no or "0", given, "0.00",
        "ORIGINAL" if row.refund else "", "SUCCESS" if row.refund else "", row.subject, "",
        _five(row.fee_mfen), "0.60%", taken, given, "",
    ))  # fmt: skip


def _ticked(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _five(mfen: int) -> str:
    """Fees have five decimals."""
    return f"{'-' if mfen < 0 else ''}{abs(mfen) // 100_000}.{abs(mfen) % 100_000:05d}"
