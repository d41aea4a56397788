"""Routes of terminals, cashiers, shifts and fees."""

from __future__ import annotations

from kabao.merchants.http import cashiers, fees, keys, shifts, terminals, totals

ROUTES = [
    *terminals.ROUTES,
    *keys.ROUTES,
    *cashiers.ROUTES,
    *shifts.ROUTES,
    *totals.ROUTES,
    *fees.ROUTES,
]
