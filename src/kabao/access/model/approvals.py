"""Approvals: what takes two people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType, TypeAlias

import msgspec

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn
from kabao.base.errors import Kind, code
from kabao.base.ids import to_edge
from kabao.base.web.principal import Principal

ApprovalId = NewType("ApprovalId", str)

SELF_APPROVAL = code(
    "self_approval", Kind.REFUSED, "Whoever asked can never be the one who agrees."
)
OWN_BENEFIT = code(
    "own_benefit", Kind.REFUSED, "Nobody can agree to what they themselves are given."
)
APPROVAL_DECIDED = code("approval_decided", Kind.CONFLICT, "This was decided before.")
APPROVAL_EXPIRED = code("approval_expired", Kind.REFUSED, "Nobody decided this in time.")
APPROVAL_CHANGED = code(
    "approval_changed", Kind.CONFLICT, "What was asked is not what would be executed."
)
APPROVAL_KIND_UNKNOWN = code(
    "approval_kind_unknown", Kind.INVALID, "Nothing can execute this kind of request."
)
APPROVAL_TOO_LARGE = code(
    "approval_too_large", Kind.INVALID, "The request is too large to be looked through."
)

RULE = "ATK-11"
"""Every manual adjustment, bulk issue and change of limits needs a second user."""

ROLE_CHANGE = "role_change"
"""The kind of this slice's own requests."""

MAX_PAYLOAD = 64_000
"""Bytes of JSON. More than a person can judge is asked for by reference: a file and its digest."""


class ApprovalState(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    """Agreed to; its executor has put the work off to a job."""
    REFUSED = "refused"
    EXPIRED = "expired"
    EXECUTED = "executed"


class Approval(msgspec.Struct, frozen=True):
    """A request that takes two people.

    `payload` is JSON and holds ids and figures, never personal data or
    secrets. `companies` are those it touches (None: the group). `maker` and
    `checker` are operators, `maker_via` and `checker_via` what they came with:
    the id of an API key, or their own id for a session. `digest` is SHA-256 of
    the payload; `seal` a MAC that binds it to id, kind, companies and maker.
    """

    id: str
    kind: str
    company: str
    companies: tuple[str, ...] | None
    payload: bytes
    digest: bytes
    seal: bytes
    maker: str
    maker_via: str
    reason: str
    state: ApprovalState
    created_at: datetime
    expires_at: datetime
    checker: str | None = None
    checker_via: str | None = None
    decision_reason: str | None = None
    decided_at: datetime | None = None
    result: bytes | None = None

    def state_at(self, at: datetime) -> ApprovalState:
        """The state as of a moment: what nobody decided in time has expired."""
        if self.state is ApprovalState.PENDING and at >= self.expires_at:
            return ApprovalState.EXPIRED
        return self.state


Executor: TypeAlias = Callable[[Conn, Any, Approval], Awaitable[msgspec.Struct | None]]
"""`executor(conn, payload, approval)` does what was asked, in the approving
transaction, and returns what it did: ids and counts, never a secret. None means
that it has handed the work to a job, which reports with `Approvals.finish`. It
may raise `KabaoError`: then nothing has happened and the request stays pending.
"""


def check_decidable(approval: Approval, checker: str, at: datetime) -> None:
    """Whether a person may decide this now.

    Raises `self_approval`, `approval_decided` or `approval_expired`. The first
    comes first: a maker learns nothing and changes nothing here.
    """
    if checker == approval.maker:
        raise SELF_APPROVAL.error(rule=RULE)
    match approval.state_at(at):
        case ApprovalState.PENDING:
            return
        case ApprovalState.EXPIRED:
            raise APPROVAL_EXPIRED.error(rule=RULE)
        case _:
            raise APPROVAL_DECIDED.error(f"It was {approval.state} before.")


def sees_approval(principal: Principal, companies: tuple[str, ...] | None) -> bool:
    """Whether everything a request touches is inside a principal's scope."""
    if principal.stores is not None:
        return False
    return principal.companies is None or (
        companies is not None and principal.companies.issuperset(companies)
    )


class ApprovalView(msgspec.Struct, frozen=True):
    """A request as the API shows it."""

    id: str
    kind: str
    state: ApprovalState
    payload: msgspec.Raw
    digest: str
    reason: str
    maker: str
    checker: str | None
    decision_reason: str | None
    result: msgspec.Raw | None
    created_at: str
    expires_at: str
    decided_at: str | None


def view(approval: Approval, at: datetime) -> ApprovalView:
    """Show a request as of a moment."""
    return ApprovalView(
        id=to_edge("apr", approval.id),
        kind=approval.kind,
        state=approval.state_at(at),
        payload=msgspec.Raw(approval.payload),
        digest=approval.digest.hex(),
        reason=approval.reason,
        maker=to_edge("opr", approval.maker),
        checker=to_edge("opr", approval.checker) if approval.checker else None,
        decision_reason=approval.decision_reason,
        result=msgspec.Raw(approval.result) if approval.result is not None else None,
        created_at=rfc3339(to_us(approval.created_at)),
        expires_at=rfc3339(to_us(approval.expires_at)),
        decided_at=rfc3339(to_us(approval.decided_at)) if approval.decided_at else None,
    )
