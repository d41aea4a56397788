"""`/v1/notice-templates`: what holders are told; `/v1/notices`: what they were;
`/v1/notice-followers`: who is told by WeChat.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
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
    Medium,
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


Fields = Annotated[
    dict[Annotated[str, Meta(max_length=26)], Annotated[str, Meta(max_length=60)]],
    Meta(max_length=10, description="Of a WeChat template: what stands in each field."),
]


class TemplateBody(RequestBody, frozen=True, kw_only=True):
    """What holders of the programme's cards are told when this happens."""

    programme: EdgeId
    event_type: Annotated[str, Meta(min_length=3, max_length=60, pattern=LINE)]
    medium: Medium = Medium.SMS
    purpose: Purpose = Purpose.SERVICE
    language: Language = Language.ZH
    text_zh: Words = ""
    text_en: Words = ""
    wechat_template: Annotated[str, Meta(max_length=64, pattern="^[A-Za-z0-9_-]*$(?!\\n)")] = ""
    fields: Fields = {}  # noqa: RUF012 -- msgspec copies it


class FollowerBody(RequestBody, frozen=True):
    """The id under which a customer follows the official account."""

    customer: EdgeId
    openid: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]*$(?!\\n)")]


class FollowerView(msgspec.Struct, frozen=True):
    """A customer who follows the official account; under which id is not told."""

    customer: str


class TemplateView(msgspec.Struct, frozen=True):
    """A template; it is never changed, only retired."""

    id: str
    programme: str
    event_type: str
    medium: Medium
    purpose: Purpose
    language: Language
    text_zh: str
    text_en: str
    wechat_template: str
    fields: dict[str, str]
    created_at: str
    retired_at: str | None


class NoticeView(msgspec.Struct, frozen=True):
    """A text that was due; neither to which phone nor its words."""

    id: str
    card: str
    event: str
    event_type: str
    medium: Medium
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
        medium=template.medium,
        purpose=template.purpose,
        language=template.language,
        text_zh=template.text_zh,
        text_en=template.text_en,
        wechat_template=template.wechat_template,
        fields=template.fields,
        created_at=rfc3339(to_us(template.created_at)),
        retired_at=_time(template.retired_at),
    )


def _notice(row: dict[str, Any]) -> NoticeView:
    return NoticeView(
        id=to_edge(TEXT, row["id"]),
        card=to_edge("card", row["card"]),
        event=row["event"],
        event_type=row["event_type"],
        medium=Medium(row["medium"]),
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
    """Tell an event of a programme's cards to their holders from now on."""

    async def work(conn: Conn) -> TemplateView:
        new = NewTemplate(
            programme=from_edge("prg", data.programme, field="programme"),
            event_type=data.event_type,
            medium=data.medium,
            purpose=data.purpose,
            language=data.language,
            text_zh=data.text_zh,
            text_en=data.text_en,
            wechat_template=data.wechat_template,
            fields=data.fields,
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


@post("/v1/notice-followers", guards=[requires(WRITE)], tags=["notices"])
async def follow(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: FollowerBody,
    once: Once,
    templates: Templates,
) -> Response[FollowerView]:
    """Say under which id a customer follows the official account; another one gives way."""

    async def work(conn: Conn) -> FollowerView:
        customer = from_edge("cus", data.customer, field="customer")
        await templates.follow(conn, principal, customer, data.openid)
        return FollowerView(data.customer)

    return await once(request, principal, data, work)


@delete("/v1/notice-followers/{customer:str}", guards=[requires(WRITE)], tags=["notices"])
async def unfollow(
    principal: Principal, db: Database, templates: Templates, customer: EdgeId
) -> None:
    """Forget it: the customer is told nothing by WeChat any more."""
    async with db.transaction() as conn:
        await templates.unfollow(conn, principal, from_edge("cus", customer))


ROUTES: list[HTTPRouteHandler] = [
    create_template,
    list_templates,
    retire_template,
    list_notices,
    follow,
    unfollow,
]
