"""The doors of clearing."""

from __future__ import annotations

from typing import Any

from kabao.clearing.http.accounts import ROUTES as ACCOUNT_ROUTES

ROUTES: list[Any] = [*ACCOUNT_ROUTES]
