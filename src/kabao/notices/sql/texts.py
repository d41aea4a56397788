"""Statements on templates and texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import convert
from msgspec.structs import asdict

from kabao.base.db import Conn, fetch_all, fetch_one, fetch_value
from kabao.notices.model.texts import Template, Text, TextState


async def insert_template(conn: Conn, template: Template) -> bool:
    """A new template; False when the event of that programme has one."""
    found = await fetch_value(
        conn,
        "insert into notices.template (id, programme, company, event_type, medium, purpose,"
        " language, text_zh, text_en, wechat_template, fields, created_at)"
        " values (%(id)s, %(programme)s, %(company)s, %(event_type)s, %(medium)s, %(purpose)s,"
        " %(language)s, %(text_zh)s, %(text_en)s, %(wechat_template)s, %(fields)s::json,"
        " %(created_at)s)"
        " on conflict (programme, event_type, medium) where retired_at is null do nothing"
        " returning 1",
        asdict(template) | {"fields": msgspec.json.encode(template.fields).decode()},
    )
    return found is not None


async def template(conn: Conn, ident: str) -> Template | None:
    """One template."""
    row = await fetch_one(conn, dict, "select * from notices.template where id = %s", [ident])
    return convert(row, Template | None)


async def retire(conn: Conn, ident: str, at: datetime) -> bool:
    """End a template; False when it has ended."""
    found = await fetch_value(
        conn,
        "update notices.template set retired_at = %s where id = %s and retired_at is null"
        " returning 1",
        [at, ident],
    )
    return found is not None


async def templates(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    programme: str | None,
    before: str | None,
    limit: int,
) -> list[Template]:
    """Templates of these companies, newest first."""
    rows = await fetch_all(
        conn,
        dict,
        "select * from notices.template"
        " where (%(companies)s::uuid[] is null or company = any(%(companies)s::uuid[]))"
        " and (%(programme)s::uuid is null or programme = %(programme)s::uuid)"
        " and (%(before)s::uuid is null or id < %(before)s::uuid)"
        " order by id desc limit %(limit)s",
        {
            "companies": None if companies is None else list(companies),
            "programme": programme,
            "before": before,
            "limit": limit,
        },
    )
    return convert(rows, list[Template])


async def living(conn: Conn) -> list[Template]:
    """Every template in use: one for each event type, programme and medium at most."""
    rows = await fetch_all(conn, dict, "select * from notices.template where retired_at is null")
    return convert(rows, list[Template])


async def insert_texts(conn: Conn, texts: Sequence[Text]) -> None:
    """Texts wait; one of the same template and event is not added."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            "insert into notices.text (id, template, event, card, data, occurred_at, state,"
            " attempts, next_at, created_at)"
            " values (%(id)s, %(template)s, %(event)s, %(card)s, %(data)s::json, %(occurred_at)s,"
            " %(state)s, %(attempts)s, %(next_at)s, %(created_at)s)"
            " on conflict (template, event) do nothing",
            [asdict(text) | {"data": msgspec.json.encode(text.data).decode()} for text in texts],
        )


async def take(conn: Conn, at: datetime, until: datetime, limit: int) -> list[Text]:
    """Take texts that are due; until then they are this worker's."""
    rows = await fetch_all(
        conn,
        dict,
        "with due as (select id from notices.text where state = 'waiting' and next_at <= %(at)s"
        "   order by next_at limit %(limit)s for update skip locked)"
        " update notices.text t set next_at = %(until)s, attempts = attempts + 1 from due"
        " where t.id = due.id returning t.*",
        {"at": at, "until": until, "limit": limit},
    )
    return convert(rows, list[Text])


async def waiting(conn: Conn) -> int:
    """How many texts wait."""
    return int(await fetch_value(conn, "select count(*) from notices.text where state = 'waiting'"))


async def sending(conn: Conn, ident: str, at: datetime) -> bool:
    """From now on it may have gone out; False when somebody else has it."""
    found = await fetch_value(
        conn,
        "update notices.text set state = 'unknown', ended_at = %s"
        " where id = %s and state = 'waiting' returning 1",
        [at, ident],
    )
    return found is not None


async def end(conn: Conn, ident: str, state: TextState, reason: str | None, at: datetime) -> None:
    """What became of it."""
    await conn.execute(
        "update notices.text set state = %s, reason = %s, ended_at = %s where id = %s",
        [state, reason, at, ident],
    )


async def later(conn: Conn, ident: str, next_at: datetime) -> None:
    """It certainly did not go out: try again then."""
    await conn.execute(
        "update notices.text set state = 'waiting', ended_at = null, next_at = %s where id = %s",
        [next_at, ident],
    )


async def texts(
    conn: Conn,
    *,
    companies: Collection[str] | None,
    card: str | None,
    state: TextState | None,
    before: str | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Texts of these companies' programmes with their event type, newest first."""
    return await fetch_all(
        conn,
        dict,
        "select x.id, x.card, x.event, t.event_type, t.medium, x.state, x.reason, x.attempts,"
        " x.created_at, x.ended_at from notices.text x join notices.template t on t.id = x.template"
        " where (%(companies)s::uuid[] is null or t.company = any(%(companies)s::uuid[]))"
        " and (%(card)s::uuid is null or x.card = %(card)s::uuid)"
        " and (%(state)s::text is null or x.state = %(state)s)"
        " and (%(before)s::uuid is null or x.id < %(before)s::uuid)"
        " order by x.id desc limit %(limit)s",
        {
            "companies": None if companies is None else list(companies),
            "card": card,
            "state": state,
            "before": before,
            "limit": limit,
        },
    )


async def purge(conn: Conn, before: datetime, limit: int) -> None:
    """Forget texts that have ended, made before a moment."""
    await conn.execute(
        "delete from notices.text where id in (select id from notices.text"
        " where created_at < %s and state <> 'waiting' order by created_at limit %s)",
        [before, limit],
    )


async def put_follower(conn: Conn, customer: str, openid: bytes, at: datetime) -> None:
    """By which account a customer is told, sealed; one known before gives way."""
    await conn.execute(
        "insert into notices.follower (customer, openid, followed_at) values (%s, %s, %s)"
        " on conflict (customer) do update set openid = excluded.openid,"
        " followed_at = excluded.followed_at",
        [customer, openid, at],
    )


async def follower(conn: Conn, customer: str) -> bytes | None:
    """The sealed account of a customer."""
    found: bytes | None = await fetch_value(
        conn, "select openid from notices.follower where customer = %s", [customer]
    )
    return found


async def drop_follower(conn: Conn, customer: str) -> bool:
    """Forget it; False when there was none."""
    found = await fetch_value(
        conn, "delete from notices.follower where customer = %s returning 1", [customer]
    )
    return found is not None
