"""The HTTP door of payments."""

from __future__ import annotations

from kabao.payments.http.adjust import ROUTES as ADJUSTMENT_ROUTES
from kabao.payments.http.codes import ROUTES as PAY_CODE_ROUTES
from kabao.payments.http.codes import Wallet
from kabao.payments.http.desk import Desk
from kabao.payments.http.door import Door
from kabao.payments.http.offline import ROUTES as OFFLINE_ROUTES
from kabao.payments.http.requests import ROUTES as REQUEST_ROUTES
from kabao.payments.http.routes import ROUTES as PAYMENT_ROUTES
from kabao.payments.http.store_codes import ROUTES as STORE_CODE_ROUTES
from kabao.payments.http.suspense import ROUTES as SUSPENSE_ROUTES

ROUTES = [
    *PAYMENT_ROUTES,
    *REQUEST_ROUTES,
    *ADJUSTMENT_ROUTES,
    *SUSPENSE_ROUTES,
    *PAY_CODE_ROUTES,
    *STORE_CODE_ROUTES,
    *OFFLINE_ROUTES,
]

__all__ = ["ROUTES", "Desk", "Door", "Wallet"]
