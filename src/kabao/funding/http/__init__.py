"""Routes of funding: `channels`, `health`, `collections`, `notifications`."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from kabao.funding.http.channels import ROUTES as CHANNELS
from kabao.funding.http.collections import ROUTES as COLLECTIONS
from kabao.funding.http.health import ROUTES as HEALTH
from kabao.funding.http.notifications import ROUTES as NOTIFICATIONS

ROUTES: list[HTTPRouteHandler] = [*CHANNELS, *HEALTH, *COLLECTIONS, *NOTIFICATIONS]
