"""Hot routes: one core function, two ways to reach it.

`fast.FastProtocol` takes a plain request straight from the parser to
`HotDoor.enter`; the framework brings what is not plain (a chunked body,
`Expect`, a query string) to the very same function. So both doors check the
same things in the same order and answer the same bytes: key 401, verb 403,
Idempotency-Key 400, body 400 or 422, then the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from kabao.base.errors import UNAVAILABLE
from kabao.base.web.answers import Answer
from kabao.base.web.fields import idempotency_key
from kabao.base.web.principal import KeyRing, Principal, permit
from kabao.base.web.reading import Reader
from kabao.base.web.timely import LOOK_UP_S, timely

D = TypeVar("D")

MAX_BODY = 1_000_000
"""Bytes of a body, at every door."""


class HotCall(msgspec.Struct, Generic[D], frozen=True, gc=False):
    """A checked request, as a core function gets it."""

    principal: Principal
    data: D
    key: str
    """The Idempotency-Key; empty on routes that need none."""
    request_id: str


Core: TypeAlias = Callable[[HotCall[Any]], "Answer | asyncio.Future[Any]"]


class HotRoute:
    """A route whose core answers at once or hands out a future.

    What the future brings is turned into an answer by `show`, so that the core
    can hand on the future it got from below. The core may raise `KabaoError`,
    or fail its future with one. It must not be a coroutine function: a task
    per request costs more than the parsing.
    """

    def __init__(
        self,
        method: str,
        path: str,
        core: Core,
        *,
        show: Callable[[Any], Answer] | None = None,
        takes: type[Any],
        gives: type[Any],
        verb: str,
        status: int = 200,
        keyed: bool = True,
        name: str,
        summary: str,
        description: str = "",
        tag: str,
    ) -> None:
        """Declare the route.

        Args:
            method: in capitals.
            path: without parameters; the fast door compares bytes.
            core: the function that does it.
            show: turns the future's result into the answer; not needed when
                the core answers at once or its future brings an `Answer`.
            takes: the Struct of the body.
            gives: the Struct of the answer, for the document.
            verb: what the key must be allowed to do.
            status: of the answer when all goes well, for the document.
            keyed: whether an Idempotency-Key is required.
            name: of the operation, unique.
            summary: one line for the document.
            description: more for the document.
            tag: the slice.
        """
        self.method, self.path, self.core, self._show = method, path, core, show
        self.takes, self.gives, self.verb = takes, gives, verb
        self.status, self.keyed = status, keyed
        self.name, self.summary, self.description, self.tag = name, summary, description, tag
        self.reader: Reader[Any] = Reader(takes)

    def finish(self, result: Any) -> Answer:
        """The answer that a settled future means."""
        if isinstance(result, Answer):
            return result
        assert self._show is not None, f"{self.path}: the core's result needs `show`"
        return self._show(result)


class HotDoor:
    """The hot routes of a process, and the checks before their cores."""

    def __init__(self, routes: Iterable[HotRoute], keys: KeyRing) -> None:
        self.routes = tuple(routes)
        self._keys = keys

    def enter(
        self,
        route: HotRoute,
        token: str | None,
        key: str | None,
        body: bytes | bytearray,
        request_id: str,
    ) -> Answer | asyncio.Future[Any]:
        """Check and call the core. Raises `KabaoError`, or fails the future.

        What the future brings is for `HotRoute.finish`.
        """
        principal = None
        if token is not None:
            principal = self._keys.cached(token)
            if principal is None:
                return asyncio.ensure_future(self._look_up(route, token, key, body, request_id))
        return _call(route, principal, key, body, request_id)

    async def _look_up(
        self, route: HotRoute, token: str, key: str | None, body: bytes | bytearray, request_id: str
    ) -> Answer:
        principal = await timely(self._keys.principal(token), UNAVAILABLE, LOOK_UP_S)
        given = _call(route, principal, key, body, request_id)
        return route.finish(given if isinstance(given, Answer) else await asyncio.shield(given))


def _call(
    route: HotRoute,
    principal: Principal | None,
    key: str | None,
    body: bytes | bytearray,
    request_id: str,
) -> Answer | asyncio.Future[Any]:
    permitted = permit(principal, route.verb)
    checked = idempotency_key(key) if route.keyed else ""
    return route.core(HotCall(permitted, route.reader.read(body), checked, request_id))
