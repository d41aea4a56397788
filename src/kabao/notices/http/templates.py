"""`/v1/notice-templates`: what holders are told by SMS; `/v1/notices`: what they were."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import LINE, EdgeId, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.notices.model.texts import (
    MAX_TEXT,
    Language,
    NewTemplate,
    Purpose,
    Template,
    TextState,
)
from kabao.notices.ops import TEMPLATE, TEXT, Templates

READ, WRITE = "notice-templates:read", "notice-templates:write"

Words = Annotated[
    str,
    Meta(
        max_length=MAX_TEXT,
        pattern=LINE,
        description="Begins with 【…】; may tell {amount} {balance} {last4} {store} {time}.",
    ),
]


class TemplateBody(RequestBody, frozen=True, kw_only=True):
    """What holders of the programme's cards are told when this happens."""

    programme: EdgeId
    event_type: Annotated[str, Meta(min_length=3, max_length=60, pattern=LINE)]
    text_zh: Words = ""
    text_en: Words = ""
    language: Language = Language.ZH
    purpose: Purpose = Purpose.SERVICE


class TemplateView(msgspec.Struct, frozen=True):
    """A template; it is never changed, only retired."""

    id: str
    programme: str
    event_type: str
    text_zh: str
    text_en: str
    language: Language
    purpose: Purpose
    created_at: str
    retired_at: str | None


class NoticeView(msgspec.Struct, frozen=True):
    """A text that was due; neither to which phone nor its words."""

    id: str
    card: str
    event: str
    event_type: str
    status: TextState
    reason: str | None
    attempts: int
    created_at: str
    ended_at: str | None


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(to_us(at))


def _view(template: Template) -> TemplateView:
    return TemplateView(
        id=to_edge(TEMPLATE, template.id),
        programme=to_edge("prg", template.programme),
        event_type=template.event_type,
        text_zh=template.text_zh,
        text_en=template.text_en,
        language=template.language,
        purpose=template.purpose,
        created_at=rfc3339(to_us(template.created_at)),
        retired_at=_time(template.retired_at),
    )


def _notice(row: dict[str, Any]) -> NoticeView:
    return NoticeView(
        id=to_edge(TEXT, row["id"]),
        card=to_edge("card", row["card"]),
        event=row["event"],
        event_type=row["event_type"],
        status=TextState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        created_at=rfc3339(to_us(row["created_at"])),
        ended_at=_time(row["ended_at"]),
    )


@post("/v1/notice-templates", guards=[requires(WRITE)], tags=["notices"])
async def create_template(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TemplateBody,
    once: Once,
    templates: Templates,
) -> Response[TemplateView]:
    """Tell an event of a programme's cards to their holders, by SMS, from now on."""

    async def work(conn: Conn) -> TemplateView:
        new = NewTemplate(
            programme=from_edge("prg", data.programme, field="programme"),
            event_type=data.event_type,
            text_zh=data.text_zh,
            text_en=data.text_en,
            language=data.language,
            purpose=data.purpose,
        )
        return _view(await templates.add(conn, principal, new))

    return await once(request, principal, data, work)


@get("/v1/notice-templates", guards=[requires(READ)], tags=["notices"])
async def list_templates(
    principal: Principal,
    db: Database,
    templates: Templates,
    programme: EdgeId | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[TemplateView]:
    """Templates, newest first, retired ones too."""
    place = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await templates.search(
            conn,
            principal,
            programme=None if programme is None else from_edge("prg", programme, field="programme"),
            before=None if place is None else place[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda template: (template.id,))


@post(
    "/v1/notice-templates/{template:str}/retire",
    guards=[requires(WRITE)],
    status_code=200,
    tags=["notices"],
)
async def retire_template(
    request: Request[Any, Any, Any],
    principal: Principal,
    once: Once,
    templates: Templates,
    template: EdgeId,
) -> Response[TemplateView]:
    """Tell it no more. What waits is still sent."""

    async def work(conn: Conn) -> TemplateView:
        return _view(await templates.retire(conn, principal, from_edge(TEMPLATE, template)))

    return await once(request, principal, None, work)


@get("/v1/notices", guards=[requires(READ)], tags=["notices"])
async def list_notices(
    principal: Principal,
    db: Database,
    templates: Templates,
    card: EdgeId | None = None,
    status: TextState | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[NoticeView]:
    """What holders were told, or why not, newest first."""
    place = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await templates.texts(
            conn,
            principal,
            card=None if card is None else from_edge("card", card, field="card"),
            state=status,
            before=None if place is None else place[0],
            limit=limit + 1,
        )
    return page(rows, limit, _notice, lambda row: (row["id"],))


ROUTES: list[HTTPRouteHandler] = [
    create_template,
    list_templates,
    retire_template,
    list_notices,
]
