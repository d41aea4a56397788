"""Every rule there is, by name: other slices refer to these, never to strings.

A name says what it limits and ends in its unit. What it is worth, since when
and by which article stands in the packs (`packs/*.toml`); a name that no pack
gives a value, and a value whose name is not here, both stop the process.

Thresholds called `…from_fen` or `…from_count` hold from that very value on;
those called `…max_…` still allow it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

from kabao.policy.choices import (
    FeeReturn,
    Interest,
    LotOrder,
    OverLimit,
    PayCodePrefix,
    RefundOrder,
    ResaleOver,
    RiskAction,
    SettledCash,
    SpendOrder,
    Suite,
    TenderOrder,
    Tls,
    Valuation,
    VoidWindow,
)

IntName = NewType("IntName", str)
RateName = NewType("RateName", str)
FlagName = NewType("FlagName", str)
TextName = NewType("TextName", str)
TextsName = NewType("TextsName", str)
RuleName = IntName | RateName | FlagName | TextName | TextsName


class Kind(StrEnum):
    """What a rule's value is in Python."""

    INT = "int"
    RATE = "rate"  # an int of basis points
    FLAG = "flag"  # bool
    TEXT = "text"
    TEXTS = "texts"  # tuple[str, ...]


KINDS: dict[str, Kind] = {}
"""Each name with the kind of its value."""

CHOICES: dict[str, type[StrEnum]] = {}
"""The closed set a text is chosen from, where there is one."""


def _register(name: str, kind: Kind) -> str:
    assert name not in KINDS, f"rule {name} is named twice"
    KINDS[name] = kind
    return name


def _int(name: str) -> IntName:
    return IntName(_register(name, Kind.INT))


def _rate(name: str) -> RateName:
    return RateName(_register(name, Kind.RATE))


def _flag(name: str) -> FlagName:
    return FlagName(_register(name, Kind.FLAG))


def _text(name: str, choices: type[StrEnum] | None = None) -> TextName:
    if choices is not None:
        CHOICES[name] = choices
    return TextName(_register(name, Kind.TEXT))


def _texts(name: str) -> TextsName:
    return TextsName(_register(name, Kind.TEXTS))


# card – what a card may hold, how long, what its number looks like
CARD_LIMIT_REGISTERED_FEN = _int("card.limit.registered_fen")
CARD_LIMIT_BEARER_FEN = _int("card.limit.bearer_fen")
CARD_LIMIT_EXEMPT_PURPOSES = _texts("card.limit.exempt_purposes")
CARD_VALIDITY_BEARER_MONTHS = _int("card.validity.bearer_months")
CARD_VALIDITY_REGISTERED_EXPIRES = _flag("card.validity.registered_expires")
CARD_VALIDITY_EXPIRED_REVIVES = _flag("card.validity.expired_revives")
CARD_VALIDITY_REMINDER_DAYS = _int("card.validity.reminder_days")
CARD_BONUS_MAY_LAPSE = _flag("card.bonus.may_lapse")
CARD_BONUS_VALIDITY_MONTHS = _int("card.bonus.validity_months")
CARD_FACE_ITEMS = _texts("card.face.items")
CARD_NUMBER_LENGTH_DIGITS = _int("card.number.length_digits")
CARD_NUMBER_DENSITY_PPM = _int("card.number.density_ppm")
CARD_NUMBER_RANGES_COUNT = _int("card.number.ranges_count")
CARD_VERIFICATION_DIGITS = _int("card.verification.digits")
CARD_KEY_ROTATION_MONTHS = _int("card.key.rotation_months")
CARD_ISSUE_BATCH_MAX_COUNT = _int("card.issue.batch_max_count")
CARD_TRANSFER_EFFECT_SECONDS = _int("card.transfer.effect_seconds")
CARD_SPEND_ORDER = _text("card.spend.order", SpendOrder)
CARD_LOT_ORDER = _text("card.lot.order", LotOrder)
CARD_DORMANT_MONTHS = _int("card.dormant_months")

# pin, proof – secrets and one-time codes
PIN_LENGTH_DIGITS = _int("pin.length_digits")
PIN_TRIES_COUNT = _int("pin.tries_count")
PIN_LOCK_MINUTES = _int("pin.lock_minutes")
PIN_WEAK = _texts("pin.weak")
PROOF_CODE_DIGITS = _int("proof.code_digits")
PROOF_TTL_SECONDS = _int("proof.ttl_seconds")
PROOF_TRIES_COUNT = _int("proof.tries_count")
PROOF_PAGE_TOKEN_SECONDS = _int("proof.page_token_seconds")
PROOF_RESEND_SECONDS = _int("proof.resend_seconds")
PROOF_SENDS_PER_HOUR_COUNT = _int("proof.sends_per_hour_count")

# receipt – slips, and what they are good for
RECEIPT_CODE_TRIES_COUNT = _int("receipt.code_tries_count")
RECEIPT_CODE_WINDOW_MINUTES = _int("receipt.code_window_minutes")
RECEIPT_RETURN_ALLOWED = _flag("receipt.return_allowed")
RECEIPT_RETURN_NEEDS_SUPERVISOR = _flag("receipt.return_needs_supervisor")

# terminal, cashier – tills and the people at them
TERMINAL_KEY_WITHIN_HOURS = _int("terminal.key.within_hours")
TILL_OVERRIDE_VERBS = _texts("till.override.verbs")
TILL_OVERRIDE_REFUND_FROM_FEN = _int("till.override.refund_from_fen")
TILL_OVERRIDE_VOID_AFTER_MINUTES = _int("till.override.void_after_minutes")
TILL_OVERRIDE_VALID_SECONDS = _int("till.override.valid_seconds")
TILL_OVERRIDE_PAID_OUT_FROM_FEN = _int("till.override.paid_out_from_fen")
TILL_OVERRIDE_DROP_FROM_FEN = _int("till.override.drop_from_fen")
TILL_COUNT_BLIND = _flag("till.count.blind")
TILL_COUNT_MAX_COUNT = _int("till.count.max_count")
TILL_DIFFERENCE_CASE_FROM_FEN = _int("till.difference.case_from_fen")
TILL_CASH_ROUNDING_FEN = _int("till.cash.rounding_fen")
KIOSK_SESSION_MINUTES = _int("kiosk.session_minutes")

# pos – the host that tills speak ISO 8583 with
POS_GUESS_MAX_COUNT = _int("pos.guess.max_count")
POS_GUESS_WINDOW_MINUTES = _int("pos.guess.window_minutes")
POS_ACTIVATE_MAX_COUNT = _int("pos.activate.max_count")
POS_TLS_WAIVED_MERCHANTS = _texts("pos.tls.waived_merchants")

# pay, hold, tender, pay_code – the till
PAY_SINGLE_MAX_FEN = _int("pay.single_max_fen")
PAY_DAY_MAX_COUNT = _int("pay.day_max_count")
PAY_DAY_MAX_FEN = _int("pay.day_max_fen")
PAY_PARTIAL_ALLOWED = _flag("pay.partial_allowed")
PAY_VOID_WINDOW = _text("pay.void_window", VoidWindow)
PAY_REVERSAL_WINDOW_HOURS = _int("pay.reversal_window_hours")
PAY_REFUND_WINDOW_DAYS = _int("pay.refund_window_days")
PAY_REFUND_ORDER = _text("pay.refund_order", RefundOrder)
PAY_REFUND_OVER_LIMIT = _text("pay.refund_over_limit", OverLimit)
PAY_REFUND_CASH_MAX_FEN = _int("pay.refund_cash_max_fen")
PAY_FINAL_WITHIN_MINUTES = _int("pay.final_within_minutes")
OFFLINE_ALLOWED = _flag("offline.allowed")
OFFLINE_CARD_MAX_FEN = _int("offline.card_max_fen")
OFFLINE_TERMINAL_MAX_FEN = _int("offline.terminal_max_fen")
OFFLINE_TERMINAL_MAX_COUNT = _int("offline.terminal_max_count")
OFFLINE_TERMS_HOURS = _int("offline.terms_hours")
OFFLINE_UPLOAD_HOURS = _int("offline.upload_hours")
HOLD_CART_MINUTES = _int("hold.cart_minutes")
HOLD_FREEZE_MINUTES = _int("hold.freeze_minutes")
HOLD_LONGEST_DAYS = _int("hold.longest_days")
TENDER_MAX_COUNT = _int("tender.max_count")
TENDER_REFUND_ORDER = _text("tender.refund_order", TenderOrder)
TENDER_SETTLE_DAYS = _int("tender.settle_days")
PAY_CODE_DIGITS = _int("pay_code.digits")
PAY_CODE_TTL_SECONDS = _int("pay_code.ttl_seconds")
PAY_CODE_SKEW_SECONDS = _int("pay_code.skew_seconds")
PAY_CODE_TIE_SECONDS = _int("pay_code.tie_seconds")
PAY_CODE_PREFIX = _text("pay_code.prefix", PayCodePrefix)
PAY_CODE_DEVICE_PREFIX = _text("pay_code.device_prefix", PayCodePrefix)
PAY_CODE_DEVICES_MAX_COUNT = _int("pay_code.devices_max_count")

# risk – what is watched
RISK_BURST_FROM_COUNT = _int("risk.burst.from_count")
RISK_BURST_MINUTES = _int("risk.burst.minutes")
RISK_BURST_ACTION = _text("risk.burst.action", RiskAction)
RISK_SUDDEN_FROM_FEN = _int("risk.sudden.from_fen")
RISK_SUDDEN_ACTION = _text("risk.sudden.action", RiskAction)
RISK_DRAIN_FROM_COUNT = _int("risk.drain.from_count")
RISK_DRAIN_MINUTES = _int("risk.drain.minutes")
RISK_DRAIN_LEFT_BP = _rate("risk.drain.left_bp")
RISK_LOAD_AND_SPEND_MINUTES = _int("risk.load_and_spend_minutes")
RISK_GUESS_TERMINAL_COUNT = _int("risk.guess.terminal_count")
RISK_GUESS_LEGACY_COUNT = _int("risk.guess.legacy_count")
RISK_GUESS_MINUTES = _int("risk.guess.minutes")
RISK_GUESS_LOCK_MINUTES = _int("risk.guess.lock_minutes")
RISK_GUESS_ALERT_SECONDS = _int("risk.guess.alert_seconds")
BREAKER_FROM_COUNT = _int("breaker.from_count")
BREAKER_FAILURE_BP = _rate("breaker.failure_bp")
BREAKER_WINDOW_MINUTES = _int("breaker.window_minutes")
BREAKER_OPEN_SECONDS = _int("breaker.open_seconds")
BREAKER_STREAK_COUNT = _int("breaker.streak_count")
BREAKER_PROBES_COUNT = _int("breaker.probes_count")

# loss – a card is reported lost
LOSS_EFFECT_SECONDS = _int("loss.effect_seconds")
LOSS_REPLACEMENT_PHYSICAL_HOURS = _int("loss.replacement.physical_hours")
LOSS_REPLACEMENT_COUNTER_HOURS = _int("loss.replacement.counter_hours")
LOSS_REPLACEMENT_ELECTRONIC_HOURS = _int("loss.replacement.electronic_hours")
LOSS_BEARER_FREEZE_HOURS = _int("loss.bearer_freeze_hours")

# topup, funding, channel – money in
TOPUP_SINGLE_MIN_FEN = _int("topup.single_min_fen")
TOPUP_SINGLE_MAX_FEN = _int("topup.single_max_fen")
TOPUP_CASH_MAX_FEN = _int("topup.cash_max_fen")
TOPUP_DAY_CARD_MAX_FEN = _int("topup.day_card_max_fen")
TOPUP_DAY_CARD_MAX_COUNT = _int("topup.day_card_max_count")
TOPUP_DAY_PAYER_MAX_FEN = _int("topup.day_payer_max_fen")
TOPUP_VOID_WINDOW = _text("topup.void_window", VoidWindow)
TOPUP_VOID_NEEDS_SUPERVISOR = _flag("topup.void_needs_supervisor")
TOPUP_VOID_UNSPENT_ONLY = _flag("topup.void_unspent_only")
TOPUP_LARGE_FROM_FEN = _int("topup.large_from_fen")
TOPUP_CREDIT_CARD_ALLOWED = _flag("topup.credit_card_allowed")
TOPUP_FOREIGN_SCHEME_ALLOWED = _flag("topup.foreign_scheme_allowed")
TOPUP_CROSS_BORDER_ALLOWED = _flag("topup.cross_border_allowed")
TOPUP_CROSS_BORDER_MAX_USD_CENTS = _int("topup.cross_border_max_usd_cents")
FUNDING_ORDER_MINUTES = _int("funding.order_minutes")
FUNDING_TRANSFER_DAYS = _int("funding.transfer_days")
FUNDING_ASK_FIRST_SECONDS = _int("funding.ask.first_seconds")
FUNDING_ASK_LONGEST_SECONDS = _int("funding.ask.longest_seconds")
FUNDING_ASK_GROWTH_COUNT = _int("funding.ask.growth_count")
FUNDING_ASK_MAX_COUNT = _int("funding.ask.max_count")
FUNDING_ASK_POLL_SECONDS = _int("funding.ask.poll_seconds")
FUNDING_ASK_LAST_LOOK_SECONDS = _int("funding.ask.last_look_seconds")
FUNDING_COUNTER_ASK_AFTER_SECONDS = _int("funding.counter.ask_after_seconds")
FUNDING_COUNTER_ASK_EVERY_SECONDS = _int("funding.counter.ask_every_seconds")
FUNDING_COUNTER_ASK_UNTIL_SECONDS = _int("funding.counter.ask_until_seconds")
FUNDING_COUNTER_NO_CANCEL_SECONDS = _int("funding.counter.no_cancel_seconds")
FUNDING_COUNTER_CANCEL_COUNT = _int("funding.counter.cancel_count")
FUNDING_BILL_READY_HOURS = _int("funding.bill_ready_hours")
FUNDING_NOTICE_AGE_SECONDS = _int("funding.notice_age_seconds")
FUNDING_NOTICE_FALSE_OF_PEER_COUNT = _int("funding.notice.false_of_peer_count")
FUNDING_NOTICE_FALSE_OF_CHANNEL_COUNT = _int("funding.notice.false_of_channel_count")
FUNDING_NONCE_KEPT_MINUTES = _int("funding.nonce_kept_minutes")
RECONCILIATION_GATE_BP = _rate("reconciliation.gate_bp")
RECONCILIATION_GATE_FROM_COUNT = _int("reconciliation.gate_from_count")
RECONCILIATION_FEE_TOLERANCE_FEN = _int("reconciliation.fee_tolerance_fen")
RECONCILIATION_CASES_MAX_COUNT = _int("reconciliation.cases_max_count")
RECONCILIATION_ASK_MAX_COUNT = _int("reconciliation.ask_max_count")
CHANNEL_BANK_DIRECT_FEE_MIN_BP = _rate("channel.bank_direct.fee_min_bp")
CHANNEL_BANK_DIRECT_FEE_MAX_BP = _rate("channel.bank_direct.fee_max_bp")
CHANNEL_BANK_DIRECT_CYCLE_DAYS = _int("channel.bank_direct.cycle_days")
CHANNEL_THIRD_PARTY_FEE_MIN_BP = _rate("channel.third_party.fee_min_bp")
CHANNEL_THIRD_PARTY_FEE_MAX_BP = _rate("channel.third_party.fee_max_bp")
CHANNEL_THIRD_PARTY_CYCLE_DAYS = _int("channel.third_party.cycle_days")
CHANNEL_FOREIGN_SCHEME_FEE_MIN_BP = _rate("channel.foreign_scheme.fee_min_bp")
CHANNEL_FOREIGN_SCHEME_FEE_MAX_BP = _rate("channel.foreign_scheme.fee_max_bp")
CHANNEL_FOREIGN_SCHEME_CYCLE_DAYS = _int("channel.foreign_scheme.cycle_days")
CHANNEL_SUCCESS_PRIOR_BP = _rate("channel.success.prior_bp")
CHANNEL_SUCCESS_PRIOR_COUNT = _int("channel.success.prior_count")
CHANNEL_SUCCESS_HALF_LIFE_MINUTES = _int("channel.success.half_life_minutes")
CHANNEL_SUCCESS_LOW_BP = _rate("channel.success.low_bp")
CHANNEL_SUCCESS_WELL_BP = _rate("channel.success.well_bp")
CHANNEL_LIMIT_LOWERED_BP = _rate("channel.limit.lowered_bp")
CHANNEL_FAILURE_COST_FEN = _int("channel.failure_cost_fen")

# purchase – what a sale or top-up asks of the buyer
PURCHASE_IDENTITY_REGISTERED_FROM_FEN = _int("purchase.identity.registered_from_fen")
PURCHASE_IDENTITY_BEARER_FROM_FEN = _int("purchase.identity.bearer_from_fen")
PURCHASE_TRANSFER_UNIT_FROM_FEN = _int("purchase.transfer.unit_from_fen")
PURCHASE_TRANSFER_PERSON_FROM_FEN = _int("purchase.transfer.person_from_fen")
PURCHASE_TRANSFER_REMOTE_ALWAYS = _flag("purchase.transfer.remote_always")
PURCHASE_TRANSFER_TRACEABLE_COUNTS = _flag("purchase.transfer.traceable_counts")
PURCHASE_SPLITTING_FROM_COUNT = _int("purchase.splitting.from_count")
PURCHASE_SPLITTING_NEAR_BP = _rate("purchase.splitting.near_bp")
PURCHASE_CHARTER_REQUIRED = _flag("purchase.charter_required")
PURCHASE_CONTRACT_REQUIRED = _flag("purchase.contract_required")
PURCHASE_RECEIPT_ITEMS = _texts("purchase.receipt_items")
ORDER_DISCOUNT_FROM_FEN = _int("order.discount.from_fen")
ORDER_DISCOUNT_BP = _rate("order.discount_bp")

# card_return – the holder wants the prepayment back; cash_out: small remainders
CARD_RETURN_WINDOW_DAYS = _int("card_return.window_days")
CARD_RETURN_PAY_UNUSED_DAYS = _int("card_return.pay_unused_days")
CARD_RETURN_PAY_OTHER_DAYS = _int("card_return.pay_other_days")
CARD_RETURN_FEE_BP = _rate("card_return.fee_bp")
CARD_RETURN_SAME_NAME_ACCOUNT = _flag("card_return.same_name_account")
CARD_RETURN_SOURCE_ORDER = _texts("card_return.source_order")
CARD_RETURN_VALUATION_ISSUER = _text("card_return.valuation.issuer", Valuation)
CARD_RETURN_VALUATION_CONSUMER = _text("card_return.valuation.consumer", Valuation)
CARD_RETURN_CONSUMER_OWES_MAX_FEN = _int("card_return.consumer_owes_max_fen")
CARD_RETURN_INTEREST_ISSUER = _text("card_return.interest.issuer", Interest)
CARD_RETURN_INTEREST_CONSUMER = _text("card_return.interest.consumer", Interest)
CARD_RETURN_INTEREST_CUSTODY = _text("card_return.interest.custody", Interest)
RATE_LPR_1Y_BP = _rate("rate.lpr_1y_bp")
RATE_DEPOSIT_1Y_BP = _rate("rate.deposit_1y_bp")
CASH_OUT_MAX_FEN = _int("cash_out.max_fen")
CASH_OUT_SWEEP_ALLOWED = _flag("cash_out.sweep_allowed")

# key – card keys
KEY_REDEEM_BY_MONTHS = _int("key.redeem_by_months")
KEY_FACE_MIN_FEN = _int("key.face_min_fen")
KEY_SECRET_BITS = _int("key.secret_bits")
KEY_BATCH_MAX_COUNT = _int("key.batch_max_count")
KEY_RESALE_PER_YEAR_COUNT = _int("key.resale_per_year_count")
KEY_RESALE_OVER = _text("key.resale_over", ResaleOver)
KEY_OFFICIAL_TRANSFER_COUNTS = _flag("key.official_transfer_counts")

# bind – plastic to electronic
BIND_FACTORS_COUNT = _int("bind.factors_count")
BIND_DAY_MAX_COUNT = _int("bind.day_max_count")
BIND_DAY_EXEMPTS_EMPLOYER = _flag("bind.day_exempts_employer")
BIND_TRIES_COUNT = _int("bind.tries_count")
BIND_LOCK_HOURS = _int("bind.lock_hours")
BIND_OCR_ERROR_BP = _rate("bind.ocr_error_bp")
BIND_BALANCE_REVIEW_FROM_FEN = _int("bind.balance_review_from_fen")
BIND_BALANCE_SUSPEND_BP = _rate("bind.balance_suspend_bp")
BIND_BALANCE_SYNC_SECONDS = _int("bind.balance_sync_seconds")
BIND_ISSUER_TIMEOUT_SECONDS = _int("bind.issuer_timeout_seconds")
BIND_ISSUER_RETRY_COUNT = _int("bind.issuer_retry_count")
BIND_EFFECT_APP_MINUTES = _int("bind.effect.app_minutes")
BIND_EFFECT_ALIPAY_MINUTES = _int("bind.effect.alipay_minutes")
BIND_EFFECT_WECHAT_MINUTES = _int("bind.effect.wechat_minutes")
BIND_FACE_ALONE_ALLOWED = _flag("bind.face_alone_allowed")
BIND_SECURE_SCREEN = _flag("bind.secure_screen")

# offline – bounded stand-in, off by default
OFFLINE_CODE_ALLOWED = _flag("offline.code.allowed")
OFFLINE_CODE_MAX_FEN = _int("offline.code.max_fen")
OFFLINE_CODE_MAX_COUNT = _int("offline.code.max_count")
OFFLINE_CODE_HOURS = _int("offline.code.hours")

# issuer, custody, report, closure – duties towards the authority
ISSUER_SCALE_REVENUE_FROM_FEN = _int("issuer.scale.revenue_from_fen")
ISSUER_SCALE_CAPITAL_FROM_FEN = _int("issuer.scale.capital_from_fen")
ISSUER_FILING_DAYS = _int("issuer.filing.days")
ISSUER_FILING_FROM_FEN = _int("issuer.filing.from_fen")
ISSUER_BALANCE_RETAIL_BP = _rate("issuer.balance.retail_bp")
ISSUER_BALANCE_SERVICES_BP = _rate("issuer.balance.services_bp")
ISSUER_BALANCE_GROUP_BP = _rate("issuer.balance.group_bp")
ISSUER_BALANCE_YOUNG_BP = _rate("issuer.balance.young_bp")
CUSTODY_SCALE_BP = _rate("custody.scale_bp")
CUSTODY_GROUP_BP = _rate("custody.group_bp")
CUSTODY_BRAND_BP = _rate("custody.brand_bp")
CUSTODY_OTHER_BP = _rate("custody.other_bp")
CUSTODY_LOCAL_FROM_FEN = _int("custody.local.from_fen")
CUSTODY_LOCAL_RATIO_BP = _rate("custody.local.ratio_bp")
CUSTODY_SPECIAL_REVENUE_BP = _rate("custody.special.revenue_bp")
CUSTODY_SPECIAL_LINE_MIN_FEN = _int("custody.special.line_min_fen")
CUSTODY_SPECIAL_LINE_MAX_FEN = _int("custody.special.line_max_fen")
CUSTODY_SPECIAL_RATIO_BP = _rate("custody.special.ratio_bp")
CUSTODY_SPECIAL_FOR_YOUNG = _flag("custody.special.for_young")
CUSTODY_SPECIAL_FOR_MALL = _flag("custody.special.for_mall")
CUSTODY_LIVE_BP = _rate("custody.live_bp")
CUSTODY_RELEASE_BLOCKED_BELOW = _flag("custody.release_blocked_below")
REPORT_QUARTER_WORKDAYS = _int("report.quarter_workdays")
REPORT_OUTFLOW_DAY_OF_MONTH = _int("report.outflow_day_of_month")
REPORT_YEAR_DAY_OF_JANUARY = _int("report.year_day_of_january")
REPORT_PLATFORM_REQUIRED = _flag("report.platform_required")
CLOSURE_NOTICE_DAYS = _int("closure.notice_days")
CLOSURE_TELLS_EACH_HOLDER = _flag("closure.tells_each_holder")
INCIDENT_REPORT_HOURS = _int("incident.report_hours")

# clearing – days, netting, reconciliation
BUSINESS_DAY_CUTOFF = _text("business_day.cutoff")
CLEARING_NETTING_AT = _text("clearing.netting_at")
CLEARING_DAY_CLOSES_AT = _text("clearing.day_closes_at")
SETTLEMENT_MERCHANT_DAYS = _int("settlement.merchant_days")
SETTLEMENT_SKIPS_HOLIDAYS = _flag("settlement.skips_holidays")
SETTLEMENT_MINIMUM_FEN = _int("settlement.minimum_fen")
SETTLEMENT_CASH = _text("settlement.cash", SettledCash)
SETTLEMENT_FEES_ON_REFUNDS = _text("settlement.fees_on_refunds", FeeReturn)
SETTLEMENT_CARRIES_NEGATIVE = _flag("settlement.carries_negative")
PAYOUT_ASK_SECONDS = _int("payout.ask_seconds")
PAYOUT_UNANSWERED_COUNT = _int("payout.unanswered_count")
PAYOUT_SEND_AGAIN_HOURS = _int("payout.send_again_hours")
PAYOUT_UNDER_WAY_HOURS = _int("payout.under_way_hours")
PAYOUT_RETURN_DAYS = _int("payout.return_days")
DEPOSIT_LATE_DAYS = _int("deposit.late_days")
RECONCILE_OWN_TOLERANCE_FEN = _int("reconcile.own_tolerance_fen")
RECONCILE_ERROR_ALERT_BP = _rate("reconcile.error_alert_bp")
DISPUTE_RETRIEVAL_DAYS = _int("dispute.retrieval_days")
DISPUTE_EVIDENCE_WORKDAYS = _int("dispute.evidence_workdays")
DISPUTE_DECISION_WORKDAYS = _int("dispute.decision_workdays")
CASE_RESPONSE_MINUTES = _int("case.response_minutes")
CASE_RESPONSE_PER_KIND = _texts("case.response_per_kind")

# invoice – tax
INVOICE_SALE_CODE = _text("invoice.sale.code")
INVOICE_SALE_RATE = _text("invoice.sale.rate")
INVOICE_SPECIAL_ALLOWED = _flag("invoice.special_allowed")
INVOICE_ON_REDEMPTION = _flag("invoice.on_redemption")
INVOICE_SETTLEMENT_NOTE = _text("invoice.settlement_note")

# retention, privacy
RETENTION_BUYER_YEARS = _int("retention.buyer_years")
RETENTION_TRADE_YEARS = _int("retention.trade_years")
RETENTION_INVOICE_YEARS = _int("retention.invoice_years")
RETENTION_ASSESSMENT_YEARS = _int("retention.assessment_years")
RETENTION_AUDIT_LOG_MONTHS = _int("retention.audit_log_months")
RETENTION_AUDIT_LOG_AT_HAND_MONTHS = _int("retention.audit_log_at_hand_months")
PRIVACY_FACES_FILING_FROM_COUNT = _int("privacy.faces_filing_from_count")
PRIVACY_BREACH_NOTICE_HOURS = _int("privacy.breach_notice_hours")

# access, approval, switch – people
ACCESS_PASSWORD_MIN_CHARS = _int("access.password_min_chars")
ACCESS_LOGIN_TRIES_COUNT = _int("access.login_tries_count")
ACCESS_LOGIN_LOCK_MINUTES = _int("access.login_lock_minutes")
ACCESS_SESSION_IDLE_MINUTES = _int("access.session_idle_minutes")
ACCESS_SESSION_LONGEST_HOURS = _int("access.session_longest_hours")
ACCESS_TOTP_REQUIRED = _flag("access.totp_required")
ACCESS_TOTP_DRIFT_COUNT = _int("access.totp_drift_count")
APPROVAL_ACTIONS = _texts("approval.actions")
APPROVAL_ISSUE_FROM_COUNT = _int("approval.issue_from_count")
APPROVAL_ADJUSTMENT_FROM_FEN = _int("approval.adjustment_from_fen")
APPROVAL_CASH_OUT_FROM_FEN = _int("approval.cash_out_from_fen")
APPROVAL_REFUND_FROM_FEN = _int("approval.refund_from_fen")
APPROVAL_DISPUTE_CREDIT_FROM_FEN = _int("approval.dispute_credit_from_fen")
APPROVAL_TOPUP_REFUND_FROM_FEN = _int("approval.topup_refund_from_fen")
APPROVAL_VALID_HOURS = _int("approval.valid_hours")
SWITCH_STOP_NEEDS_TWO = _flag("switch.stop_needs_two")
SWITCH_RELEASE_NEEDS_TWO = _flag("switch.release_needs_two")

# http, webhook, tls, vault – doors and keys
HTTP_IDEMPOTENCY_KEY_MAX_CHARS = _int("http.idempotency_key_max_chars")
HTTP_SECRET_REVEAL_HOURS = _int("http.secret_reveal_hours")
HTTP_PAGE_DEFAULT_COUNT = _int("http.page_default_count")
HTTP_PAGE_MAX_COUNT = _int("http.page_max_count")
HTTP_BODY_MAX_BYTES = _int("http.body_max_bytes")
WEBHOOK_ENDPOINTS_MAX_COUNT = _int("webhook.endpoints_max_count")
WEBHOOK_RETRY_FIRST_SECONDS = _int("webhook.retry.first_seconds")
WEBHOOK_RETRY_LONGEST_SECONDS = _int("webhook.retry.longest_seconds")
WEBHOOK_ATTEMPTS_MAX_COUNT = _int("webhook.attempts_max_count")
WEBHOOK_FAILING_HOURS = _int("webhook.failing_hours")
WEBHOOK_SECRET_OVERLAP_HOURS = _int("webhook.secret_overlap_hours")
WEBHOOK_TIMEOUT_SECONDS = _int("webhook.timeout_seconds")
WEBHOOK_WAITING_MAX_COUNT = _int("webhook.waiting_max_count")
WEBHOOK_KEPT_DAYS = _int("webhook.kept_days")
NOTICE_SMS_PER_DAY_COUNT = _int("notice.sms_per_day_count")
NOTICE_ATTEMPTS_MAX_COUNT = _int("notice.attempts_max_count")
NOTICE_OLDEST_HOURS = _int("notice.oldest_hours")
NOTICE_KEPT_DAYS = _int("notice.kept_days")
EVENT_REPLAY_DAYS = _int("event.replay_days")
WEBHOOK_TOLERANCE_MINUTES = _int("webhook.tolerance_minutes")
TLS_HTTP_MIN = _text("tls.http_min", Tls)
TLS_POS_MIN = _text("tls.pos_min", Tls)
VAULT_SUITE = _text("vault.suite", Suite)

# slo – lines that raise an alert, never a refusal
SLO_PAY_SUCCESS_BP = _rate("slo.pay_success_bp")
SLO_PAY_MEAN_MS = _int("slo.pay_mean_ms")
SLO_PAY_ELECTRONIC_MS = _int("slo.pay_electronic_ms")
SLO_PAY_PHYSICAL_MS = _int("slo.pay_physical_ms")
SLO_RESPONSE_MEAN_MS = _int("slo.response_mean_ms")
SLO_RESPONSE_PEAK_MS = _int("slo.response_peak_ms")
SLO_DATA_DELAY_MS = _int("slo.data_delay_ms")
SLO_TOPUP_SUCCESS_BP = _rate("slo.topup_success_bp")
SLO_CHANNEL_FAILURE_BP = _rate("slo.channel_failure_bp")
SLO_KEY_DELIVERY_SECONDS = _int("slo.key_delivery_seconds")
SLO_PAGE_LOAD_MS = _int("slo.page_load_ms")
