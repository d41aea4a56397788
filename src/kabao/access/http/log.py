"""`/v1/audit-log`: read, never written from outside."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from kabao.access.http.common import APPROVAL, COMPANY, KEY, OPERATOR
from kabao.access.model import Entry, LogFilter, Outcome
from kabao.access.ops import Access
from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import EdgeId, Moment
from kabao.base.web.pages import (
    DEFAULT_LIMIT,
    Cursor,
    Limit,
    NumberPosition,
    Page,
    page,
    position,
)
from kabao.base.web.principal import Principal, requires


class EntryView(msgspec.Struct, frozen=True):
    """One deed. `digest` chains it to the one before."""

    seq: int
    at: str
    company: str | None
    actor: str | None
    via: str | None
    verb: str
    subject: str
    reason: str
    approval: str | None
    outcome: Outcome
    code: str
    address: str
    request_id: str
    digest: str


def _view(entry: Entry) -> EntryView:
    came_with = OPERATOR if entry.via == entry.actor else KEY
    return EntryView(
        seq=entry.seq,
        at=rfc3339(to_us(entry.at)),
        company=to_edge(COMPANY, entry.company) if entry.company else None,
        actor=to_edge(OPERATOR, entry.actor) if entry.actor else None,
        via=to_edge(came_with, entry.via) if entry.via else None,
        verb=entry.verb,
        subject=entry.subject,
        reason=entry.reason,
        approval=to_edge(APPROVAL, entry.approval) if entry.approval else None,
        outcome=entry.outcome,
        code=entry.code,
        address=entry.address,
        request_id=entry.request_id,
        digest=entry.digest.hex(),
    )


@get("/v1/audit-log", guards=[requires("audit-log:read")])
async def list_audit_log(
    principal: Principal,
    db: Database,
    access: Access,
    actor: EdgeId | None = None,
    subject: str | None = None,
    verb: str | None = None,
    approval: EdgeId | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[EntryView]:
    """Who did what, newest first."""
    wanted = LogFilter(
        actor=None if actor is None else from_edge(OPERATOR, actor, field="actor"),
        subject=subject,
        verb=verb,
        approval=None if approval is None else from_edge(APPROVAL, approval, field="approval"),
        since=since,
        until=until,
    )
    found = position(cursor, tuple[NumberPosition])
    async with db.read() as conn:
        rows = await access.log.entries(
            conn,
            principal,
            wanted=wanted,
            before=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda entry: (entry.seq,))


ROUTES: list[HTTPRouteHandler] = [list_audit_log]
