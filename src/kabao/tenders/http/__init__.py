"""Routes of payment orders."""

from __future__ import annotations

from kabao.tenders.http.desk import SalesDesk
from kabao.tenders.http.keys import OrderKeys
from kabao.tenders.http.routes import ROUTES

__all__ = ["ROUTES", "OrderKeys", "SalesDesk"]
