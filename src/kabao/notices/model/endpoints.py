"""Endpoints: who wants to be told, where, and how well that goes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from kabao.access.model import Scope
from kabao.base.errors import INVALID, Kind, code
from kabao.notices.model.events import NOUNS
from kabao.policy import names
from kabao.policy.model import Rules

TOO_MANY_ENDPOINTS = code(
    "too_many_webhook_endpoints",
    Kind.REFUSED,
    "The company has as many webhook endpoints as it may.",
)
ADDRESS_REFUSED = code(
    "webhook_address_refused", Kind.REFUSED, "Nothing is sent to an address that is not public."
)
ENDPOINT_STATE = code(
    "webhook_endpoint_state", Kind.CONFLICT, "The endpoint's state does not allow this."
)

MAX_URL = 500
MAX_TYPES = 50
_TYPE = re.compile(r"([a-z_]+)\.(?:\*|[a-z_]+)")


class EndpointState(StrEnum):
    """Whether anything is sent."""

    ACTIVE = "active"
    PAUSED = "paused"


class Pause(StrEnum):
    """Why an endpoint is paused."""

    BY_HAND = "by_hand"
    FAILING = "failing"  # for as long as policy bears it
    GONE = "gone"  # it answered 410


class Secrets(msgspec.Struct, frozen=True):
    """What deliveries are signed with, sealed: the newest, and the one before while it lasts."""

    secret: bytes
    old_secret: bytes | None = None
    old_until: datetime | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as stored; its scope is that of the key that made it, and so are `verbs`,
    those that see what events are about.

    `failures` counts sends that failed since the last that did not, `failing_since`
    is the first of them; lanes that fail together are one. `overfull`: more waits than
    policy allows, so that events are not kept for it now. `missed_from`: the first event
    that was not, until its owner says that they were fetched.
    """

    id: str
    company: str
    companies: list[str] | None
    stores: list[str] | None
    verbs: list[str]
    url: str
    description: str
    types: list[str] | None
    state: EndpointState
    paused_for: Pause | None
    secret: bytes
    old_secret: bytes | None
    old_until: datetime | None
    failures: int
    failing_since: datetime | None
    resting_until: datetime | None
    overfull: bool
    missed_from: datetime | None
    created_at: datetime

    @property
    def scope(self) -> Scope:
        """What it may be told."""
        return Scope(
            self.company,
            None if self.companies is None else frozenset(self.companies),
            None if self.stores is None else frozenset(self.stores),
        )

    def may_be_sent(self, at: datetime) -> bool:
        """Whether anything is sent to it then: it is not paused and does not rest."""
        rests = self.resting_until is not None and at < self.resting_until
        return self.state is EndpointState.ACTIVE and not rests

    @property
    def wants(self) -> tuple[str, ...] | None:
        """The types it asked for; None is all."""
        return None if self.types is None else tuple(self.types)


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    url: str
    description: str = ""
    types: tuple[str, ...] | None = None

    def check(self, *, private: bool) -> None:
        """Raises `invalid` for what is no address or no type of ours.

        `private` allows plain http. Whether the address is public is judged when it
        is connected to, each time: names change what they point to.
        """
        check_url(self.url, private=private)
        for kind in self.types or ():
            found = _TYPE.fullmatch(kind)
            if found is None or found[1] not in NOUNS:
                raise INVALID.error("There are no such events.", field="event_types")


def check_url(url: str, *, private: bool) -> None:
    """Raises `invalid` unless it is a plain https address without a name or password in it."""
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise INVALID.error("This is no address.", field="url") from None
    schemes = {"https", "http"} if private else {"https"}
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL
    if parts.scheme not in schemes or not parts.hostname or not port_is_fine or not plain:
        raise INVALID.error("An endpoint is an https address.", field="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise INVALID.error("No name, password or fragment in an address.", field="url")


class Limits(msgspec.Struct, frozen=True):
    """What policy says of webhooks."""

    endpoints: int
    endpoints_row: str
    first_pause: timedelta
    longest_pause: timedelta
    attempts: int
    failing: timedelta
    overlap: timedelta
    timeout_s: int
    waiting: int
    kept: timedelta
    replay: timedelta

    @classmethod
    def of(cls, rules: Rules) -> Limits:
        """Take them from resolved rules."""
        return cls(
            endpoints=rules.int(names.WEBHOOK_ENDPOINTS_MAX_COUNT),
            endpoints_row=rules.row(names.WEBHOOK_ENDPOINTS_MAX_COUNT),
            first_pause=timedelta(seconds=rules.int(names.WEBHOOK_RETRY_FIRST_SECONDS)),
            longest_pause=timedelta(seconds=rules.int(names.WEBHOOK_RETRY_LONGEST_SECONDS)),
            attempts=rules.int(names.WEBHOOK_ATTEMPTS_MAX_COUNT),
            failing=timedelta(hours=rules.int(names.WEBHOOK_FAILING_HOURS)),
            overlap=timedelta(hours=rules.int(names.WEBHOOK_SECRET_OVERLAP_HOURS)),
            timeout_s=rules.int(names.WEBHOOK_TIMEOUT_SECONDS),
            waiting=rules.int(names.WEBHOOK_WAITING_MAX_COUNT),
            kept=timedelta(days=rules.int(names.WEBHOOK_KEPT_DAYS)),
            replay=timedelta(days=rules.int(names.EVENT_REPLAY_DAYS)),
        )

    def pause(self, failures: int, chance: float) -> timedelta:
        """How long to wait after that many failures in a row, from 1.

        Three times as long each time, up to the longest; `chance` in [0, 1) makes it
        up to a fifth shorter or longer, so that what failed together does not come
        back together.
        """
        grown = self.first_pause * int(3 ** min(failures - 1, 20))
        return min(grown, self.longest_pause) * (0.8 + 0.4 * chance)
