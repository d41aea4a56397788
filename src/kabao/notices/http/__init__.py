"""Routes of notices."""

from __future__ import annotations

from kabao.notices.http.deliveries import ROUTES as DELIVERY_ROUTES
from kabao.notices.http.endpoints import ROUTES as ENDPOINT_ROUTES
from kabao.notices.http.events import ROUTES as EVENT_ROUTES
from kabao.notices.http.templates import ROUTES as TEMPLATE_ROUTES

ROUTES = [*ENDPOINT_ROUTES, *DELIVERY_ROUTES, *EVENT_ROUTES, *TEMPLATE_ROUTES]

__all__ = ["ROUTES"]
