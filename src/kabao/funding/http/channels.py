"""`/v1/channels`: accounts at those who take money outside."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.access.model import ApprovalView, view
from kabao.access.ops import Access
from kabao.base.clock import Clock, now, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    KEY_HEADER,
    LINE,
    Amount,
    AmountOrZero,
    Currency,
    EdgeId,
    Nothing,
    RequestBody,
    idempotency_key,
)
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.funding.approvals import ACCOUNT_ACTION, CHANNEL_ACTION, NewAccount, NewChannel
from kabao.funding.model.answers import Scene
from kabao.funding.model.bills import BillState, Matched
from kabao.funding.model.channels import CHANNEL, Channel, ChannelState, Cycle, Terms
from kabao.funding.ops import Funding

READ, WRITE = "channels:read", "channels:write"

Word = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Account = Annotated[
    dict[str, Any],
    Meta(
        min_length=1,
        max_length=40,
        description="What the party's console hands out: numbers, keys, certificates. "
        "Kept sealed and never shown.",
    ),
]
Reason = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class AddChannel(RequestBody, frozen=True, kw_only=True):
    """An account at somebody who takes money, and its terms.

    `fee_ppm`: millionths of the amount; 6000 is 0.6 %. `cycle`: when the money of a
    day arrives. Among channels that may take a sum, a lower `priority` comes first.
    """

    company: EdgeId
    name: Word
    kind: Word
    account: Account
    scenes: Annotated[list[Scene], Meta(min_length=1, max_length=len(Scene))]
    purposes: Annotated[tuple[Word, ...], Meta(max_length=20)] = ()
    fee_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    fee_min: AmountOrZero = 0
    fee_max: AmountOrZero | None = None
    cycle: Cycle = Cycle.NEXT_DAY
    min: Amount = 1
    max: Amount | None = None
    daily_max: AmountOrZero | None = None
    priority: Annotated[int, Meta(ge=0, le=1_000)] = 100
    currency: Currency = "CNY"
    reason: Reason


class ChangeAccount(RequestBody, frozen=True, kw_only=True):
    """Another account of a channel: all of it, also what stays as it is."""

    account: Account
    reason: Reason


class ChannelView(msgspec.Struct, frozen=True):
    """A payment channel; its account is not shown."""

    id: str
    company: str
    name: str
    kind: str
    scenes: list[Scene]
    purposes: list[str]
    fee_ppm: int
    fee_min: int
    fee_max: int | None
    cycle: Cycle
    min: int
    max: int | None
    daily_max: int | None
    currency: str
    priority: int
    status: ChannelState
    created_at: str


def _view(channel: Channel) -> ChannelView:
    return ChannelView(
        id=to_edge(CHANNEL, channel.id),
        company=to_edge("com", channel.company),
        name=channel.name,
        kind=channel.kind,
        scenes=list(channel.scenes),
        purposes=list(channel.purposes),
        fee_ppm=channel.fee_ppm,
        fee_min=channel.fee_min_fen,
        fee_max=channel.fee_max_fen,
        cycle=channel.cycle,
        min=channel.min_fen,
        max=channel.max_fen,
        daily_max=channel.daily_fen,
        currency="CNY",
        priority=channel.priority,
        status=channel.state,
        created_at=rfc3339(to_us(channel.created_at)),
    )


@post("/v1/channels", guards=[requires(WRITE)])
async def add_channel(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: AddChannel,
    once: Once,
    funding: Funding,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to a payment channel; from then on it is there.

    What is agreed to shows whose account it is and where it is reached, but no keys.
    """
    idempotency_key(request.headers.get(KEY_HEADER))  # missing: said before any look-up
    company = from_edge("com", data.company, field="company")
    if not principal.covers(company):
        raise NOT_FOUND.error("There is no such company.", field="company")

    async def work(conn: Conn) -> ApprovalView:
        terms = _terms(data)
        offer = await funding.channels.offer(conn, company, terms, data.account)
        payload = NewChannel(data.company, terms, offer)
        touched = frozenset({company})
        asked = await access.approvals.ask(
            conn, principal, CHANNEL_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


@post("/v1/channels/{channel:str}/account", guards=[requires(WRITE)])
async def change_account(
    request: Request[Any, Any, Any],
    principal: Principal,
    channel: str,
    data: ChangeAccount,
    once: Once,
    funding: Funding,
    access: Access,
    clock: Clock,
) -> Response[ApprovalView]:
    """Ask a second person to agree to another account of a channel, such as new keys."""

    async def work(conn: Conn) -> ApprovalView:
        found = await visible(conn, principal, funding, channel)
        offer = await funding.channels.offer_account(conn, found, data.account)
        payload = NewAccount(to_edge(CHANNEL, found.id), offer)
        touched = frozenset({found.company})
        asked = await access.approvals.ask(
            conn, principal, ACCOUNT_ACTION, payload, data.reason, companies=touched
        )
        return view(asked, now(clock))

    return await once(request, principal, data, work)


def _terms(data: AddChannel) -> Terms:
    return Terms(
        name=data.name,
        kind=data.kind,
        scenes=tuple(dict.fromkeys(data.scenes)),
        purposes=tuple(dict.fromkeys(data.purposes)),
        fee_ppm=data.fee_ppm,
        fee_min_fen=data.fee_min,
        fee_max_fen=data.fee_max,
        cycle=data.cycle,
        min_fen=data.min,
        max_fen=data.max,
        daily_fen=data.daily_max,
        priority=data.priority,
    ).checked()


@get("/v1/channels", guards=[requires(READ)])
async def list_channels(
    principal: Principal,
    db: Database,
    funding: Funding,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[ChannelView]:
    """List payment channels, oldest first. A key for certain stores sees none."""
    found = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await funding.channels.search(
            conn,
            _companies(principal),
            after=None if found is None else found[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda channel: (channel.id,))


def _companies(principal: Principal) -> list[str] | None:
    if principal.stores is not None:
        return []
    return None if principal.companies is None else list(principal.companies)


@get("/v1/channels/{channel:str}", guards=[requires(READ)])
async def get_channel(
    principal: Principal, db: Database, funding: Funding, channel: str
) -> ChannelView:
    """Get a payment channel."""
    async with db.read() as conn:
        return _view(await visible(conn, principal, funding, channel))


async def visible(conn: Conn, principal: Principal, funding: Funding, text: str) -> Channel:
    """A channel inside the key's scope. Raises `not_found`."""
    found = await funding.channels.find(conn, from_edge(CHANNEL, text))
    if not principal.covers(found.company):
        raise NOT_FOUND.error("There is no such channel.")
    return found


class BillView(msgspec.Struct, frozen=True):
    """A channel's bill of a day. Every difference is a case; `reason`: why it is not there yet."""

    day: date
    status: BillState
    lines: int
    differences: int
    reason: str | None


def _bill_view(bill: Matched) -> BillView:
    return BillView(bill.day, bill.state, bill.lines, bill.differences, bill.reason)


@get("/v1/channels/{channel:str}/bills", guards=[requires(READ)])
async def list_bills(
    principal: Principal,
    db: Database,
    funding: Funding,
    channel: str,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[BillView]:
    """List a channel's bills and how they compared with our books, newest first."""
    found = position(cursor, tuple[date])
    async with db.read() as conn:
        seen = await visible(conn, principal, funding, channel)
        before = None if found is None else found[0]
        rows = await funding.bills(conn, seen.id, before=before, limit=limit + 1)
    return page(rows, limit, _bill_view, lambda bill: (bill.day,))


@post("/v1/channels/{channel:str}/pause", guards=[requires(WRITE)], status_code=200)
async def pause(
    request: Request[Any, Any, Any],
    principal: Principal,
    channel: str,
    once: Once,
    funding: Funding,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[ChannelView]:
    """Give a channel no new orders; what it has is finished."""
    return await _set(request, principal, channel, once, funding, data, ChannelState.PAUSED)


@post("/v1/channels/{channel:str}/resume", guards=[requires(WRITE)], status_code=200)
async def resume(
    request: Request[Any, Any, Any],
    principal: Principal,
    channel: str,
    once: Once,
    funding: Funding,
    data: Nothing = Nothing(),  # noqa: B008 - a frozen value
) -> Response[ChannelView]:
    """Give a channel new orders again."""
    return await _set(request, principal, channel, once, funding, data, ChannelState.ACTIVE)


async def _set(
    request: Request[Any, Any, Any],
    principal: Principal,
    channel: str,
    once: Once,
    funding: Funding,
    data: Nothing,
    state: ChannelState,
) -> Response[ChannelView]:
    async def work(conn: Conn) -> ChannelView:
        found = await visible(conn, principal, funding, channel)
        return _view(await funding.channels.set_state(conn, found.id, state))

    response = await once(request, principal, data, work)
    await funding.channels.catch_up()
    return response


ROUTES = [
    add_channel,
    change_account,
    list_channels,
    get_channel,
    list_bills,
    pause,
    resume,
]
