"""A day's journal as vouchers for the books of a company (ERP). Pure.

One voucher for each issuer, currency and kind of event; its lines are summed by
account and owner, and its debits equal its credits. Account codes are those of the
Chinese accounting standards for enterprises; `docs/operating/reports.md` lists them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from kabao.ledger.model import Account, Purpose
from kabao.ledger.sums import Entry


class VoucherLine(msgspec.Struct, frozen=True):
    """One side of a voucher, summed. Fen; one of debit and credit is zero."""

    account: str
    """The account's code in the chart of the accounting standards."""
    name: str
    ledger_account: str
    """Ours, as in docs/LEDGER.md."""
    owner: str | None
    """The store or company it is kept for; None: all holders of the issuer's cards."""
    debit_fen: int
    credit_fen: int


class Voucher(msgspec.Struct, frozen=True):
    """What one kind of event moved on a day."""

    number: str
    day: date
    issuer: str
    currency: str
    purpose: str
    transfers: int
    lines: list[VoucherLine]


CODES: dict[Account, tuple[str, str]] = {
    Account.PRINCIPAL: ("2203.01", "预收账款-储值卡本金"),
    Account.PRINCIPAL_HELD: ("2203.02", "预收账款-储值卡本金(冻结)"),
    Account.BONUS: ("2241.01", "其他应付款-储值卡赠送"),
    Account.BONUS_HELD: ("2241.02", "其他应付款-储值卡赠送(冻结)"),
    Account.CASH: ("1001", "库存现金-门店"),
    Account.REDEEMED: ("2202.01", "应付账款-门店"),
    Account.BONUS_COST: ("6601.01", "销售费用-储值卡赠送"),
    Account.TRANSIT: ("2241.03", "其他应付款-卡间转账"),
    Account.PAID_OUT: ("2241.04", "其他应付款-退卡款"),
    Account.SUSPENSE: ("2241.05", "其他应付款-待处理退款"),
    Account.ADJUSTMENT: ("1901.01", "待处理财产损溢-调账"),
    Account.LAPSED: ("6301", "营业外收入-赠送到期"),
    Account.LOSS: ("6711", "营业外支出-脱机损失"),
    Account.COLLECTED: ("1012", "其他货币资金-支付渠道"),
    Account.RECEIVABLE: ("1221.01", "其他应收款-追索"),
    Account.BANK: ("1002", "银行存款"),
    Account.PAYABLE: ("2202.02", "应付账款-已结算待付"),
    Account.UNDER_WAY: ("2202.03", "应付账款-付款在途"),
    Account.FEES: ("6051", "其他业务收入-手续费"),
    Account.CHANNEL_FEES: ("6603", "财务费用-渠道手续费"),
    Account.UNMATCHED: ("1901.02", "待处理财产损溢-对账差错"),
    Account.CASH_DIFFERENCE: ("1901.03", "待处理财产损溢-现金长短款"),
    Account.NETTING: ("2241.06", "其他应付款-轧差"),
    Account.SET_OFF: ("2241.07", "其他应付款-抵销"),
    Account.DISPUTED: ("1221.02", "其他应收款-争议垫付"),
}
"""The code and name of each account of ours."""


def vouchers(day: date, entries: Iterable[Entry]) -> list[Voucher]:
    """The vouchers of a day, numbered in a fixed order."""
    by: dict[tuple[str, str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        by[entry.issuer, entry.currency, entry.purpose].append(entry)
    return [
        Voucher(
            number=f"{day:%Y%m%d}-{number:03}",
            day=day,
            issuer=issuer,
            currency=currency,
            purpose=Purpose(purpose).name.lower(),
            transfers=sum(entry.transfers for entry in each),
            lines=_lines(each),
        )
        for number, ((issuer, currency, purpose), each) in enumerate(sorted(by.items()), 1)
    ]


def _lines(entries: Sequence[Entry]) -> list[VoucherLine]:
    sums: dict[tuple[int, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        sums[entry.debit, entry.debit_owner][0] += entry.amount_fen
        sums[entry.credit, entry.credit_owner][1] += entry.amount_fen
    return [
        VoucherLine(
            *CODES[Account(account)],
            Account(account).name.lower(),
            owner,
            debit,
            credit,
        )
        for (account, owner), both in sorted(
            sums.items(), key=lambda each: (each[0][0], each[0][1] or "")
        )
        for debit, credit in _sides(*both)
    ]


def _sides(debit: int, credit: int) -> list[tuple[int, int]]:
    """An account that was debited and credited has a line for each."""
    return [side for side in ((debit, 0), (0, credit)) if side != (0, 0)]
