"""The HTTP door of top-ups."""

from typing import Any

from kabao.topups.http import bonus_rules, topups

ROUTES: list[Any] = [*topups.ROUTES, *bonus_rules.ROUTES]
