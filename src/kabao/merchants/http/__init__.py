"""Routes of terminals, cashiers, shifts and fees."""

from __future__ import annotations

from kabao.merchants.http import cashiers, fees, shifts, terminals

ROUTES = [*terminals.ROUTES, *cashiers.ROUTES, *shifts.ROUTES, *fees.ROUTES]
