"""The outermost layer of the framework's door: what every answer carries.

It gives each request its id (in the answer, in every log line written on the
way, in the problem if there is one), adds the security headers, and counts.
"""

from __future__ import annotations

import asyncio
import secrets
from time import perf_counter
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from kabao.base.errors import IN_DOUBT
from kabao.base.web.metrics import Traffic
from kabao.base.web.problems import failed

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""Set where the answer does not set its own."""

STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""Added on connections that are encrypted."""

OTHER = "other"
"""The route label of requests that match no route: their paths are not ours to repeat."""


class RequestIds:
    """Ids that are unique without costing anything: a random start and a count.

    Shaped like our other ids, with letters in them, so that no log takes one
    for a card number and masks it.
    """

    def __init__(self) -> None:
        self._prefix, self._count = f"req_a{secrets.token_hex(9)}f", 0

    def new(self) -> str:
        """The next id of this process."""
        self._count += 1
        return f"{self._prefix}{self._count:012x}"


class Edge:
    """An ASGI application around another one."""

    def __init__(self, inner: ASGIApp, traffic: Traffic, ids: RequestIds) -> None:
        self._inner, self._traffic, self._ids = inner, traffic, ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP goes through untouched."""
        if scope["type"] != ScopeType.HTTP:
            await self._inner(scope, receive, send)
            return
        began = perf_counter()
        request_id = self._ids.new()
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        added: tuple[tuple[bytes, bytes], ...] = (
            *SECURITY_HEADERS,
            (b"x-request-id", request_id.encode()),
        )
        if scope["scheme"] == "https":
            added = (*added, STRICT_TRANSPORT)
        status = 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                present = {name.lower() for name, _ in headers}
                headers += [header for header in added if header[0] not in present]
                message = {**message, "headers": headers}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._inner(scope, receive, dressed)
            except (Exception, asyncio.CancelledError) as exc:
                if status:
                    raise  # half an answer is out: the server closes the connection
                # Cancelled when the process ends: the work may have been done.
                stopped = isinstance(exc, asyncio.CancelledError)
                answered = failed(IN_DOUBT.error() if stopped else exc, request_id)
                await dressed(_start(answered.status, answered.media_type, len(answered.body)))
                await dressed(
                    {"type": "http.response.body", "body": answered.body, "more_body": False}
                )
        self._count(scope, status, perf_counter() - began)

    def _count(self, scope: Any, status: int, seconds: float) -> None:
        handler = scope.get("route_handler")
        route = handler.opt.get("route") if handler is not None else None
        if route is None:
            meter = self._traffic.meter("framework", OTHER, OTHER)
        else:
            meter = self._traffic.meter("framework", route.method, route.path)
        meter.count(status, seconds)


def _start(status: int, media_type: str, length: int) -> Any:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", media_type.encode()),
            (b"content-length", str(length).encode()),
        ],
    }
