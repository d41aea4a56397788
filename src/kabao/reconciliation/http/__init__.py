"""Routes of reconciliation."""

from kabao.reconciliation.http.breaks import ROUTES as BREAK_ROUTES
from kabao.reconciliation.http.runs import ROUTES as RUN_ROUTES

ROUTES = [*RUN_ROUTES, *BREAK_ROUTES]
