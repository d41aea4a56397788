"""One exception, a closed set of kinds, and a registry of stable codes.

A refusal is an answer. `KabaoError` carries a `code` that never changes its
meaning, the `rule` that refused where a rule did, and the `field` at fault.
The domain knows no HTTP status and no DE39: edges translate the kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What went wrong, as far as a caller needs to know to act."""

    MALFORMED = "malformed"  # the request cannot be read: 400
    INVALID = "invalid"  # it can be read and makes no sense: 422
    UNAUTHENTICATED = "unauthenticated"  # 401
    FORBIDDEN = "forbidden"  # a verb outside the key's scope: 403
    NOT_FOUND = "not_found"  # unknown, or outside the key's scope: 404
    CONFLICT = "conflict"  # 409
    REFUSED = "refused"  # understood, and a rule says no: 422
    TOO_LARGE = "too_large"  # 413
    TOO_MANY = "too_many"  # 429
    UNAVAILABLE = "unavailable"  # nothing happened, try again: 503
    IN_DOUBT = "in_doubt"  # it may have happened, repeat with the same key: 504
    INTERNAL = "internal"  # a defect of ours: 500


@dataclass(frozen=True, slots=True)
class Code:
    """A stable error code. `title` is what a person reads."""

    name: str
    kind: Kind
    title: str

    def __str__(self) -> str:
        return self.name

    def error(
        self, detail: str | None = None, *, rule: str | None = None, field: str | None = None
    ) -> KabaoError:
        """The exception to raise for this code."""
        return KabaoError(self, detail, rule=rule, field=field)


REGISTRY: dict[str, Code] = {}


def code(name: str, kind: Kind, title: str) -> Code:
    """Register a code once; registering a name twice is a defect."""
    assert name not in REGISTRY, f"error code {name} is registered twice"
    made = Code(name, kind, title)
    REGISTRY[name] = made
    return made


class KabaoError(Exception):
    """A clear no. Nothing has changed when it is raised (but see IN_DOUBT)."""

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        rule: str | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(detail or code.title)
        self.code = code
        self.detail = detail or code.title
        self.rule = rule
        self.field = field


MALFORMED = code("malformed", Kind.MALFORMED, "The request cannot be read.")
INVALID = code("invalid", Kind.INVALID, "A field of the request is not acceptable.")
MISSING_KEY = code(
    "idempotency_key_missing", Kind.MALFORMED, "Every POST needs an Idempotency-Key header."
)
KEY_REUSED = code(
    "idempotency_key_reused",
    Kind.CONFLICT,
    "This Idempotency-Key was used before with another request.",
)
KEY_IN_FLIGHT = code(
    "idempotency_key_in_flight", Kind.CONFLICT, "The first request with this key is still at work."
)
KEY_BARRED = code(
    "idempotency_key_barred",
    Kind.CONFLICT,
    "This Idempotency-Key was reversed before its request came.",
)
SECRET_SHOWN = code(
    "secret_already_shown", Kind.CONFLICT, "The secret in this answer was shown once and is gone."
)
UNAUTHENTICATED = code("unauthenticated", Kind.UNAUTHENTICATED, "An API key is needed.")
FORBIDDEN = code("forbidden", Kind.FORBIDDEN, "This key may not do that.")
NOT_FOUND = code("not_found", Kind.NOT_FOUND, "There is no such thing, or not for this key.")
METHOD_NOT_ALLOWED = code("method_not_allowed", Kind.MALFORMED, "This path has no such method.")
TOO_LARGE = code("body_too_large", Kind.TOO_LARGE, "The body is over the limit.")
TOO_MANY = code("too_many_requests", Kind.TOO_MANY, "Too many requests; wait and repeat.")
UNAVAILABLE = code("unavailable", Kind.UNAVAILABLE, "Nothing happened. Try again in a moment.")
IN_DOUBT = code(
    "in_doubt", Kind.IN_DOUBT, "The outcome is not known. Repeat with the same Idempotency-Key."
)
INTERNAL = code("internal", Kind.INTERNAL, "A defect on our side; the request id names it.")
SETTING = code("bad_setting", Kind.INVALID, "A setting is not usable.")
