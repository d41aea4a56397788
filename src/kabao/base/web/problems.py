"""`application/problem+json` for everything that fails, at either door.

`type` points to the line about the code on the `/docs` page. Nothing of the
inside shows: a defect is answered with its request id, and the log has the rest.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import psycopg
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from msgspec import UNSET, UnsetType

from kabao.base.errors import (
    INTERNAL,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    Code,
    KabaoError,
    Kind,
)
from kabao.base.logs import describe
from kabao.base.web.answers import Answer, as_response

_log = logging.getLogger("kabao.web")

STATUS = {
    Kind.MALFORMED: 400,
    Kind.INVALID: 422,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.REFUSED: 422,
    Kind.TOO_LARGE: 413,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
    Kind.IN_DOUBT: 504,
    Kind.INTERNAL: 500,
}

HEADERS = {
    401: (("www-authenticate", "Bearer"),),
    429: (("retry-after", "10"),),
    503: (("retry-after", "1"),),
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request failed (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable: it never changes its meaning."""
    detail: str
    request_id: str
    rule: str | UnsetType = UNSET
    """The row of the policy that refused, where one did."""
    field: str | UnsetType = UNSET
    """The field or header at fault, where there is one."""


_encode = msgspec.json.Encoder().encode


def status_of(code: Code) -> int:
    """The HTTP status of an error code."""
    return 405 if code is METHOD_NOT_ALLOWED else STATUS[code.kind]


def problem(error: KabaoError, request_id: str) -> Answer:
    """The answer to a clear no."""
    code = error.code
    status = status_of(code)
    body = Problem(
        type=f"/docs#{code.name}",
        title=code.title,
        status=status,
        code=code.name,
        detail=error.detail,
        request_id=request_id,
        rule=error.rule or UNSET,
        field=error.field or UNSET,
    )
    return Answer(status, _encode(body), HEADERS.get(status, ()))


def failed(exc: BaseException, request_id: str) -> Answer:
    """The answer to whatever was raised; a defect of ours is logged."""
    error = as_error(exc)
    if error.code is INTERNAL:
        _log.error("request %s failed\n%s", request_id, describe(exc))
    answered = problem(error, request_id)
    if isinstance(exc, MethodNotAllowedException) and exc.headers:
        allow = tuple((name.lower(), value) for name, value in exc.headers.items())
        answered = msgspec.structs.replace(answered, headers=answered.headers + allow)
    return answered


def as_error(exc: BaseException) -> KabaoError:
    """The error a caller is told about, whatever was raised."""
    match exc:
        case KabaoError():
            return exc
        case psycopg.OperationalError():  # the pool's errors are of this kind too
            return UNAVAILABLE.error()
        case NotFoundException():
            return NOT_FOUND.error("There is no such path.")
        case MethodNotAllowedException():
            return METHOD_NOT_ALLOWED.error()
        case HTTPException(status_code=413):
            return TOO_LARGE.error()
        case ClientException():
            return MALFORMED.error()
        case InternalServerException(detail="client disconnected prematurely"):
            return MALFORMED.error("The body broke off.")
        case _:
            return INTERNAL.error()


def handle(request: Request[Any, Any, Any], exc: Exception) -> Response[Any]:
    """Litestar's exception handler, for every exception there is."""
    return as_response(failed(exc, request_id_of(request.scope)))


def request_id_of(scope: Any) -> str:
    """The id the edge gave to this request."""
    return str(scope["state"]["request_id"])
