"""Who is calling, and whether this key may use this verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kabao.base.errors import FORBIDDEN, UNAUTHENTICATED, UNAVAILABLE
from kabao.base.web.timely import LOOK_UP_S, timely

if TYPE_CHECKING:  # `Principal` is used far from HTTP, where Litestar need not be loaded
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

MAX_TOKEN = 256
"""Characters of an API key that are looked at; a longer one is no key of ours."""


class Principal(msgspec.Struct, frozen=True):
    """The holder of an API key and the bounds of what it may see and do."""

    id: str
    name: str
    company: str
    """The company in whose name it acts; the scope of its Idempotency-Keys."""
    stores: frozenset[str] | None
    """The stores it may see; None means every store of its companies."""
    companies: frozenset[str] | None
    """The companies it may see; None means the whole group."""
    verbs: frozenset[str]
    """What it may do, such as `cards:read` or `payments:write`."""

    def may_see_store(self, store: str) -> bool:
        """Whether a store is inside the scope, as far as stores are named."""
        return self.stores is None or store in self.stores

    def may_see_company(self, company: str) -> bool:
        """Whether a company is inside the scope."""
        return self.companies is None or company in self.companies

    @property
    def whole_group(self) -> bool:
        """Whether nothing is outside the scope."""
        return self.companies is None and self.stores is None

    def covers(self, company: str) -> bool:
        """Whether what belongs to the company and to no store of it, such as its
        cards, is inside the scope: a key for certain stores covers none of that.
        """
        return self.stores is None and self.may_see_company(company)


class KeyRing(Protocol):
    """Turns an API key into its principal; bound to `access` by `app`."""

    def cached(self, token: str) -> Principal | None:
        """The principal if it is known without asking the database.

        Must not answer from memory longer than a revoked key may live.
        """
        ...

    async def principal(self, token: str) -> Principal | None:
        """The principal, or None for a key that is unknown, expired or revoked."""
        ...


def bearer(header: str | None) -> str | None:
    """The API key in an `Authorization` header, or None if there is none."""
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN or not token.isascii():
        return None
    return token


def permit(principal: Principal | None, verb: str) -> Principal:
    """The principal, if there is one and it has the verb.

    Raises `unauthenticated` or `forbidden`, before anything is looked up.
    """
    if principal is None:
        raise UNAUTHENTICATED.error()
    if verb not in principal.verbs:
        raise FORBIDDEN.error(f"This key has no permission for {verb}.")
    return principal


class Requires:
    """A route guard: 401 without a valid key, 403 when it lacks the verb.

    The principal is then found as `request.user`.
    """

    def __init__(self, verb: str) -> None:
        self.verb = verb

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
    ) -> None:
        """Let the request through or raise."""
        token = bearer(connection.headers.get("authorization"))
        principal = None
        if token is not None:
            keys: KeyRing = connection.app.state["keys"]
            principal = keys.cached(token)
            if principal is None:
                principal = await timely(keys.principal(token), UNAVAILABLE, LOOK_UP_S)
        connection.scope["user"] = permit(principal, self.verb)


def requires(verb: str) -> Requires:
    """`@get("/v1/cards", guards=[requires("cards:read")])`."""
    return Requires(verb)
