"""What all connections at the fast door share: routes, meters, prepared heads."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from kabao.base.web.answers import Answer
from kabao.base.web.edge import OTHER, SECURITY_HEADERS, STRICT_TRANSPORT, RequestIds
from kabao.base.web.hot import HotDoor, HotRoute
from kabao.base.web.metrics import Meter, Traffic


class Patience(NamedTuple):
    """Seconds a connection may take."""

    head_s: float = 10.0
    body_s: float = 30.0
    idle_s: float = 75.0
    write_s: float = 30.0
    linger_s: float = 2.0
    """How long a refused client may go on sending, so that it gets to read why."""


PATIENT = Patience()


class Entry(NamedTuple):
    """A hot route as the door finds it."""

    route: HotRoute
    meter: Meter


class FastDoor:
    """What all connections of a process share."""

    def __init__(
        self,
        hot: HotDoor,
        traffic: Traffic,
        ids: RequestIds,
        *,
        patience: Patience = PATIENT,
        max_connections: int = 10_000,
    ) -> None:
        self.hot, self.traffic, self.ids = hot, traffic, ids
        self.patience, self.max_connections = patience, max_connections
        self.refused = traffic.meter("fast", OTHER, OTHER)
        self.entries: Mapping[bytes, Mapping[bytes, Entry]] = _by_path(hot.routes, traffic)
        self._heads: dict[tuple[int, bool, bool], bytes] = {}
        self._defaults: list[tuple[bytes, bytes]] | None = None

    def head(
        self, answer: Answer, defaults: list[tuple[bytes, bytes]], *, secure: bool, close: bool
    ) -> bytes:
        """Status line and headers up to the request id.

        Built once a second per status: uvicorn hands out a new list of default
        headers whenever the date changes.
        """
        if defaults is not self._defaults:
            self._defaults, self._heads = defaults, {}
        if answer.headers:
            return _build_head(answer, defaults, secure=secure, close=close)
        found = self._heads.get((answer.status, secure, close))
        if found is None:
            found = _build_head(answer, defaults, secure=secure, close=close)
            self._heads[answer.status, secure, close] = found
        return found


def _by_path(routes: tuple[HotRoute, ...], traffic: Traffic) -> dict[bytes, dict[bytes, Entry]]:
    found: dict[bytes, dict[bytes, Entry]] = {}
    for route in routes:
        entry = Entry(route, traffic.meter("fast", route.method, route.path))
        found.setdefault(route.path.encode(), {})[route.method.encode()] = entry
    return found


def _build_head(
    answer: Answer, defaults: list[tuple[bytes, bytes]], *, secure: bool, close: bool
) -> bytes:
    headers = [
        *defaults,
        (b"content-type", answer.media_type.encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers),
        *SECURITY_HEADERS,
    ]
    if secure:
        headers.append(STRICT_TRANSPORT)
    if close:
        headers.append((b"connection", b"close"))
    lines = [b"HTTP/1.1 %d %b" % (answer.status, HTTPStatus(answer.status).phrase.encode())]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join([*lines, b"x-request-id: "])
