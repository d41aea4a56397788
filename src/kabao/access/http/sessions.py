"""`/v1/sessions`, `/v1/enrolments`: people come in and go out.

A login has no Idempotency-Key: there is no company yet to scope it, and a
repeated one is refused by its used TOTP step.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.access.http.common import (
    COMPANY,
    OPERATOR,
    STORE,
    origin_of,
)
from kabao.access.model import ROLES as ROLE_VERBS
from kabao.access.model import VERBS, Enrolment, Login, Role
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.ids import to_edge
from kabao.base.web.binding import PUBLIC
from kabao.base.web.fields import LINE, RequestBody, ShortText
from kabao.base.web.principal import Principal, bearer, requires

Password = Annotated[str, Meta(min_length=1, max_length=128)]
Totp = Annotated[str, Meta(min_length=6, max_length=6, pattern="^[0-9]*$")]
Invitation = Annotated[str, Meta(min_length=1, max_length=64, pattern=LINE)]


class OpenSession(RequestBody, frozen=True):
    """A login."""

    login: ShortText
    password: Password
    totp: Totp | None = None


class SessionView(msgspec.Struct, frozen=True):
    """A session. Its token is a bearer token like an API key."""

    token: str
    operator: str
    expires_at: str
    idle_minutes: int


class Enrol(RequestBody, frozen=True):
    """An invited person's own secrets."""

    invitation: Invitation
    name: ShortText
    password: Password


class EnrolmentView(msgspec.Struct, frozen=True):
    """The authenticator's secret as an `otpauth://` address, shown this once."""

    operator: str
    totp_uri: str


class ChangePassword(RequestBody, frozen=True):
    """The password as it is and as it is to be."""

    old: Password
    new: Password


class CurrentView(msgspec.Struct, frozen=True):
    """Who is calling; null means no limit."""

    id: str
    name: str
    company: str
    companies: list[str] | None
    stores: list[str] | None
    verbs: list[str]


class RoleView(msgspec.Struct, frozen=True):
    """A role and what it permits."""

    role: Role
    verbs: list[str]


class RolesView(msgspec.Struct, frozen=True):
    """Every role, and every verb with what it permits."""

    data: list[RoleView]
    verbs: dict[str, str]


@post("/v1/sessions", opt=PUBLIC)
async def open_session(
    request: Request[Any, Any, Any], data: OpenSession, access: Access
) -> SessionView:
    """Log in.

    Whatever is wrong, the answer is the same: 422 `login_refused`.
    """
    login = Login(data.login, data.password, data.totp)
    opened = await access.sessions.open(login, origin_of(request))
    return SessionView(
        token=opened.token,
        operator=to_edge(OPERATOR, opened.operator),
        expires_at=rfc3339(to_us(opened.expires_at)),
        idle_minutes=opened.idle_minutes,
    )


@get("/v1/sessions/current", guards=[requires("sessions:own")])
async def current_session(principal: Principal) -> CurrentView:
    """Who am I, and what may I do?"""
    return CurrentView(
        id=principal.id,
        name=principal.name,
        company=to_edge(COMPANY, principal.company),
        companies=_edges(COMPANY, principal.companies),
        stores=_edges(STORE, principal.stores),
        verbs=sorted(principal.verbs),
    )


@delete("/v1/sessions/current", guards=[requires("sessions:own")])
async def close_session(
    request: Request[Any, Any, Any], principal: Principal, access: Access
) -> None:
    """Log out. An API key stays as it is."""
    token = bearer(request.headers.get("authorization"))
    if token is not None:
        await access.sessions.close(token, principal, origin_of(request))
        await access.ring.catch_up()


@post("/v1/enrolments", opt=PUBLIC)
async def enrol(request: Request[Any, Any, Any], data: Enrol, access: Access) -> EnrolmentView:
    """Accept an invitation: choose a password, get an authenticator."""
    form = Enrolment(data.invitation, data.name, data.password)
    enrolled = await access.operators.enrol(form, origin_of(request))
    return EnrolmentView(to_edge(OPERATOR, enrolled.operator), enrolled.totp_uri)


@post("/v1/sessions/current/password", guards=[requires("sessions:own")], status_code=204)
async def change_password(
    request: Request[Any, Any, Any], principal: Principal, data: ChangePassword, access: Access
) -> None:
    """Change one's own password. All of one's sessions end, this one too."""
    await access.sessions.change_password(principal, data.old, data.new, origin_of(request))
    await access.ring.catch_up()


@get("/v1/roles", guards=[requires("sessions:own")])
async def list_roles() -> RolesView:
    """Every role and what it permits."""
    return RolesView([RoleView(role, sorted(verbs)) for role, verbs in ROLE_VERBS.items()], VERBS)


def _edges(prefix: str, ids: frozenset[str] | None) -> list[str] | None:
    return None if ids is None else [to_edge(prefix, ident) for ident in sorted(ids)]


ROUTES: list[HTTPRouteHandler] = [
    open_session,
    current_session,
    close_session,
    change_password,
    enrol,
    list_roles,
]
