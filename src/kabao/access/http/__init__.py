"""The routes of access: sessions, people, keys, approvals, the audit log."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from kabao.access.http import approvals, keys, log, operators, sessions

ROUTES: list[HTTPRouteHandler] = [
    *sessions.ROUTES,
    *operators.ROUTES,
    *keys.ROUTES,
    *approvals.ROUTES,
    *log.ROUTES,
]
