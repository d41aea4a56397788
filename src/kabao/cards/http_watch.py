"""`/v1/own-card-flags`: what cashiers did to cards of their own, for whoever looks after them."""

from __future__ import annotations

import msgspec
from litestar import get

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, IdPosition, Limit, Page, page, position
from kabao.base.web.principal import Principal, requires
from kabao.cards.flags import OwnCardDeed, OwnCardFlag
from kabao.cards.http_desk import CASHIER, STORE
from kabao.cards.ops.own_cards import OwnCards
from kabao.org.ops import Org


class OwnCardFlagView(msgspec.Struct, frozen=True):
    """A cashier refunded, loaded or activated a card that the same person holds."""

    id: str
    deed: OwnCardDeed
    store: str
    cashier: str
    card: str
    amount: int | None
    currency: str
    at: str
    noted_at: str


def _view(flag: OwnCardFlag) -> OwnCardFlagView:
    return OwnCardFlagView(
        id=to_edge("ocf", flag.id),
        deed=flag.deed,
        store=to_edge(STORE, flag.store),
        cashier=to_edge(CASHIER, flag.cashier),
        card=to_edge("card", flag.card),
        amount=flag.amount_fen,
        currency="CNY",
        at=rfc3339(to_us(flag.at)),
        noted_at=rfc3339(to_us(flag.noted_at)),
    )


@get("/v1/own-card-flags", guards=[requires("reports:read")])
async def list_own_card_flags(
    principal: Principal,
    db: Database,
    org: Org,
    own_cards: OwnCards,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> Page[OwnCardFlagView]:
    """What cashiers did to cards of their own, newest first."""
    before = position(cursor, tuple[IdPosition])
    async with db.read() as conn:
        rows = await own_cards.list_all(
            conn,
            stores=org.stores_within(principal.companies, principal.stores),
            before=None if before is None else before[0],
            limit=limit + 1,
        )
    return page(rows, limit, _view, lambda flag: (flag.id,))


ROUTES_WATCH = [list_own_card_flags]
