"""Every verb a route asks for is one a key can be given."""

from __future__ import annotations

from typing import Any

import pytest

from kabao.access.model.verbs import ROLES, VERBS
from kabao.app.composition import ROUTES
from kabao.base.web.hot import HotRoute
from kabao.base.web.principal import Requires
from kabao.payments.http import Door

HOT: list[HotRoute] = Door(*[None] * 5).routes()  # type: ignore[arg-type]  # nobody calls them


def required(handler: Any) -> list[str]:
    return [guard.verb for guard in handler.guards or () if isinstance(guard, Requires)]


@pytest.mark.parametrize("handler", ROUTES, ids=lambda h: f"{h.fn.__module__}.{h.fn.__name__}")
def test_a_route_asks_for_a_verb_there_is(handler: Any) -> None:
    assert set(required(handler)) <= VERBS.keys()
    assert required(handler) or handler.opt.get("public"), "a route without a guard is public"


@pytest.mark.parametrize("route", HOT, ids=lambda r: r.path)
def test_a_hot_route_asks_for_a_verb_there_is(route: HotRoute) -> None:
    assert route.verb in VERBS


def test_some_role_has_every_verb_that_is_asked_for() -> None:
    given = frozenset().union(*ROLES.values()) | {"sessions:own"}
    asked = {verb for handler in ROUTES for verb in required(handler)}
    assert asked | {route.verb for route in HOT} <= given
