"""The HTTP door of top-ups."""

from typing import Any

from kabao.topups.http import bonus_rules, receipts, refunds, topups

ROUTES: list[Any] = [*topups.ROUTES, *refunds.ROUTES, *receipts.ROUTES, *bonus_rules.ROUTES]
