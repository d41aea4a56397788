"""The HTTP door of top-ups."""

from typing import Any

from kabao.topups.http import bonus_rules, refunds, topups

ROUTES: list[Any] = [*topups.ROUTES, *refunds.ROUTES, *bonus_rules.ROUTES]
