"""What a door sends back, before either door has turned it into bytes on a wire."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.enums import MediaType

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A finished answer. From 400 on the body is a problem (RFC 9457)."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def media_type(self) -> str:
        """The Content-Type that goes with the status."""
        return JSON if self.status < 400 else PROBLEM_JSON


def answer(content: Any, status: int = 200) -> Answer:
    """Encode a Struct (or anything msgspec can encode) into an answer."""
    return Answer(status, _encode(content))


def as_response(given: Answer) -> Response[Any]:
    """The same answer for the framework's door."""
    return Response(
        given.body,
        status_code=given.status,
        headers=dict(given.headers),
        media_type=given.media_type if given.body else MediaType.TEXT,
    )
