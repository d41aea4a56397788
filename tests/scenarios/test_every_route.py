"""Every route there is, asked by everybody who should not: a new one must be entered here.

The table says which verb a route asks for, and a request that is well-formed.
What it names is the group's; a key of a stranger, and one of another store,
must get the very answer they would get if it did not exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from kabao.access.model.verbs import VERBS
from kabao.app.composition import ROUTES as HANDLERS
from kabao.app.reference.api import document
from kabao.base.web.principal import Requires

from .http import Http, Reply, fresh_key, request
from .site import Site
from .world import Actors, everywhere, scoped_key

PUBLIC = ""
OWN = "sessions:own"
CLAIM = {"claim": {"type": "possession", "source": {"type": "barcode", "data": "x"}}}
TERMS = {
    "name_en": "Gift",
    "name_zh": "礼品卡",
    "carriers": ["electronic"],
    "prefixes": ["86000000"],
    "contact": "400 800 0000",
}
SPAN = {"batch": "{batch}", "first": 1, "last": 1}
WHY = {"reason": "because"}
GRANT = {"verbs": ["cards:read"], "company": "{company}"}
PAGE = {"amount": 1, "currency": "CNY", "order": "o", "session": "s"}
REFUSED = {
    (422, "beyond_own_scope"),
    (422, "card_not_accepted"),
    (422, "code_refused"),
    (422, "page_token_refused"),
}
"""Refusals that say neither what is there nor what is not."""


class Route(NamedTuple):
    """What a route asks for, and a request to it. `{name}` is the id of such a thing."""

    verb: str
    body: Any = None
    query: Mapping[str, str] = {}
    shared: bool = False
    """Shown to a store's key as well: it belongs to the company, and counters need it."""
    stranger: int | None = None
    """Status for a key of another group, where nothing of this group is named."""
    store: int | None = None
    """The same for a key of another store of the group."""


TABLE = {
    "GET /": Route(PUBLIC),
    "GET /healthz": Route(PUBLIC),
    "GET /readyz": Route(PUBLIC),
    "GET /metrics": Route(PUBLIC),
    "POST /v1/enrolments": Route(PUBLIC),
    "POST /v1/sessions": Route(PUBLIC),
    "POST /v1/notifications/{channel}": Route(PUBLIC),
    "GET /v1/roles": Route(OWN),
    "GET /v1/sessions/current": Route(OWN),
    "DELETE /v1/sessions/current": Route(OWN),
    "POST /v1/sessions/current/password": Route(OWN, {"old": "x", "new": "y" * 20}),
    # access
    "GET /v1/api-keys": Route("api-keys:read"),
    "POST /v1/api-keys": Route("api-keys:write", {"name": "x", "grant": GRANT} | WHY),
    "GET /v1/api-keys/{key}": Route("api-keys:read"),
    "POST /v1/api-keys/{key}/revoke": Route("api-keys:write", WHY),
    "GET /v1/approvals": Route("approvals:read"),
    "GET /v1/approvals/{approval}": Route("approvals:read"),
    "POST /v1/approvals/{approval}/approve": Route("approvals:decide", {}),
    "POST /v1/approvals/{approval}/refuse": Route("approvals:decide", WHY),
    "GET /v1/audit-log": Route("audit-log:read"),
    "GET /v1/operators": Route("operators:read"),
    "POST /v1/operators": Route("operators:write", {"login": "{fresh}", "grant": GRANT} | WHY),
    "GET /v1/operators/{operator}": Route("operators:read"),
    "POST /v1/operators/{operator}/change": Route("operators:write", {"grant": GRANT} | WHY),
    "POST /v1/operators/{operator}/reset": Route("operators:write", WHY),
    "POST /v1/operators/{operator}/suspend": Route("operators:write", WHY),
    "GET /v1/cases": Route("cases:read"),
    "GET /v1/cases/{case}": Route("cases:read"),
    "POST /v1/cases/{case}/take": Route("cases:write", {}),
    "POST /v1/cases/{case}/notes": Route("cases:write", {"text": "x"}),
    "POST /v1/cases/{case}/resolve": Route("cases:write", {"outcome": "x"}),
    # disputes
    "GET /v1/disputes": Route("disputes:read"),
    "POST /v1/disputes": Route(
        "disputes:write", {"payment": "{payment}", "reason": "not_recognised"}
    ),
    "GET /v1/disputes/{dispute}": Route("disputes:read"),
    "GET /v1/disputes/{dispute}/evidence": Route("disputes:read"),
    "POST /v1/disputes/{dispute}/ask-store": Route("disputes:write", {}),
    "POST /v1/disputes/{dispute}/answer": Route("disputes:write", {"accepts": True, "note": "x"}),
    "POST /v1/disputes/{dispute}/credit": Route("disputes:write", {}),
    "POST /v1/disputes/{dispute}/credit-requests": Route("disputes:write", WHY),
    "POST /v1/disputes/{dispute}/outcome-requests": Route(
        "disputes:write", {"outcome": "withdrawn"} | WHY
    ),
    # payment channels
    "GET /v1/channels": Route("channels:read"),
    "POST /v1/channels": Route(
        "channels:write",
        {
            "company": "{company}",
            "name": "{fresh}",
            "kind": "alipay",
            "account": {"app_id": "x"},
            "scenes": ["qr"],
        }
        | WHY,
    ),
    "POST /v1/channels/{channel}/account": Route(
        "channels:write", {"account": {"app_id": "x"}} | WHY
    ),
    "GET /v1/channels/{channel}": Route("channels:read"),
    "GET /v1/channels/{channel}/health": Route("channels:read"),
    "GET /v1/refused-choices": Route("channels:read"),
    "POST /v1/channels/{channel}/limits": Route(
        "channels:write", {"daily_max": 1, "reason": "festival"}
    ),
    "GET /v1/channels/{channel}/bills": Route("channels:read"),
    "POST /v1/channels/{channel}/pause": Route("channels:write", {}),
    "POST /v1/channels/{channel}/resume": Route("channels:write", {}),
    "GET /v1/settlement-accounts": Route("settlement-accounts:read"),
    "POST /v1/settlement-accounts": Route(
        "settlement-accounts:write",
        {"company": "{company}", "name": "x", "account": "6222020200012345678"}
        | {"bank": "102100099996"}
        | WHY,
    ),
    "GET /v1/settlement-accounts/{settlement_account}": Route("settlement-accounts:read"),
    "GET /v1/deposits": Route("deposits:read"),
    "POST /v1/deposits": Route("deposits:write", {"store": "{store}", "amount": 1}),
    "GET /v1/deposits/{deposit}": Route("deposits:read"),
    "POST /v1/deposits/{deposit}/differences": Route("deposits:settle", WHY),
    "GET /v1/settlements/{settlement}/statement": Route("settlements:read"),
    "POST /v1/payout-releases": Route("settlements:write", {"company": "{company}"} | WHY),
    "GET /v1/payouts": Route("settlements:read"),
    "GET /v1/payouts/{payout}": Route("settlements:read"),
    "GET /v1/payout-batches": Route("settlements:read"),
    "GET /v1/payout-batches/{payout_batch}": Route("settlements:read"),
    "GET /v1/collections": Route("collections:read"),
    "GET /v1/collections/{collection}": Route("collections:read"),
    "POST /v1/collections/{collection}/refunds/{funding_refund}/retry": Route(
        "collections:write", {}
    ),
    "POST /v1/collections/{collection}/recalls": Route(
        "collections:write", {"reference": "x"} | WHY
    ),
    "GET /v1/events": Route("events:read", query={"card": "{card}"}),
    "GET /v1/notices": Route("notice-templates:read", query={"card": "{card}"}),
    "POST /v1/notice-followers": Route(
        "notice-templates:write", {"customer": "{customer}", "openid": "x"}
    ),
    "DELETE /v1/notice-followers/{customer}": Route("notice-templates:write"),
    "GET /v1/notice-templates": Route("notice-templates:read"),
    "POST /v1/notice-templates": Route(
        "notice-templates:write",
        {"programme": "{programme}", "event_type": "topup.voided", "text_zh": "【卡包】已撤销"},
    ),
    "POST /v1/notice-templates/{template}/retire": Route("notice-templates:write", {}),
    "GET /v1/webhook-deliveries": Route("webhook-endpoints:read", query={"endpoint": "{endpoint}"}),
    "GET /v1/webhook-deliveries/{delivery}": Route("webhook-endpoints:read"),
    "POST /v1/webhook-deliveries/{delivery}/replay": Route("webhook-endpoints:write", {}),
    "GET /v1/webhook-endpoints": Route("webhook-endpoints:read"),
    "POST /v1/webhook-endpoints": Route(
        "webhook-endpoints:write", {"url": "https://receiver.invalid/"}, stranger=201, store=201
    ),
    "GET /v1/webhook-endpoints/{endpoint}": Route("webhook-endpoints:read"),
    "DELETE /v1/webhook-endpoints/{endpoint}": Route("webhook-endpoints:write"),
    "POST /v1/webhook-endpoints/{endpoint}/caught-up": Route("webhook-endpoints:write", {}),
    "POST /v1/webhook-endpoints/{endpoint}/change": Route(
        "webhook-endpoints:write", {"url": "https://receiver.invalid/"}
    ),
    "POST /v1/webhook-endpoints/{endpoint}/pause": Route("webhook-endpoints:write", {}),
    "POST /v1/webhook-endpoints/{endpoint}/resume": Route("webhook-endpoints:write", {}),
    "POST /v1/webhook-endpoints/{endpoint}/rotate-secret": Route("webhook-endpoints:write", {}),
    "POST /v1/webhook-endpoints/{endpoint}/test": Route("webhook-endpoints:write", {}),
    # payments and top-ups
    "POST /v1/adjustments": Route(
        "adjustments:write", {"card": "{card}", "amount": 1, "currency": "CNY"} | WHY
    ),
    "POST /v1/balance-inquiries": Route(
        "balance-inquiries:write", {"source": {"type": "card", "id": "{card}"}}
    ),
    "POST /v1/offline-sales": Route(
        "payments:write",
        {
            "store": "{store}",
            "terminal": "{terminal}",
            "sales": [
                {
                    "sequence": 1,
                    "amount": 1,
                    "currency": "CNY",
                    "source": {"type": "barcode", "data": "x"},
                    "occurred_at": "2026-01-01T00:00:00+08:00",
                    "grant": "x",
                }
            ],
        },
    ),
    "GET /v1/offline-terms": Route(
        "payments:write", query={"store": "{store}", "terminal": "{terminal}"}
    ),
    "GET /v1/reports/offline-sales": Route(
        "reports:read", query={"first": "2026-01-01", "last": "2026-01-02"}
    ),
    "GET /v1/payments": Route("payments:read"),
    "POST /v1/payments": Route(
        "payments:write",
        {
            "amount": 1,
            "currency": "CNY",
            "source": {"type": "card", "id": "{card}"},
            "store": "{store}",
        },
    ),
    "GET /v1/payments/{payment}": Route("payments:read"),
    "POST /v1/payments/{payment}/capture": Route("payments:write", {}),
    "GET /v1/payments/{payment}/refunds": Route("payments:read"),
    "POST /v1/payments/{payment}/refunds": Route("payments:refund", {"amount": 1}),
    "POST /v1/payments/{payment}/refund-requests": Route("payments:refund", WHY),
    "POST /v1/payments/{payment}/void": Route("payments:write", {}),
    "POST /v1/reversals": Route("reversals:write", {"original": {"payment": "{payment}"}}),
    "GET /v1/payment-orders": Route("payments:read"),
    "POST /v1/payment-orders": Route(
        "payments:write", {"amount": 1, "currency": "CNY", "store": "{store}"}
    ),
    "GET /v1/payment-orders/{payment_order}": Route("payments:read"),
    "POST /v1/payment-orders/{payment_order}/cancel": Route("payments:write", {}),
    "POST /v1/payment-orders/{payment_order}/capture": Route("payments:write", {}),
    "POST /v1/payment-orders/{payment_order}/freeze": Route("payments:write", WHY),
    "GET /v1/payment-orders/{payment_order}/refunds": Route("payments:read"),
    "POST /v1/payment-orders/{payment_order}/refunds": Route("payments:refund", {}),
    "POST /v1/payment-orders/{payment_order}/refund-requests": Route("payments:refund", WHY),
    "POST /v1/payment-orders/{payment_order}/release": Route("payments:write", {}),
    "POST /v1/payment-orders/{payment_order}/tenders": Route("payments:write", {"type": "cash"}),
    "POST /v1/payment-orders/{payment_order}/unfreeze": Route("payments:write", {}),
    "POST /v1/pay-codes": Route("pay-codes:write", {"card": "{card}"}),
    "GET /v1/pay-codes/devices": Route("pay-codes:write", query={"card": "{card}"}),
    "POST /v1/pay-codes/devices": Route("pay-codes:write", {"card": "{card}", "name": "x"}),
    "POST /v1/pay-codes/devices/{device}/revoke": Route("pay-codes:write", {}),
    "GET /v1/pay-codes/static": Route("pay-codes:write", query={"code": "{store_code}"}),
    "POST /v1/pay-codes/static": Route("pay-codes:write", {"store": "{store}"}),
    "POST /v1/pay-codes/static/payments": Route(
        "payments:write",
        {
            "code": "{store_code}",
            "amount": 1,
            "currency": "CNY",
            "source": {"type": "card", "id": "{card}"},
        },
    ),
    "GET /v1/receipt-heads": Route("receipts:read"),
    "GET /v1/receipts": Route("receipts:read", query={"topup": "{topup}"}),
    "GET /v1/receipts/{receipt}": Route("receipts:read"),
    "POST /v1/receipts/{receipt}/prints": Route("receipts:print", {}),
    "POST /v1/receipts/{receipt}/returns": Route("payments:refund", {"code": "00000000"}),
    "GET /v1/slips/unknown-outcome": Route(
        "receipts:print", query={"store": "{store}", "amount": "1"}
    ),
    "POST /v1/page-tokens": Route("page-tokens:write", PAGE, stranger=201, store=201),
    "POST /v1/page-tokens/spend": Route("page-tokens:write", PAGE | {"token": "x"}),
    "POST /v1/suspense-releases": Route(
        "suspense-releases:write",
        {"card": "{card}", "operation": "op_" + "1" * 32, "to": "card"} | WHY,
    ),
    "POST /v1/bonus-rules": Route(
        "bonus-rules:write",
        {
            "programme": "{programme}",
            "name": "b",
            "from_amount": 1000,
            "give": 10,
            "starts_on": "2026-01-01",
            "ends_on": "2026-01-31",
            "budget": 1000,
        }
        | WHY,
    ),
    "GET /v1/bonus-rules": Route("bonus-rules:read", query={"programme": "{programme}"}),
    "GET /v1/bonus-rules/{bonus_rule}": Route("bonus-rules:read"),
    "POST /v1/bonus-rules/{bonus_rule}/end": Route("bonus-rules:write", {}),
    "GET /v1/topups": Route("topups:read"),
    "POST /v1/topups": Route(
        "topups:write",
        {
            "card": "{card}",
            "amount": 1,
            "currency": "CNY",
            "channel": "cash",
            "store": "{store}",
        },
    ),
    "GET /v1/topups/{topup}": Route("topups:read"),
    "POST /v1/topups/{topup}/cancel": Route("topups:write", {}),
    "POST /v1/topups/{topup}/refunds": Route("topups:refund", WHY),
    "POST /v1/topups/{topup}/refund-requests": Route("topups:refund", WHY),
    "GET /v1/topups/{topup}/refunds": Route("topups:read"),
    "GET /v1/topups/{topup}/receipt": Route("topups:read"),
    "GET /v1/topups/{topup}/recalls": Route("topups:read"),
    "POST /v1/recalls/{recall}/settlements": Route("topups:settle", {"won": True} | WHY),
    "POST /v1/topups/{topup}/void": Route("topups:void", {}),
    # cards
    "GET /v1/cards": Route("cards:read"),
    "POST /v1/cards": Route("cards:write", {"programme": "{programme}", "carrier": "electronic"}),
    "GET /v1/cards/{card}": Route("cards:read"),
    "POST /v1/cards/{card}/activate": Route("cards:activate", {"store": "{store}"}),
    "GET /v1/cards/{card}/activities": Route("cards:read"),
    "POST /v1/cards/{card}/cash-out": Route(
        "cards:write", {"store": "{store}", "payee": "{customer}"} | CLAIM
    ),
    "GET /v1/cards/{card}/changes": Route("cards:read"),
    "POST /v1/cards/{card}/close": Route("cards:write", {"store": "{store}"}),
    "POST /v1/cards/{card}/exchange": Route("cards:write", {"store": "{store}"} | CLAIM),
    "POST /v1/cards/{card}/freeze": Route("cards:block", {"store": "{store}", "reason": "risk"}),
    "POST /v1/cards/{card}/merge": Route(
        "cards:write", {"store": "{store}", "into": "{other_card}"} | CLAIM
    ),
    "POST /v1/cards/{card}/pin": Route("cards:write", {"old_pin": "000001", "new_pin": "918273"}),
    "POST /v1/cards/{card}/pin-reset": Route("cards:write", {"store": "{store}"} | CLAIM),
    "POST /v1/cards/{card}/pin-reset/requests": Route("cards:write", WHY),
    "POST /v1/cards/{card}/replace": Route(
        "cards:write", {"store": "{store}", "carrier": "electronic"} | CLAIM
    ),
    "POST /v1/cards/{card}/report-loss": Route("cards:block", {"store": "{store}"} | CLAIM),
    "POST /v1/cards/{card}/transfer": Route(
        "cards:write", {"store": "{store}", "to": "{customer}"} | CLAIM
    ),
    "POST /v1/cards/{card}/unfreeze": Route(
        "cards:unblock", {"store": "{store}", "reason": "risk_cleared"}
    ),
    "POST /v1/cards/{card}/withdraw-loss": Route("cards:unblock", {"store": "{store}"} | CLAIM),
    "POST /v1/card-batches": Route(
        "cards:write", {"programme": "{programme}", "carrier": "electronic", "count": 2} | WHY
    ),
    "GET /v1/card-batches/{batch}": Route("cards:read"),
    "GET /v1/card-stock": Route("card-stock:read"),
    "POST /v1/card-stock": Route(
        "card-stock:write", {"batch": "{batch}", "location": "{location}"}
    ),
    "GET /v1/card-stock/counts": Route("card-stock:read", query={"location": "{location}"}),
    "POST /v1/card-stock/counts": Route(
        "card-stock:write", {"location": "{location}", "counted": 0}
    ),
    "POST /v1/card-stock/found": Route("card-stock:write", SPAN),
    "GET /v1/card-stock/hand-overs": Route("card-stock:read"),
    "POST /v1/card-stock/hand-overs": Route("card-stock:write", SPAN | {"to": "{location}"}),
    "GET /v1/card-stock/hand-overs/{hand_over}": Route("card-stock:read"),
    "POST /v1/card-stock/hand-overs/{hand_over}/cancel": Route("card-stock:write", {}),
    "POST /v1/card-stock/hand-overs/{hand_over}/receive": Route("card-stock:write", {"counted": 0}),
    "GET /v1/card-stock/locations": Route("card-stock:read"),
    "POST /v1/card-stock/locations": Route(
        "card-stock:write",
        {"kind": "headquarters", "name": "{fresh}", "company": "{company}"},
    ),
    "POST /v1/card-stock/lost": Route("card-stock:write", SPAN),
    "GET /v1/programmes": Route("programmes:read", shared=True),
    "POST /v1/programmes": Route(
        "programmes:write", {"class": "bearer", "issuer": "{company}", "terms": TERMS}
    ),
    "GET /v1/programmes/{programme}": Route("programmes:read", shared=True),
    "PATCH /v1/programmes/{programme}": Route("programmes:write", {"version": 1}),
    "POST /v1/programmes/{programme}/changes": Route("programmes:write", {"version": 1} | WHY),
    # people
    "POST /v1/codes/{code}/check": Route("codes:write", {"code": "000000"}),
    "POST /v1/customers": Route(
        "customers:write", {"party": "person", "name": "x", "company": "{company}"}, shared=True
    ),
    "POST /v1/customers/find": Route(
        "customers:find", {"phone": "13900000000"}, shared=True, stranger=200
    ),
    "GET /v1/customers/{customer}": Route("customers:read", shared=True),
    "PATCH /v1/customers/{customer}": Route("customers:write", {}, shared=True),
    "GET /v1/customers/{customer}/consents": Route("customers:read", shared=True),
    "POST /v1/customers/{customer}/consents": Route(
        "customers:write",
        {"kind": "charter", "version": "1", "document_hash": "0" * 64},
        shared=True,
    ),
    "POST /v1/customers/{customer}/consents/{consent}/withdraw": Route(
        "customers:write", {}, shared=True
    ),
    "GET /v1/customers/{customer}/verifications": Route("customers:read", shared=True),
    "POST /v1/customers/{customer}/verifications": Route(
        "customers:verify", {"method": "document_at_counter"}, shared=True
    ),
    # places
    "GET /v1/brand-links": Route("org:read", stranger=403, store=403),
    "POST /v1/brand-links": Route(
        "org:write", {"issuer": "{company}", "member": "{company}", "from_date": "2030-01-01"}
    ),
    "POST /v1/brand-links/{link}/end": Route("org:write", {"until_date": "2030-01-01"}),
    "GET /v1/companies": Route("org:read", shared=True),
    "POST /v1/companies": Route("org:write", {"name": "Mine"}, stranger=403, store=403),
    "GET /v1/companies/{company}": Route("org:read", shared=True),
    "PATCH /v1/companies/{company}": Route("org:write", {}),
    "POST /v1/companies/{company}/close": Route("org:write", {}),
    "POST /v1/companies/{company}/reopen": Route("org:write", {}),
    "GET /v1/stores": Route("org:read"),
    "POST /v1/stores": Route("org:write", {"company": "{company}", "name": "x", "code": "{fresh}"}),
    "GET /v1/stores/{store}": Route("org:read"),
    "PATCH /v1/stores/{store}": Route("org:write", {}),
    "POST /v1/stores/{store}/close": Route("org:write", {}),
    "POST /v1/stores/{store}/reopen": Route("org:write", {}),
    "GET /v1/cashiers": Route("merchants:read"),
    "POST /v1/cashiers": Route(
        "merchants:write", {"store": "{store}", "code": "{fresh}", "name": "x"}
    ),
    "GET /v1/cashiers/{cashier}": Route("merchants:read"),
    "PATCH /v1/cashiers/{cashier}": Route("merchants:write", {"role": "supervisor"}),
    "POST /v1/cashiers/{cashier}/dismiss": Route("merchants:write", {}),
    "POST /v1/cashiers/{cashier}/link": Route("merchants:write", {"customer": "{customer}"}),
    "POST /v1/cashiers/{cashier}/pin": Route("merchants:write", {}),
    "GET /v1/own-card-flags": Route("reports:read"),
    "POST /v1/overrides": Route(
        "overrides:write",
        {
            "verb": "refund",
            "store": "{store}",
            "cashier": "{cashier}",
            "subject": "{payment}",
            "supervisor": "{cashier}",
            "pin": "000000",
        },
    ),
    "GET /v1/fee-plans": Route("merchants:read", shared=True),
    "POST /v1/fee-plans": Route("merchants:write", {"company": "{company}", "name": "x"}),
    "GET /v1/fee-plans/{fee_plan}": Route("merchants:read", shared=True),
    "GET /v1/fee-terms": Route("merchants:read", query={"store": "{store}"}),
    "POST /v1/fee-terms": Route(
        "merchants:write",
        {"store": "{store}", "fee_plan": "{fee_plan}", "effective_from": "2030-01-01"},
    ),
    "GET /v1/shifts": Route("merchants:read"),
    "POST /v1/shifts": Route("shifts:write", {"cashier": "{cashier}", "terminal": "{terminal}"}),
    "GET /v1/shifts/{shift}": Route("merchants:read"),
    "GET /v1/shifts/{shift}/totals": Route("merchants:read"),
    "POST /v1/shifts/{shift}/close": Route("shifts:write", {}),
    "GET /v1/shifts/{shift}/cash": Route("merchants:read"),
    "POST /v1/shifts/{shift}/cash": Route(
        "shifts:write", {"type": "drop", "amount": 1, "reason": "safe"}
    ),
    "POST /v1/shifts/{shift}/counts": Route("shifts:write", {"pieces": []}),
    "POST /v1/kiosk-sessions": Route(
        "kiosks:write",
        {"terminal": "{terminal}", "source": {"type": "barcode", "data": "988" + "0" * 22}},
    ),
    "POST /v1/kiosk-events": Route(
        "kiosks:write",
        {
            "terminal": "{terminal}",
            "events": [{"sequence": 1, "type": "jam", "occurred_at": "2026-11-22T10:00:00+08:00"}],
        },
    ),
    "GET /v1/kiosk-sessions": Route("kiosks:read"),
    "GET /v1/kiosk-sessions/{session}": Route("kiosks:read"),
    "POST /v1/kiosk-sessions/{session}/finish": Route("kiosks:write", {"amount": 1}),
    "POST /v1/kiosk-sessions/{session}/credit": Route("kiosks:credit", WHY),
    "POST /v1/kiosk-sessions/{session}/credit/requests": Route(
        "kiosks:credit", WHY | {"amount": 1, "card": "{card}"}
    ),
    "POST /v1/kiosk-sessions/{session}/payout": Route(
        "kiosks:payout", WHY | {"amount": 1, "shift": "{shift}"}
    ),
    "POST /v1/kiosk-sessions/{session}/payout/requests": Route(
        "kiosks:payout", WHY | {"amount": 1, "payee": "{customer}"}
    ),
    "GET /v1/kiosks/{terminal}": Route("kiosks:read"),
    "GET /v1/kiosk-boxes": Route("kiosks:read"),
    "POST /v1/kiosk-boxes/{box}/count": Route("kiosks:credit", {"pieces": []}),
    "GET /v1/terminals": Route("merchants:read"),
    "POST /v1/terminals": Route("merchants:write", {"store": "{store}", "model": "X1"}),
    "GET /v1/terminals/{terminal}": Route("merchants:read"),
    "POST /v1/terminals/{terminal}/block": Route("merchants:write", {}),
    "POST /v1/terminals/{terminal}/retire": Route("merchants:write", {}),
    "POST /v1/terminals/{terminal}/unblock": Route("merchants:write", {}),
    "GET /v1/terminals/{terminal}/keys": Route("merchants:read"),
    "POST /v1/terminals/{terminal}/keys": Route("terminal-keys:write", {"component": "0" * 32}),
    "POST /v1/terminals/{terminal}/keys/{key}/complete": Route(
        "terminal-keys:write", {"component": "0" * 32}
    ),
    "POST /v1/terminals/{terminal}/swap-codes": Route("merchants:write", {}),
    "POST /v1/terminals/{terminal}/take-over": Route(
        "shifts:write", {"terminal": "{terminal}", "code_id": "{code}", "code": "0000"}
    ),
    "POST /v1/terminals/{terminal}/certification": Route("merchants:write", WHY),
    "GET /v1/reconciliations": Route("reconciliations:read"),
    "POST /v1/reconciliations": Route(
        "reconciliations:write", {"channel": "{channel}", "day": "2026-11-20"}
    ),
    "GET /v1/reconciliations/{run}": Route("reconciliations:read"),
    "GET /v1/reconciliations/{run}/breaks": Route("reconciliations:read"),
    "POST /v1/reconciliations/{run}/settlement": Route(
        "reconciliations:write", WHY | {"received": 1}
    ),
    "GET /v1/reconciliation-breaks": Route("reconciliations:read"),
    "GET /v1/reconciliation-breaks/{difference}": Route("reconciliations:read"),
    "POST /v1/reconciliation-breaks/{difference}/corrections": Route(
        "reconciliations:write", WHY | {"correction": "accept"}
    ),
    "GET /v1/pos-batches": Route("settlements:read"),
    "GET /v1/pos-batches/{pos_batch}": Route("settlements:read"),
    "GET /v1/pos-differences": Route("settlements:read"),
    "POST /v1/pos-differences/{pos_difference}/resolutions": Route("reconciliations:write", WHY),
    # the books and the rules
    "GET /v1/reports/days/{day}": Route("reports:read", query={"company": "{company}"}),
    "GET /v1/reports/days/{day}/journal": Route("reports:read", query={"company": "{company}"}),
    "GET /v1/reports/days/{day}/stores/{store}": Route("reports:read"),
    "GET /v1/ledger/accounts": Route("ledger:read", query={"card": "{card}"}),
    "GET /v1/ledger/days": Route("ledger:read"),
    "POST /v1/ledger/days/close": Route(
        "settlements:write", {"day": "2020-01-01"}, stranger=403, store=403
    ),
    # clearing
    "GET /v1/settlements": Route("settlements:read"),
    "GET /v1/settlements/{settlement}": Route("settlements:read"),
    "GET /v1/settlements/{settlement}/transfers": Route("settlements:read"),
    "GET /v1/netting-windows": Route("settlements:read"),
    "GET /v1/netting-windows/{window}": Route("settlements:read"),
    "GET /v1/netting-windows/{window}/graph": Route("settlements:read"),
    "GET /v1/clearing-days": Route("settlements:read"),
    "GET /v1/clearing-days/{day}": Route("settlements:read"),
    "POST /v1/clearing-days/{day}/close": Route("settlements:write", {}, stranger=403, store=403),
    "POST /v1/clearing-days/{day}/adjustments": Route(
        "settlements:write", {"issuer": "{company}", "store": "{store}", "amount": 1} | WHY
    ),
    "GET /v1/settlement-rules": Route("settlements:read"),
    "POST /v1/settlement-rules": Route(
        "settlements:write",
        {"company": "{company}", "effective_from": "2099-01-01", "workdays": 1, "minimum": 0}
        | {"cash": "netted", "fees_on_refunds": "kept", "carry_negative": True}
        | WHY,
    ),
    "GET /v1/workdays": Route("settlements:read", query={"year": "2026"}),
    "POST /v1/workdays": Route(
        "settlements:write", {"years": [2099]} | WHY, stranger=403, store=403
    ),
    "GET /v1/ledger/house-transfers": Route(
        "ledger:read",
        query={"owner": "{store}", "account": "redeemed", "day": "2026-11-22"},
    ),
    "GET /v1/ledger/lots": Route("ledger:read", query={"card": "{card}"}),
    "GET /v1/ledger/transfers": Route("ledger:read", query={"card": "{card}"}),
    "GET /v1/policy": Route("policy:read", query={"programme": "{programme}"}, shared=True),
    "GET /v1/switches": Route("switches:read"),
    "POST /v1/switches": Route(
        "switches:write", {"switch": "stop_pay", "company": "{company}"} | WHY
    ),
    "GET /v1/switches/changes": Route("switches:read"),
    "POST /v1/switches/release": Route(
        "switches:write", {"switch": "stop_pay", "company": "{company}"} | WHY
    ),
}

GUARDED = {name: route for name, route in TABLE.items() if route.verb}
OF_THE_GROUP = {name: route for name, route in GUARDED.items() if route.verb != OWN}


def documented() -> Iterator[tuple[str, Any]]:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "post", "patch", "put", "delete"}:
                yield f"{method.upper()} {path}", operation


def test_every_route_is_in_the_table() -> None:
    assert sorted(TABLE) == sorted(name for name, _ in documented())


def test_what_needs_no_key_is_in_the_table() -> None:
    assert {name for name, o in documented() if not o.get("security")} == TABLE.keys() - GUARDED


def test_every_cold_route_asks_for_the_verb_of_the_table() -> None:
    for handler in HANDLERS:
        asked = [guard.verb for guard in handler.guards or () if isinstance(guard, Requires)]
        for path in handler.paths:
            for method in handler.http_methods - {"OPTIONS", "HEAD"}:
                name = f"{method} {re.sub(r':(str|date)', '', path)}"
                assert asked == ([TABLE[name].verb] if TABLE[name].verb else []), name


# Who asks


class Cast(NamedTuple):
    """The group's things, and everybody who should not get at them."""

    http: Http
    things: Mapping[str, str]
    stranger: str
    """May do everything, in another group."""
    store: str
    """May do everything, in another store of the group."""
    idle: str
    """May do nothing."""
    dead: Mapping[str, str | None]
    """No key, nobody's, a revoked one, one whose time is over."""


NOBODY = {
    name: f"{prefix}_{'0' * 32}"
    for name, prefix in {
        "approval": "apr", "batch": "bat", "card": "card", "cashier": "csh", "code": "cod",
        "funding_refund": "frf", "settlement_account": "sac", "settlement": "set",
        "window": "win",
        "run": "rec", "difference": "brk",
        "payout": "pyo", "payout_batch": "pyb", "deposit": "dep",
        "case": "case", "channel": "chn", "collection": "col", "box": "kbx", "session": "kss",
        "template": "ntp", "company": "com", "delivery": "whd", "endpoint": "whe",
        "consent": "cns", "customer": "cus", "device": "dev", "fee_plan":
        "fee", "hand_over": "hov", "key": "key", "receipt": "top", "link": "bln",
        "location": "loc", "operator": "opr", "other_card": "card", "payment": "pay",
        "payment_order": "pmo", "pos_batch": "ter", "pos_difference": "ter",
        "programme": "prg", "shift": "shf", "store": "sto", "terminal": "ter", "topup": "top",
        "bonus_rule": "bon", "recall": "trc", "dispute": "dsp",
    }.items()
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cast(site: Site) -> AsyncIterator[Cast]:
    http = site.http()
    actors = Actors(http, site.world)
    world, founded = site.world, site.world.founded
    everything = sorted(VERBS)
    far = {"company": founded.stranger, "verbs": everything}
    near = {"company": founded.group, "verbs": everything, "stores": [world.south.id]}
    nobody_asks_for = VERBS.keys() - {route.verb for route in TABLE.values()}
    idle = await scoped_key(http, world, verbs=[min(nobody_asks_for)])
    yield Cast(
        http,
        await _things(actors),
        await scoped_key(http, world, **far),
        await scoped_key(http, world, **near),
        idle,
        await _dead(actors),
    )
    await http.close()


async def _dead(actors: Actors) -> dict[str, str | None]:
    admin = actors.admin
    grant = {"verbs": ["api-keys:read"]}
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()  # noqa: TID251 -- outside
    body = {"name": "short", "grant": grant} | WHY
    over = (await admin.made("/v1/api-keys", body | {"expires_at": soon}))["token"]
    revoked = await admin.made("/v1/api-keys", body)
    await admin.made(f"/v1/api-keys/{revoked['key']['id']}/revoke", {})
    for token in (over, revoked["token"]):
        keyed = actors.http.at(token)
        await everywhere(partial(keyed.get, "/v1/roles"), lambda reply: reply.status == 401)
    return {"none": None, "nobody's": "kb_live_nobody", "revoked": revoked["token"], "over": over}


async def _things(actors: Actors) -> dict[str, str]:
    """One of everything, at the store `north`."""
    world, operator = actors.world, actors.operator
    card, other = await actors.card(10_000), await actors.card(1_000)
    customer = await actors.person()
    agreed = {"kind": "charter", "version": "1", "document_hash": "0" * 64}
    consent = await operator.made(f"/v1/customers/{customer}/consents", agreed)
    shifts = (await operator.got("/v1/shifts", store=world.north.id))["data"]
    asked = await operator.made(
        "/v1/card-batches",
        {"programme": world.bearer, "carrier": "physical", "count": 2} | WHY,
    )
    places = [
        await operator.made("/v1/card-stock/locations", {"name": f"{kind} {fresh_key()}"} | more)
        for kind, more in (
            ("factory", {"kind": "factory"}),
            ("store", {"kind": "store", "store": world.north.id}),
        )
    ]
    order = await actors.merchant.made(
        "/v1/payment-orders", {"amount": 100, "currency": "CNY", "store": world.north.id}
    )
    code = await actors.merchant.made("/v1/pay-codes/static", {"store": world.north.id})
    device = await actors.merchant.made("/v1/pay-codes/devices", {"card": card.id, "name": "x"})
    topup = await actors.load(card, 100)
    machine = {"store": world.north.id, "model": "K1", "kind": "kiosk"}
    kiosk = (await operator.made("/v1/terminals", machine))["id"]
    visit = await actors.merchant.made(
        "/v1/kiosk-sessions", {"terminal": kiosk, "source": other.by_barcode}
    )
    note = {"sequence": 1, "type": "stacked", "value": 100, "session": visit["id"]}
    note["occurred_at"] = datetime.now(UTC).isoformat()  # noqa: TID251 -- a machine's clock
    await actors.merchant.made("/v1/kiosk-events", {"terminal": kiosk, "events": [note]})
    plan = {"company": world.founded.group, "name": "plan"}
    endpoint = await operator.made("/v1/webhook-endpoints", {"url": "https://receiver.invalid/"})
    delivery = await operator.made(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    told = {"programme": world.bearer, "event_type": "card.merged", "text_zh": "【卡包】已合卡"}
    template = await operator.made("/v1/notice-templates", told)
    return {
        "approval": asked["id"],
        "box": (await actors.merchant.got(f"/v1/kiosks/{kiosk}"))["box"],
        "card": card.id,
        "cashier": world.north.cashier,
        "company": world.founded.group,
        "consent": consent["id"],
        "customer": customer,
        "delivery": delivery["id"],
        "device": device["id"],
        "endpoint": endpoint["id"],
        "fee_plan": (await operator.made("/v1/fee-plans", plan))["id"],
        "key": (await actors.admin.got("/v1/api-keys", limit=1))["data"][0]["id"],
        "location": places[1]["id"],
        "operator": (await actors.admin.got("/v1/operators", limit=1))["data"][0]["id"],
        "other_card": other.id,
        "payment": (await actors.held(card, 100))["id"],
        "payment_order": order["id"],
        "pos_batch": f"{world.north.terminal}.000001",
        "pos_difference": f"{world.north.terminal}.000001.000001.debit.late",
        "programme": world.bearer,
        "receipt": topup["id"],
        "session": visit["id"],
        "shift": shifts[0]["id"],
        "store": world.north.id,
        "store_code": code["code"],
        "template": template["id"],
        "terminal": world.north.terminal,
        "topup": topup["id"],
    }


def filled(part: Any, things: Mapping[str, str]) -> Any:
    """A request with the ids of these things; what is not among them is nobody's."""
    usual = {"fresh": fresh_key()[:12], "store_code": "0", "day": "2026-01-01", **NOBODY}
    return json.loads(re.sub(r"\{(\w+)\}", lambda m: {**usual, **things}[m[1]], json.dumps(part)))


async def ask(
    cast: Cast, name: str, token: str | None, things: Mapping[str, str] = NOBODY
) -> Reply:
    method, path = filled(name, things).split(" ")
    route = TABLE[name]
    query = "&".join(f"{k}={v}" for k, v in filled(dict(route.query), things).items())
    body = None if method == "GET" else filled(route.body, things)
    key = fresh_key() if method == "POST" else None
    full = f"{path}?{query}" if query else path
    return await cast.http.ask(request(method, full, body, token=token, key=key))


def told(reply: Reply) -> tuple[int, str | None]:
    return reply.status, None if reply.status < 400 else reply.code


together = pytest.mark.asyncio(loop_scope="module")


@together
@pytest.mark.row("R-04")
@pytest.mark.parametrize("name", GUARDED)
async def test_without_a_living_key_there_is_nothing(cast: Cast, name: str) -> None:
    answers = {who: told(await ask(cast, name, token)) for who, token in cast.dead.items()}
    assert set(answers.values()) == {(401, "unauthenticated")}, answers


@together
@pytest.mark.row("R-04")
@pytest.mark.parametrize("name", OF_THE_GROUP)
async def test_without_the_verb_there_is_nothing(cast: Cast, name: str) -> None:
    assert told(await ask(cast, name, cast.idle, cast.things)) == (403, "forbidden")


@together
@pytest.mark.row("R-04")
@pytest.mark.parametrize("name", OF_THE_GROUP)
@pytest.mark.parametrize("who", ["stranger", "store"])
async def test_what_is_elsewhere_is_as_if_it_were_not(cast: Cast, name: str, who: str) -> None:
    """The same answer as for nobody's ids, nothing done, and no id of theirs in it."""
    route, token = TABLE[name], getattr(cast, who)
    if route.shared and who == "store":
        return
    # A store's code is sealed: nobody could make one of a store there is not.
    nobodys = NOBODY | {"store_code": cast.things["store_code"]}
    real, unknown = [await ask(cast, name, token, things) for things in (cast.things, nobodys)]
    assert told(real) == told(unknown)
    status = getattr(route, who)
    if status is not None:
        assert real.status == status
    elif not name.startswith("GET"):
        assert real.status in {403, 404} or told(real) in REFUSED, repr(real)
    asked = name + str(route)
    theirs = {n: ident for n, ident in cast.things.items() if f"{{{n}}}" not in asked}
    shown = {n for n, ident in theirs.items() if ident in real.body.decode()}
    # Who made the keys that ask, and whose store it is, they may know.
    assert shown <= {"operator", "company"}
