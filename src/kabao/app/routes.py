"""The cold routes of every slice."""

from __future__ import annotations

from typing import Any

from kabao.access.http import ROUTES as ACCESS_ROUTES
from kabao.cards.http import ROUTES as CARD_ROUTES
from kabao.cards.http_life import ROUTES_LIFE as CARD_LIFE_ROUTES
from kabao.cards.http_watch import ROUTES_WATCH
from kabao.cases.http import ROUTES as CASE_ROUTES
from kabao.clearing.http import ROUTES as CLEARING_ROUTES
from kabao.customers.http import ROUTES as CUSTOMER_ROUTES
from kabao.disputes.http import ROUTES as DISPUTE_ROUTES
from kabao.edges.iso8583.http import ROUTES as POS_ROUTES
from kabao.evidence.http import ROUTES as EVIDENCE_ROUTES
from kabao.evidence.http_returns import ROUTES as RETURN_ROUTES
from kabao.evidence.http_slips import ROUTES as SLIP_ROUTES
from kabao.funding.http import ROUTES as FUNDING_ROUTES
from kabao.kiosks.http import ROUTES as KIOSK_ROUTES
from kabao.ledger.http import ROUTES as LEDGER_ROUTES
from kabao.ledger.http_house import ROUTES as HOUSE_ROUTES
from kabao.merchants.http import ROUTES as MERCHANT_ROUTES
from kabao.notices.http import ROUTES as NOTICE_ROUTES
from kabao.org.http import ROUTES as ORG_ROUTES
from kabao.payments.http import ROUTES as PAYMENT_ROUTES
from kabao.policy.http import ROUTES as POLICY_ROUTES
from kabao.proofs.http import ROUTES as PROOF_ROUTES
from kabao.proofs.http_pages import ROUTES as PAGE_ROUTES
from kabao.reconciliation.http import ROUTES as RECONCILIATION_ROUTES
from kabao.reports.http import ROUTES as REPORT_ROUTES
from kabao.tenders.http import ROUTES as TENDER_ROUTES
from kabao.topups.http import ROUTES as TOPUP_ROUTES

ROUTES: list[Any] = [
    *ACCESS_ROUTES,
    *CARD_ROUTES,
    *CARD_LIFE_ROUTES,
    *ROUTES_WATCH,
    *CASE_ROUTES,
    *CLEARING_ROUTES,
    *CUSTOMER_ROUTES,
    *DISPUTE_ROUTES,
    *EVIDENCE_ROUTES,
    *FUNDING_ROUTES,
    *HOUSE_ROUTES,
    *KIOSK_ROUTES,
    *LEDGER_ROUTES,
    *MERCHANT_ROUTES,
    *NOTICE_ROUTES,
    *ORG_ROUTES,
    *PAGE_ROUTES,
    *PAYMENT_ROUTES,
    *POS_ROUTES,
    *POLICY_ROUTES,
    *PROOF_ROUTES,
    *TENDER_ROUTES,
    *RECONCILIATION_ROUTES,
    *REPORT_ROUTES,
    *RETURN_ROUTES,
    *SLIP_ROUTES,
    *TOPUP_ROUTES,
]
"""What the framework's door serves; the hot routes stand beside it."""
