"""What the HTTP door of policy needs of slices above it, handed in by `app`."""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

import msgspec

from kabao.base.db import Conn
from kabao.base.errors import Kind, code
from kabao.base.web.principal import Principal
from kabao.policy.choices import Scope, Switch
from kabao.policy.model import Rules

NOT_STOPPED = code("switch_not_stopped", Kind.CONFLICT, "There is nothing to release.")

RELEASE_ACTION = "switch_release"
"""What an approval of a release is called in policy `approval.actions`."""


class SwitchRelease(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A release that waits for the second person."""

    switch: Switch
    scope: Scope
    company: str | None = None
    programme: str | None = None


class Sold(Protocol):
    """A programme, as far as policy looks at it."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def issuer(self) -> str:
        """The company whose cards they are."""
        ...

    @property
    def jurisdiction(self) -> str:
        """The pack it lives under."""
        ...


class Programmes(Protocol):
    """Programmes and what policy says for each, their own limits included."""

    def programme(self, ident: str) -> Sold | None:
        """A programme, as of a moment ago."""
        ...

    async def find_programme(self, conn: Conn, ident: str, field: str | None = None) -> Sold:
        """A programme as it is now. Raises `not_found`."""
        ...

    def rules_of(self, programme: Any, on: date) -> Rules:
        """What holds for it on a day."""
        ...

    def today(self, programme: Any) -> date:
        """The calendar day where it lives."""
        ...


class Companies(Protocol):
    """The companies of the group."""

    def company(self, ident: str) -> object | None:
        """A company, as of a moment ago."""
        ...


class Asked(Protocol):
    """A request that waits for a second person."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


class Approvals(Protocol):
    """Where requests that take two people are written down."""

    async def ask(
        self,
        conn: Conn,
        by: Principal,
        kind: str,
        payload: msgspec.Struct,
        reason: str,
        *,
        companies: frozenset[str] | None,
    ) -> Asked:
        """Write down what is wanted; `companies` None: it touches the whole group."""
        ...


class Diary(Protocol):
    """The operator audit log."""

    async def note(
        self, conn: Conn, by: Principal, verb: str, subject: str, reason: str = ""
    ) -> None:
        """Write down who did what, last in the transaction that does it."""
        ...
