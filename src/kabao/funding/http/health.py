"""How a channel does, its daily limit, and why channels were chosen."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.base.web.fields import LINE, AmountOrZero, RequestBody
from kabao.base.web.once import Once
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.funding.http.channels import READ, WRITE, visible
from kabao.funding.model.channels import CHANNEL, Channel
from kabao.funding.model.health import Change, ChangeKind, Circuit, Tally
from kabao.funding.model.routing import Chosen, Judged, PassedOver, RefusedChoice
from kabao.funding.ops import Funding

REFUSED = "rch"
"""Prefix at the edge."""

LATELY_MINUTES = (5, 60)
CHANGES_SHOWN = 50


class SetLimit(RequestBody, frozen=True):
    """A channel's daily limit from now on; `null` means that there is none."""

    daily_max: AmountOrZero | None
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE)]


class LatelyView(msgspec.Struct, frozen=True):
    """What a channel did in the last minutes. Refusals are the payers' and count for nothing."""

    minutes: int
    succeeded: int
    failed: int
    refused: int
    mean_ms: int


class LimitView(msgspec.Struct, frozen=True):
    """The limit of today. `max` is what holds now: less than `daily_max` while it is lowered."""

    daily_max: int | None
    max: int | None
    used: int
    lowered: bool
    currency: str = "CNY"


class ChangeView(msgspec.Struct, frozen=True):
    """A circuit that opened or closed, or a limit that changed; `by` where a person did it."""

    at: str
    kind: ChangeKind
    facts: dict[str, int | None]
    by: str | None
    reason: str | None


class HealthView(msgspec.Struct, frozen=True):
    """How a channel does. `success_ppm`: the estimated share of its calls that succeed."""

    channel: str
    circuit: Circuit
    circuit_since: str | None
    success_ppm: int
    lately: list[LatelyView]
    limit: LimitView
    changes: list[ChangeView]


class JudgedView(msgspec.Struct, frozen=True):
    """A channel that could have been chosen. Costs are in thousandths of a fen: the fee, and
    the fee with what a failure is expected to cost. `passed_over` is null for the one chosen.
    """

    channel: str
    name: str
    passed_over: PassedOver | None
    rule: str | None
    fee_mfen: int
    cost_mfen: int
    success_ppm: int
    circuit: Circuit
    limit_left: int | None
    priority: int
    probe: bool


class ChoiceView(msgspec.Struct, frozen=True):
    """Why a channel was chosen, and why the others were not."""

    at: str
    channel: str | None
    candidates: list[JudgedView]


class RefusedChoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """Why no channel could be chosen: nothing was opened, and nobody was asked."""

    id: str
    at: str
    company: str
    store: str | None
    programme: str
    scene: str
    amount: int
    currency: str
    code: str
    rule: str
    candidates: list[JudgedView]


def choice_view(chosen: Chosen) -> ChoiceView:
    """The record of a choice as it is shown."""
    return ChoiceView(
        at=rfc3339(to_us(chosen.created_at)),
        channel=None if chosen.channel is None else to_edge(CHANNEL, chosen.channel),
        candidates=[_judged_view(line) for line in chosen.lines],
    )


def _refused_view(refused: RefusedChoice) -> RefusedChoiceView:
    return RefusedChoiceView(
        id=to_edge(REFUSED, refused.id),
        at=rfc3339(to_us(refused.created_at)),
        company=to_edge("com", refused.company),
        store=None if refused.store is None else to_edge("sto", refused.store),
        programme=to_edge("prg", refused.programme),
        scene=refused.scene,
        amount=refused.amount_fen,
        currency="CNY",
        code=refused.code,
        rule=refused.rule,
        candidates=[_judged_view(line) for line in refused.lines],
    )


def _judged_view(line: Judged) -> JudgedView:
    return JudgedView(
        channel=to_edge(CHANNEL, line.channel),
        name=line.name,
        passed_over=line.passed_over,
        rule=line.rule,
        fee_mfen=line.fee_mfen,
        cost_mfen=line.cost_mfen,
        success_ppm=line.success,
        circuit=line.circuit,
        limit_left=line.left_fen,
        priority=line.priority,
        probe=line.probe,
    )


def _change_view(change: Change) -> ChangeView:
    return ChangeView(
        at=rfc3339(change.at_us),
        kind=change.kind,
        facts=change.facts,
        by=change.by_name,
        reason=change.reason,
    )


def _lately_view(minutes: int, tally: Tally) -> LatelyView:
    return LatelyView(minutes, tally.succeeded, tally.failed, tally.refused, tally.mean_ms)


@get("/v1/channels/{channel:str}/health", guards=[requires(READ)])
async def get_health(
    principal: Principal, db: Database, funding: Funding, channel: str
) -> HealthView:
    """Get how a payment channel does."""
    async with db.read() as conn:
        found = await visible(conn, principal, funding, channel)
        return await _health_view(conn, funding, found)


async def _health_view(conn: Conn, funding: Funding, channel: Channel) -> HealthView:
    health = funding.watch.of(channel.id)
    since_us, lowered = health.standing.breaker.since_us, health.standing.lowered
    rule = funding.watch.rules.limit
    daily = channel.daily_fen
    return HealthView(
        channel=to_edge(CHANNEL, channel.id),
        circuit=health.circuit,
        circuit_since=rfc3339(since_us) if since_us else None,
        success_ppm=health.success,
        lately=[_lately_view(n, funding.watch.lately(channel.id, n)) for n in LATELY_MINUTES],
        limit=LimitView(
            daily_max=daily,
            max=None if daily is None else rule.limit_fen(daily, lowered=lowered),
            used=await funding.router.used_fen(conn, channel.id),
            lowered=lowered,
        ),
        changes=[
            _change_view(change)
            for change in await funding.router.changes(conn, channel.id, CHANGES_SHOWN)
        ],
    )


@get("/v1/refused-choices", guards=[requires(READ)])
async def list_refused(
    principal: Principal,
    db: Database,
    funding: Funding,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[RefusedChoiceView]:
    """List choices that came to nothing, newest first: of the last thirty days."""
    found = position(cursor, tuple[IdPosition])
    companies, stores = principal.companies, principal.stores
    async with db.read() as conn:
        rows = await funding.router.refused(
            conn,
            None if companies is None else list(companies),
            None if stores is None else list(stores),
            None if found is None else found[0],
            limit + 1,
        )
    return page(rows, limit, _refused_view, lambda refused: (refused.id,))


@post("/v1/channels/{channel:str}/limits", guards=[requires(WRITE)], status_code=200)
async def set_limit(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SetLimit,
    once: Once,
    funding: Funding,
    channel: str,
) -> Response[HealthView]:
    """Raise or lower what a payment channel may collect in a day."""

    async def work(conn: Conn) -> HealthView:
        found = await visible(conn, principal, funding, channel)
        await funding.router.set_limit(conn, found.id, data.daily_max, principal, data.reason)
        changed = await funding.channels.find(conn, found.id)
        return await _health_view(conn, funding, changed)

    response = await once(request, principal, data, work)
    await funding.channels.catch_up()
    return response


ROUTES = [get_health, list_refused, set_limit]
