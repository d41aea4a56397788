"""Operators, API keys, sessions: their forms, limits and pure rules."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import NewType, assert_never

import msgspec

from kabao.access.model.scope import Grant, Scope
from kabao.access.model.verbs import Role
from kabao.base.errors import INVALID, Kind, code
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.vault.model import RewrapTarget

OperatorId = NewType("OperatorId", str)
KeyId = NewType("KeyId", str)

LOGIN_REFUSED = code(
    "login_refused",
    Kind.REFUSED,
    "The login, password or code is wrong, or the login is locked for a while.",
)
LOGIN_TAKEN = code("login_taken", Kind.CONFLICT, "Another operator has this login.")
LOGINS_BUSY = code("logins_busy", Kind.UNAVAILABLE, "Too many logins at once; wait and repeat.")
PASSWORD_WEAK = code("password_weak", Kind.REFUSED, "The password is too easy to guess.")
INVITATION_REFUSED = code(
    "invitation_refused", Kind.REFUSED, "The invitation is unknown, used or too old."
)
BEYOND_OWN_SCOPE = code(
    "beyond_own_scope", Kind.REFUSED, "Nobody can give what lies outside their own scope."
)
GRANT_EMPTY = code("grant_empty", Kind.INVALID, "At least one role or verb is needed.")
SELF_SUSPENSION = code(
    "self_suspension",
    Kind.REFUSED,
    "Nobody can suspend themselves: the last one would lock all out.",
)
ALREADY_BOOTSTRAPPED = code(
    "already_bootstrapped", Kind.CONFLICT, "There are operators already; one of them must invite."
)

REWRAP_TARGETS = (
    RewrapTarget("access", "operator", "id", "name"),
    RewrapTarget("access", "operator", "id", "totp_secret"),
)
"""Sealed columns, for the rotation of keys."""

MAX_GRANTED = 200
"""Companies or stores named in one scope."""


class PeopleLimits(msgspec.Struct, frozen=True):
    """What the policy says of logins and sessions."""

    password_min_chars: int
    login_tries: int
    login_lock_minutes: int
    idle_minutes: int
    longest_hours: int
    totp_required: bool
    totp_drift: int
    invitation_hours: int
    password_row: str
    login_row: str

    @classmethod
    def of(cls, rules: Rules) -> PeopleLimits:
        """Take them from resolved rules."""
        return cls(
            password_min_chars=rules.int(names.ACCESS_PASSWORD_MIN_CHARS),
            login_tries=rules.int(names.ACCESS_LOGIN_TRIES_COUNT),
            login_lock_minutes=rules.int(names.ACCESS_LOGIN_LOCK_MINUTES),
            idle_minutes=rules.int(names.ACCESS_SESSION_IDLE_MINUTES),
            longest_hours=rules.int(names.ACCESS_SESSION_LONGEST_HOURS),
            totp_required=rules.flag(names.ACCESS_TOTP_REQUIRED),
            totp_drift=rules.int(names.ACCESS_TOTP_DRIFT_COUNT),
            # An invitation waits as long as the approval that makes it good.
            invitation_hours=rules.int(names.APPROVAL_VALID_HOURS),
            password_row=rules.row(names.ACCESS_PASSWORD_MIN_CHARS),
            login_row=rules.row(names.ACCESS_LOGIN_TRIES_COUNT),
        )


class OperatorState(StrEnum):
    """Where an operator stands."""

    INVITED = "invited"
    """Agreed to, and has not chosen a password yet."""
    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Cannot log in; comes back only by a reset that two people agreed to."""

    @property
    def may_log_in(self) -> bool:
        """Whether a password opens a session."""
        match self:
            case OperatorState.ACTIVE:
                return True
            case OperatorState.INVITED | OperatorState.SUSPENDED:
                return False
            case _:
                assert_never(self)


class Operator(msgspec.Struct, frozen=True):
    """A person of the back office. `name` and `totp_secret` are sealed; the
    person gives the first and gets the second when they enrol.
    """

    id: str
    login: str
    company: str
    companies: tuple[str, ...] | None
    stores: tuple[str, ...] | None
    roles: tuple[Role, ...]
    state: OperatorState
    created_at: datetime
    name: bytes | None = None
    password_hash: str | None = None
    totp_secret: bytes | None = None
    totp_step: int = 0
    tries: int = 0
    locked_until: datetime | None = None
    invitation: bytes | None = None
    invited_until: datetime | None = None

    @property
    def grant(self) -> Grant:
        """What the operator may do and see."""
        return Grant(_scope(self.company, self.companies, self.stores), self.roles)


class KeyState(StrEnum):
    """Where a key stands."""

    PROPOSED = "proposed"
    """Waits for a second person; opens nothing yet."""
    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiKey(msgspec.Struct, frozen=True):
    """An API key as stored: never its token."""

    id: str
    name: str
    hint: str
    token_hash: bytes
    owner: str
    company: str
    companies: tuple[str, ...] | None
    stores: tuple[str, ...] | None
    roles: tuple[Role, ...]
    verbs: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    @property
    def grant(self) -> Grant:
        """What the key may do and see."""
        scope = _scope(self.company, self.companies, self.stores)
        return Grant(scope, self.roles, self.verbs)

    def state_at(self, at: datetime) -> KeyState:
        """Whether a stored key still opens anything at a moment."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and at >= self.expires_at:
            return KeyState.EXPIRED
        return KeyState.LIVE


class Session(msgspec.Struct, frozen=True):
    """An operator's session as stored: never its token."""

    id: str
    operator: str
    token_hash: bytes
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None


def _scope(
    company: str, companies: tuple[str, ...] | None, stores: tuple[str, ...] | None
) -> Scope:
    return Scope(
        company,
        None if companies is None else frozenset(companies),
        None if stores is None else frozenset(stores),
    )


class Origin(msgspec.Struct, frozen=True):
    """From where something was asked: a network address, and the request."""

    address: str = ""
    request_id: str = ""


class NewKey(msgspec.Struct, frozen=True):
    """What is asked for when a key is issued."""

    name: str
    grant: Grant
    expires_at: datetime | None = None


class NewOperator(msgspec.Struct, frozen=True):
    """What is asked for when a person is invited."""

    login: str
    grant: Grant


class Login(msgspec.Struct, frozen=True):
    """What a person types in. Never in a log: `repr` shows nothing."""

    login: str
    password: str
    totp: str | None = None

    def __repr__(self) -> str:
        return "<Login>"


class Opened(msgspec.Struct, frozen=True):
    """A session that was opened. The token is shown this once."""

    token: str
    operator: str
    expires_at: datetime
    idle_minutes: int

    def __repr__(self) -> str:
        return f"<Opened {self.operator}>"


class Enrolled(msgspec.Struct, frozen=True):
    """A person who chose a password, and the secret for their authenticator, shown once."""

    operator: str
    totp_uri: str

    def __repr__(self) -> str:
        return f"<Enrolled {self.operator}>"


class Enrolment(msgspec.Struct, frozen=True):
    """What an invited person gives: `name` is theirs, as colleagues know them."""

    invitation: str
    name: str
    password: str

    def __repr__(self) -> str:
        return "<Enrolment>"


class Founding(msgspec.Struct, frozen=True):
    """One of the first people of an installation, before whom nobody could agree."""

    login: str
    grant: Grant


def founding(company: str, *roles: Role) -> list[Founding]:
    """One person for each role, with its name as login and the whole group as scope.

    Without roles: the two without whom nothing could ever be approved.
    """
    wanted = roles or (Role.ADMIN, Role.APPROVER)
    return [
        Founding(role.value.replace("_", "-"), Grant(Scope(company), (role,))) for role in wanted
    ]


class Founder(msgspec.Struct, frozen=True):
    """Who was founded, with an invitation and an API key, shown once."""

    operator: str
    login: str
    invitation: str
    key: str

    def __repr__(self) -> str:
        return f"<Founder {self.login}>"


_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")
_COMMON = (
    "password",
    "passw0rd",
    "qwerty",
    "asdfgh",
    "letmein",
    "welcome",
    "iloveyou",
    "woaini",
    "admin",
    "kabao",
    "123456",
    "abc123",
)
MAX_PASSWORD = 128
MIN_DISTINCT = 5
MIN_TELLING_LOGIN = 4


def check_login(login: str) -> None:
    """Raises `invalid` unless it is a login: short, lower case, plain ASCII."""
    if not _LOGIN.fullmatch(login):
        raise INVALID.error(
            "2 to 32 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.",
            field="login",
        )


def check_password(password: str, login: str, limits: PeopleLimits) -> None:
    """Raises `password_weak` (PCI DSS 8.3.6; ASVS 6.2): length first, then what guessers try.

    No rule about kinds of characters: length and novelty are what counts.
    """
    if not limits.password_min_chars <= len(password) <= MAX_PASSWORD:
        raise PASSWORD_WEAK.error(
            f"{limits.password_min_chars} to {MAX_PASSWORD} characters are needed.",
            rule=limits.password_row,
            field="password",
        )
    plain = password.lower()
    rest = plain
    for word in _COMMON:
        rest = rest.replace(word, "")
    repeats = len(set(plain)) < MIN_DISTINCT
    names_login = len(login) >= MIN_TELLING_LOGIN and login in plain
    if repeats or names_login or 2 * len(rest) <= len(plain):
        raise PASSWORD_WEAK.error(rule=limits.password_row, field="password")


def check_grant(asked: Grant) -> None:
    """Raises `grant_empty`, or `invalid` for too long a scope."""
    if not asked.roles and not asked.verbs:
        raise GRANT_EMPTY.error(field="roles")
    scope = asked.scope
    for field, named in (("companies", scope.companies), ("stores", scope.stores)):
        if named is not None and not 1 <= len(named) <= MAX_GRANTED:
            raise INVALID.error(f"1 to {MAX_GRANTED} of them.", field=field)


def widens(held: Grant, asked: Grant) -> bool:
    """Whether a grant permits or shows anything that another does not."""
    return not (asked.all_verbs <= held.all_verbs and held.scope.covers(asked.scope))
