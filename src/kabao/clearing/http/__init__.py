"""The doors of clearing."""

from __future__ import annotations

from typing import Any

from kabao.clearing.http.accounts import ROUTES as ACCOUNT_ROUTES
from kabao.clearing.http.days import ROUTES as DAY_ROUTES
from kabao.clearing.http.deposits import ROUTES as DEPOSIT_ROUTES
from kabao.clearing.http.payouts import ROUTES as PAYOUT_ROUTES
from kabao.clearing.http.rules import ROUTES as RULE_ROUTES
from kabao.clearing.http.settlements import ROUTES as SETTLEMENT_ROUTES
from kabao.clearing.http.statements import ROUTES as STATEMENT_ROUTES
from kabao.clearing.http.windows import ROUTES as WINDOW_ROUTES

ROUTES: list[Any] = [
    *ACCOUNT_ROUTES,
    *DAY_ROUTES,
    *DEPOSIT_ROUTES,
    *PAYOUT_ROUTES,
    *RULE_ROUTES,
    *SETTLEMENT_ROUTES,
    *STATEMENT_ROUTES,
    *WINDOW_ROUTES,
]
