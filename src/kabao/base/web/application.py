"""The HTTP side of a process, put together: both doors over the same routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.types import Receive, Scope, Send

from kabao.base.web.binding import Route, bind, bind_hot, options
from kabao.base.web.docs import docs_routes
from kabao.base.web.doors import PATIENT, FastDoor, Patience
from kabao.base.web.edge import Edge, RequestIds
from kabao.base.web.health import Check, health_routes
from kabao.base.web.hot import MAX_BODY, HotDoor, HotRoute
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.openapi import document
from kabao.base.web.principal import KeyRing
from kabao.base.web.problems import handle


class Web:
    """An ASGI application, and the fast door beside it."""

    def __init__(
        self,
        *,
        routes: Iterable[HTTPRouteHandler],
        hot: Iterable[HotRoute] = (),
        keys: KeyRing,
        provided: Mapping[str, Any],
        checks: Mapping[str, Check],
        traffic: Traffic,
        figures: Figures,
        title: str = "Kabao",
        version: str,
        patience: Patience = PATIENT,
        max_connections: int = 10_000,
    ) -> None:
        """Put the routes behind the doors.

        Args:
            routes: the `ROUTES` of every slice.
            hot: the hot routes of every slice.
            keys: turns API keys into principals.
            provided: collaborators by the name handlers ask for them:
                `{"cards": cards, "db": db, "once": once, "clock": clock}`.
            checks: what `/readyz` asks; each raises if all is not well.
            traffic: counts requests.
            figures: what `/metrics` reports.
            title: of the document.
            version: of the document.
            patience: how long a connection may make us wait.
            max_connections: of this process; more are answered 503.
        """
        ids = RequestIds()
        self.figures = figures
        hot_door = HotDoor(hot, keys)
        self.fast = FastDoor(
            hot_door, traffic, ids, patience=patience, max_connections=max_connections
        )
        bound = [bind(handler, provided) for handler in routes]
        bound += [bind(handler, {}) for handler in health_routes(checks, figures)]
        bound += [bind_hot(route, hot_door) for route in hot_door.routes]
        self.routes: list[Route] = [route for route, _ in bound]
        names = [route.name for route in self.routes]
        assert len(set(names)) == len(names), f"operation names collide: {sorted(names)}"
        self._title, self._version = title, version
        bound += [bind(handler, {}) for handler in docs_routes(lambda: self.document)]
        self.litestar = Litestar(
            [*options(bound), *(handler for _, handler in bound)],
            exception_handlers={Exception: handle},
            openapi_config=None,
            logging_config=None,
            request_max_body_size=MAX_BODY,
            state=State({"keys": keys}),
        )
        self._edge = Edge(self.litestar, traffic, ids)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for: it takes longer than the rest."""
        return document(self.routes, title=self._title, version=self._version)

    @property
    def verbs(self) -> frozenset[str]:
        """Every verb that some route requires: what a key can be allowed."""
        return frozenset(route.verb for route in self.routes if route.verb is not None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application."""
        await self._edge(scope, receive, send)
