"""The closed sets a rule's text is chosen from.

Code must know every one of them, so they live here and not in the packs; a
pack or a programme that says anything else is refused.
"""

from __future__ import annotations

from enum import StrEnum


class SpendOrder(StrEnum):
    """Which sub-account a payment draws on first."""

    BONUS_FIRST = "bonus_first"
    PRINCIPAL_FIRST = "principal_first"
    PRO_RATA = "pro_rata"


class RefundOrder(StrEnum):
    """Which sub-account a goods refund fills first."""

    REVERSE_OF_SPEND = "reverse_of_spend"
    PRINCIPAL_FIRST = "principal_first"
    PRO_RATA = "pro_rata"


class TenderOrder(StrEnum):
    """Which tender of a payment order a refund goes to first."""

    CARDS_FIRST = "cards_first"  # then the others, each kind in the order of the tenders
    FIRST_TENDER = "first_tender"
    LAST_TENDER = "last_tender"
    PRO_RATA = "pro_rata"


class LotOrder(StrEnum):
    """Which lot a spent fen is taken to have come from."""

    FIFO = "fifo"
    LIFO = "lifo"


class VoidWindow(StrEnum):
    """How long a payment can be voided; afterwards it is refunded."""

    SAME_BUSINESS_DAY = "same_business_day"
    SAME_SHIFT = "same_shift"


class OverLimit(StrEnum):
    """Where a goods refund goes that would lift a card over its limit."""

    SAME_KIND_CARD = "same_kind_card"  # of the same holder; when there is none: suspense
    SUSPENSE = "suspense"


class RiskAction(StrEnum):
    """What follows when a risk rule fires."""

    WATCH = "watch"
    REVIEW = "review"
    DECLINE = "decline"


class Valuation(StrEnum):
    """At which price the goods a card already paid for are counted on its return."""

    PAID_RATIO = "paid_ratio"  # discount price, or paid / (paid + bonus)
    LIST_PRICE = "list_price"


class Interest(StrEnum):
    """Which rate a returned prepayment bears."""

    NONE = "none"
    LPR_1Y = "lpr_1y"
    DEPOSIT_1Y = "deposit_1y"
    ACTUAL = "actual"  # what the custody account really earned


class ResaleOver(StrEnum):
    """What happens over the yearly number of cards got by resale."""

    STRONGER_IDENTITY = "stronger_identity"
    REVIEW = "review"


class Tls(StrEnum):
    """The oldest TLS version a door accepts."""

    V1_2 = "1.2"
    V1_3 = "1.3"


class Suite(StrEnum):
    """How fields are encrypted at rest."""

    SM4_GCM = "sm4"
    AES_256_GCM = "aes256"


class PayCodePrefix(StrEnum):
    """What a pay code of ours may begin with. Tills route by it: 10 to 15 are WeChat's,
    25 to 30 Alipay's, 62 is UnionPay's.
    """

    P80 = "80"
    P81 = "81"
    P82 = "82"
    P83 = "83"
    P84 = "84"
    P85 = "85"
    P86 = "86"
    P87 = "87"
    P88 = "88"
    P89 = "89"


class Switch(StrEnum):
    """What can be stopped at once. Redemption has a switch of its own, and no other touches it."""

    STOP_SALE = "stop_sale"  # no prepayment is taken: no new cards, no top-ups (CR-33)
    STOP_ISSUE = "stop_issue"
    STOP_TOPUP = "stop_topup"
    STOP_PAY = "stop_pay"
    STOP_TRANSFER = "stop_transfer"
    STOP_CASH_OUT = "stop_cash_out"
    STOP_BIND = "stop_bind"
    STOP_KEY_REDEMPTION = "stop_key_redemption"


class Scope(StrEnum):
    """How far a switch reaches."""

    GROUP = "group"
    COMPANY = "company"
    PROGRAMME = "programme"


class SwitchState(StrEnum):
    """How a switch stands."""

    STOPPED = "stopped"
    RUNNING = "running"


class SettledCash(StrEnum):
    """What becomes of cash that a store takes for an issuer's cards."""

    DEPOSITED = "deposited"  # brought to the issuer's bank account
    NETTED = "netted"  # kept by the store, and set against what it is owed


class FeeReturn(StrEnum):
    """What becomes of a store's fee when its payment is given back."""

    KEPT = "kept"
    RETURNED = "returned"  # the fee is always that of what is left of the payment
