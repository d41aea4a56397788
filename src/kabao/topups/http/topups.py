"""`/v1/topups`."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from litestar import Request, get, post
from msgspec.structs import replace

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.errors import IN_DOUBT, INVALID, KEY_REUSED, KabaoError
from kabao.base.ids import from_edge
from kabao.base.web.binding import KEYED, PATIENT
from kabao.base.web.fields import KEY_HEADER, EdgeId, ShortText, idempotency_key
from kabao.base.web.pages import Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.base.web.timely import ANSWER_S, timely
from kabao.cards.claims import unsecret
from kabao.cards.model import CardRef
from kabao.merchants.model import NO_TILL
from kabao.org.model import Store
from kabao.topups.http.bodies import ANY, TopUpBody, VoidBody
from kabao.topups.http.desk import TopUpDesk, issuers_of
from kabao.topups.http.views import TopUpView, topup_view
from kabao.topups.model import TopUp
from kabao.topups.model.between import CARD
from kabao.topups.model.topup import CASH
from kabao.topups.model.undoing import NOT_CASH
from kabao.topups.ops import NewTopUp
from kabao.topups.ops.between import NewBetween
from kabao.topups.ops.online import NewOnline

_canonical = msgspec.json.Encoder(order="deterministic").encode

US = 1_000_000

OURS = ("pos.", "kss_")
"""How references begin by which tills undo and count their own loads, and kiosks name visits."""


@post(
    "/v1/topups",
    guards=[requires("topups:write")],
    status_code=201,
    opt=KEYED | PATIENT,
    tags=["topups"],
)
async def create(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TopUpBody,
    topup_desk: TopUpDesk,
    clock: Clock,
) -> TopUpView:
    """Load a card: with cash at a counter, at once; or through a payment channel.

    A channel's top-up is answered as soon as the channel has it: `pending`, with what the
    payer is to be shown in `next_action`. What became of it tells `GET /v1/topups/{topup}`,
    and the events `topup.confirmed`, `topup.failed` and `topup.expired`.
    """
    if (data.card is None) == (data.source is None):
        raise INVALID.error("Name the card by its id or by its source.", field="source")
    if (data.reference or "").startswith(OURS):
        raise INVALID.error("A reference of this form is given by the platform.", field="reference")
    if data.channel in {CARD, CASH}:  # only a channel may take longer than that
        way = _with_card if data.channel == CARD else _with_cash
        return await timely(way(request, principal, data, topup_desk), IN_DOUBT, ANSWER_S)
    return await _through_channel(request, principal, data, topup_desk, clock)


async def _with_cash(
    request: Request[Any, Any, Any], principal: Principal, data: TopUpBody, desk: TopUpDesk
) -> TopUpView:
    if data.store is None:
        raise INVALID.error("Cash is counted in a store.", field="store")
    key = f"topup/{idempotency_key(request.headers.get(KEY_HEADER))}"
    said = _said(data)
    store = await desk.store(principal, data.store)
    try:
        till = await desk.till(store.id, data.terminal, data.cashier)
    except KabaoError:  # one that was blocked since still gets the first answer again
        if not await desk.topups.was_done(principal.company, key):
            raise
        till = NO_TILL
    new = NewTopUp(
        principal.company,
        key,
        desk.vault.mac("idempotency", _canonical(said)),
        data.source or CardRef(data.card or ""),
        data.amount,
        data.currency,
        store,
        till,
        data.reference,
        await desk.payer(principal, data.payer),
    )
    done = await desk.topups.load(new)
    return await desk.view(principal, done, told=not isinstance(new.source, CardRef))


async def _through_channel(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: TopUpBody,
    desk: TopUpDesk,
    clock: Clock,
) -> TopUpView:
    """Written down once for its key; the channel is asked after the commit, again where the
    first answer got lost: the same order asked twice is one order.
    """
    answered = await desk.once.answered(request, principal)
    new = await _new_online(principal, data, desk, clock, again=answered)
    key = idempotency_key(request.headers.get(KEY_HEADER))
    if await desk.topups.was_done(principal.company, f"topup/{key}"):
        raise KEY_REUSED.error()
    said = _said(data)
    mac = desk.vault.mac("idempotency", _canonical(said))
    if not answered:
        await desk.topups.online.prove(new.company, new.source, f"topup-prove/{key}", mac)

    async def work(conn: Conn) -> TopUpView:
        topup = await desk.topups.online.open_in(conn, new)
        await desk.topups.claim(conn, principal.company, f"topup/{key}", mac)
        return topup_view(topup, told=False)

    kept = await desk.once(request, principal, said, work)
    body: Any = kept.content  # `Once` answers with bytes
    opened = msgspec.json.decode(body, type=_Opened)
    topup = await desk.find(principal, opened.id)
    await desk.topups.online.begin(topup, data.payer_at())
    topup = await desk.find(principal, opened.id)
    # The secret that comes with a repetition was not judged: it shows no balance.
    return await desk.view(
        principal, topup, told=not answered and not isinstance(new.source, CardRef)
    )


async def _with_card(
    request: Request[Any, Any, Any], principal: Principal, data: TopUpBody, desk: TopUpDesk
) -> TopUpView:
    """Both secrets are judged first, each counted; then the value moves once for its key."""
    if data.paying_card is None:
        raise INVALID.error("Show the card that pays.", field="paying_card")
    store = await _sold_in(principal, data, desk)
    new = NewBetween(
        company=principal.company,
        paying=data.paying_card,
        source=data.source or CardRef(data.card or ""),
        amount_fen=data.amount,
        currency=data.currency,
        store=store.id if store else None,
        issuers=principal.companies,
        reference=data.reference,
    )
    key, said = idempotency_key(request.headers.get(KEY_HEADER)), _said(data)
    if await desk.topups.was_done(principal.company, f"topup/{key}"):
        raise KEY_REUSED.error()
    answered = await desk.once.answered(request, principal)
    mac = desk.vault.mac("idempotency", _canonical(said))
    if not answered:
        online = desk.topups.online
        await online.prove(new.company, new.paying, f"topup-paying/{key}", mac)
        await online.prove(new.company, new.source, f"topup-prove/{key}", mac)

    async def work(conn: Conn) -> TopUpView:
        topup = await desk.topups.between.move_in(conn, new)
        await desk.topups.claim(conn, principal.company, f"topup/{key}", mac)
        return topup_view(topup, told=False)

    kept = await desk.once(request, principal, said, work)
    body: Any = kept.content  # `Once` answers with bytes
    topup = await desk.find(principal, msgspec.json.decode(body, type=_Opened).id)
    # The secret that comes with a repetition was not judged: it shows no balance.
    return await desk.view(
        principal, topup, told=not answered and not isinstance(new.source, CardRef)
    )


def _said(data: TopUpBody) -> TopUpBody:
    """A body without its secrets: its key is bound to the cards, not to what was shown."""
    return replace(
        data,
        source=unsecret(data.source) if data.source else None,
        paying_card=unsecret(data.paying_card) if data.paying_card else None,
    )


class _Opened(msgspec.Struct, frozen=True):
    id: str


async def _new_online(
    principal: Principal, data: TopUpBody, desk: TopUpDesk, clock: Clock, *, again: bool
) -> NewOnline:
    """`again`: it was answered before; a till that was blocked since hears it again."""
    if data.scene is None:
        raise INVALID.error("Say how the payer meets the order.", field="scene")
    store = await _sold_in(principal, data, desk)
    till = NO_TILL
    if store is not None and not again:
        till = await desk.till(store.id, data.terminal, data.cashier)
    lives_us = data.expires_in * US if data.expires_in else None
    return NewOnline(
        company=principal.company,
        source=data.source or CardRef(data.card or ""),
        amount_fen=data.amount,
        currency=data.currency,
        channel=None if data.channel == ANY else data.channel,
        scene=data.scene,
        store=store,
        issuers=principal.companies,
        till=till,
        reference=data.reference,
        payer=await desk.payer(principal, data.payer),
        return_url=data.return_url,
        expires_us=clock.now_us() + lives_us if lives_us else None,
    )


async def _sold_in(principal: Principal, data: TopUpBody, desk: TopUpDesk) -> Store | None:
    """The store; None for an own online channel, which needs a key of the whole company."""
    if data.store is not None:
        return await desk.store(principal, data.store)
    for field, said in (("terminal", data.terminal), ("cashier", data.cashier)):
        if said is not None:
            raise INVALID.error("A till stands in a store.", field=field)
    if principal.stores is not None:
        raise INVALID.error("A key for certain stores names one.", field="store")
    return None


@post(
    "/v1/topups/{topup:str}/void",
    guards=[requires("topups:void")],
    status_code=200,
    opt=KEYED,
    tags=["topups"],
)
async def void(
    request: Request[Any, Any, Any],
    principal: Principal,
    topup: EdgeId,
    data: VoidBody,
    topup_desk: TopUpDesk,
) -> TopUpView:
    """Undo a cash top-up made by mistake, in the same shift, while none of it is spent.

    A supervisor allows it by an override (`POST /v1/overrides`, verb `topup_void`)
    to the cashier named here, or else to the one who took the cash.
    """
    found, topups = await topup_desk.find(principal, topup), topup_desk.topups
    key = f"topup-void/{idempotency_key(request.headers.get(KEY_HEADER))}"
    mac = topup_desk.vault.mac("idempotency", _canonical([found.id, data]))
    till = supervisor = None
    if not await topups.was_done(principal.company, key):
        if data.terminal or data.cashier:
            till = await topup_desk.till(_where(found), data.terminal, data.cashier)
        supervisor = await topups.allowed(
            found,
            till.cashier.id if till and till.cashier else None,
            from_edge("ovr", data.override, field="override") if data.override else None,
            key=f"{principal.company}/{key}",
        )
    done = await topups.void(principal.company, key, mac, found, supervisor, till)
    return await topup_desk.view(principal, done)


def _where(topup: TopUp) -> str:
    """The store of a top-up. Raises `topup_not_cash` where there is none."""
    if topup.store is None:
        raise NOT_CASH.error()
    return topup.store


@post(
    "/v1/topups/{topup:str}/cancel",
    guards=[requires("topups:write")],
    status_code=200,
    opt=KEYED | PATIENT,
    tags=["topups"],
)
async def cancel(
    request: Request[Any, Any, Any],
    principal: Principal,
    topup: EdgeId,
    topup_desk: TopUpDesk,
) -> TopUpView:
    """Want a channel's top-up no more. Asked again, it is still one wish.

    It is over when the channel has said so: what was paid in the meantime is confirmed, and
    a code that was scanned is cancelled 15 seconds after at the earliest. The answer is how
    it stands.
    """
    idempotency_key(request.headers.get(KEY_HEADER))
    found = await topup_desk.find(principal, topup)
    if found.collection is not None:
        await topup_desk.topups.online.cancel(found)
        found = await topup_desk.find(principal, topup)
    return await topup_desk.view(principal, found)


@get("/v1/topups/{topup:str}", guards=[requires("topups:read")], tags=["topups"])
async def show(principal: Principal, topup: EdgeId, topup_desk: TopUpDesk) -> TopUpView:
    """A top-up as it is now."""
    return await topup_desk.view(principal, await topup_desk.find(principal, topup))


@get("/v1/topups", guards=[requires("topups:read")], tags=["topups"])
async def search(
    principal: Principal,
    topup_desk: TopUpDesk,
    card: EdgeId | None = None,
    reference: ShortText | None = None,
    day: date | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> Page[TopUpView]:
    """Top-ups by card or by the caller's reference, newest first.

    Without either, those of one business day: `day`, or today. What the payer is to be
    shown is left out.
    """
    before = position(cursor, tuple[IdPosition])
    async with topup_desk.db.read() as conn:
        found = await topup_desk.topups.search(
            conn,
            stores=topup_desk.stores(principal),
            issuers=issuers_of(principal),
            card=from_edge("card", card, field="card") if card else None,
            reference=reference,
            day=day,
            before=before[0] if before else None,
            limit=limit + 1,
        )
        collections = await topup_desk.topups.online.collections(conn, found[:limit])
    told = {t.card: await topup_desk.covers(principal, t) for t in found[:limit]}
    return page(
        found,
        limit,
        lambda t: topup_view(t, told=told[t.card], collection=collections.get(t.collection or "")),
        lambda t: (t.id,),
    )


ROUTES = [create, void, cancel, show, search]
