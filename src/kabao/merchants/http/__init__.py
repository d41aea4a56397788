"""Routes of terminals, cashiers, shifts and fees."""

from __future__ import annotations

from kabao.merchants.http import (
    cashiers,
    drawers,
    fees,
    keys,
    overrides,
    shifts,
    swaps,
    terminals,
    totals,
)

ROUTES = [
    *terminals.ROUTES,
    *keys.ROUTES,
    *swaps.ROUTES,
    *cashiers.ROUTES,
    *overrides.ROUTES,
    *shifts.ROUTES,
    *drawers.ROUTES,
    *totals.ROUTES,
    *fees.ROUTES,
]
