"""Routes of customers. Personal data goes out masked, always."""

from __future__ import annotations

from kabao.customers.http import customers, proofs

ROUTES = [*customers.ROUTES, *proofs.ROUTES]
