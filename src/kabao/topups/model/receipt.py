"""The receipt of a top-up with the items the law lists (CR-35, L-19): from what is known of
the sale, in the language of whoever gets it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

from kabao.base.errors import Kind, code
from kabao.base.money import yuan
from kabao.policy import names
from kabao.policy.choices import Valuation
from kabao.policy.model import Rules
from kabao.topups.model.bonus import BonusRule
from kabao.topups.model.topup import TopUp

NO_RECEIPT_YET = code(
    "topup_not_confirmed", Kind.CONFLICT, "Only a top-up that is on its card has a receipt."
)


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the sale; nothing of it is personal."""

    topup: TopUp
    issuer: str
    """Its name, like those that follow."""
    seller: str
    store: str | None
    programme: str
    contact: str
    notes: str
    valid_until: date | None
    bonus: BonusRule | None
    rules: Rules


class Item(msgspec.Struct, frozen=True):
    """One item of the list, with its heading and what it says."""

    item: str
    title: str
    lines: tuple[str, ...]


def items(sale: Sale) -> tuple[Item, ...]:
    """What policy lists, in its order."""
    listed = sale.rules.texts(names.PURCHASE_RECEIPT_ITEMS)
    return tuple(Item(name, *_ITEMS[name](sale)) for name in listed)


_Said = tuple[str, tuple[str, ...]]


def _parties(sale: Sale) -> _Said:
    payer = sale.topup.payer
    who = f"cus_{payer}" if payer else "未登记（不记名）"
    return "当事人", (f"发卡方：{sale.issuer}", f"售卡方：{sale.seller}", f"购卡人：{who}")


def _amount(sale: Sale) -> _Said:
    topup = sale.topup
    return "收款账户与金额", (
        f"收款渠道：{topup.channel}",
        f"实收金额：{yuan(topup.amount_fen)}元",
        f"卡号末四位：{topup.last4}",
    )


def _goods(sale: Sale) -> _Said:
    fee = sale.rules.rate(names.CARD_RETURN_FEE_BP)
    return "商品、服务与收费", (
        f"产品：{sale.programme}",
        "按收银时标价以卡内余额支付，充值不收手续费",
        f"退卡手续费：{fee / 100:g}%",
    )


def _term(sale: Sale) -> _Said:
    until = sale.valid_until
    term = f"有效期至：{until.isoformat()}" if until else "有效期：无期限"
    where = sale.store or "线上渠道"
    return "履行期限与地点", (term, f"购买地点：{where}", "发卡方及其集团或同品牌门店均可使用")


def _risk(sale: Sale) -> _Said:
    return "风险提示", ("请妥善保管卡号和密码；不记名卡丢失可能无法找回余额", *_noted(sale))


def _noted(sale: Sale) -> tuple[str, ...]:
    return (sale.notes,) if sale.notes else ()


def _bonus(sale: Sale) -> _Said:
    if sale.bonus is None:
        return "赠送规则", ("本次充值无赠送",)
    return "赠送规则", (
        f"{sale.bonus.name}：本次赠送{yuan(sale.topup.bonus_fen)}元",
        "赠送金额不兑现、不开票；退款时按比例收回，已用的赠送金额从退款中扣除",
    )


def _change(sale: Sale) -> _Said:
    days = sale.rules.int(names.CLOSURE_NOTICE_DAYS)
    return "变更与终止", (f"停止兑付提前{days}日公告，未用余额免费退还",)


def _refund(sale: Sale) -> _Said:
    rules = sale.rules
    window = rules.int(names.CARD_RETURN_WINDOW_DAYS)
    unused = rules.int(names.CARD_RETURN_PAY_UNUSED_DAYS)
    other = rules.int(names.CARD_RETURN_PAY_OTHER_DAYS)
    price = Valuation(rules.text(names.CARD_RETURN_VALUATION_CONSUMER))
    counted = "原价" if price is Valuation.LIST_PRICE else "优惠价"
    seven = (f"付款后{window}日内可无理由退还本金",) if window else ()
    return "退款方式", (
        *seven,
        f"未使用的{unused}日内、其他{other}日内退至原付款账户",
        f"已消费部分按{counted}计算；原路不可退时退至同名银行账户",
    )


def _loss(sale: Sale) -> _Said:
    del sale
    return "挂失、补卡与转让", ("记名卡可挂失、补卡；转让自通知发卡方时生效",)


def _enquiry(sale: Sale) -> _Said:
    contact = sale.contact or sale.issuer
    return "查询", (f"余额和交易记录查询：{contact}",)


def _breach(sale: Sale) -> _Said:
    del sale
    return "违约责任", ("因发卡方原因不能兑付的，退还余额并按法律规定支付利息",)


def _disputes(sale: Sale) -> _Said:
    del sale
    return "争议解决", ("协商不成的，可向消费者协会投诉或向人民法院起诉",)


_ITEMS: dict[str, Callable[[Sale], _Said]] = {
    "parties": _parties,
    "payee_account_and_amount": _amount,
    "goods_and_charges": _goods,
    "term_and_premises": _term,
    "risk_notice": _risk,
    "bonus_rules": _bonus,
    "change_and_end": _change,
    "refund_method": _refund,
    "loss_replacement_transfer": _loss,
    "enquiry": _enquiry,
    "breach": _breach,
    "disputes": _disputes,
}
