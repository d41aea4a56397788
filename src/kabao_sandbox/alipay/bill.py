"""The trade bill as Alipay writes it: two tables of CSV in GBK, zipped."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date

from kabao_sandbox.party import moment
from kabao_sandbox.party.bills import Row

COLUMNS = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,"
    "对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,"
    "券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,"
    "分润（元）,备注"
)
LINE = f"#{'-' * 41}业务明细列表{{}}{'-' * 40}"


def written(rows: Sequence[Row], day: date, seller: str, *, truncated: bool) -> bytes:
    """The zip. A truncated one has a table that ends early, not a broken zip."""
    payments = [row for row in rows if not row.refund]
    refunds = [row for row in rows if row.refund]
    lines = [
        "#支付宝业务明细查询",
        f"#账号：[{seller}0156]",
        f"#起始日期：[{day:%Y年%m月%d日} 00:00:00]   终止日期：[{day:%Y年%m月%d日} 23:59:59]",
        LINE.format(""),
        COLUMNS,
        *(_line(row) for row in rows),
        LINE.format("结束"),
        f"#交易合计：{len(payments)}笔，商家实收共{_sum(payments)}元，商家优惠共0.00元",
        f"#退款合计：{len(refunds)}笔，商家实收退款共{_sum(refunds)}元，商家优惠退款共0.00元",
        f"#导出时间：[{day:%Y年%m月%d日} 23:59:59]",
        "",
    ]
    detail = "\r\n".join(lines).encode("gbk", "replace")
    if truncated:
        detail = detail[: len(detail) // 2]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        name = f"{seller}0156_{day:%Y%m%d}_业务明细"
        archive.writestr(_Named(f"{name}.csv"), detail)
        archive.writestr(_Named(f"{name}(汇总).csv"), "#支付宝业务汇总查询\r\n".encode("gbk"))
    return file.getvalue()


class _Named(zipfile.ZipInfo):
    """An entry whose name is written in GBK without saying so, as the real archives do."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 -- the library's name
        return self.filename.encode("gbk"), self.flag_bits


def _line(row: Row) -> str:
    minus = "-" if row.refund else ""
    amount = f"{minus}{row.amount_fen // 100}.{row.amount_fen % 100:02d}"
    fee_fen = round(row.fee_mfen / 1000)
    fee = f"{'-' if fee_fen > 0 else ''}{abs(fee_fen) // 100}.{abs(fee_fen) % 100:02d}"
    when = moment.text(row.at_us)
    name = f'"{row.subject}"' if "," in row.subject else row.subject
    cells = (
        row.number, row.no, "退款" if row.refund else "交易", name, when, when, "", "", "", "",
        row.payer, amount, amount, "0.00", "0.00", "0.00", "0.00", "0.00", "", "0.00", "0.00",
        row.refund_no, fee, "0.00", "",
    )  # fmt: skip
    return "\t,".join(cells)


def _sum(rows: Sequence[Row]) -> str:
    fen = sum(row.amount_fen for row in rows)
    return f"{fen // 100}.{fen % 100:02d}"
