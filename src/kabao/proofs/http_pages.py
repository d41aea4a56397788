"""`/v1/page-tokens`: one-time tokens for payment pages (R-07)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from kabao.base.clock import rfc3339, to_us
from kabao.base.db import Conn
from kabao.base.web.fields import LINE, Amount, Currency, RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from kabao.proofs.model import PageOf
from kabao.proofs.ops import PageTokens

VERB = "page-tokens:write"

Token = Annotated[str, Meta(min_length=1, max_length=128, pattern=LINE)]


class PageBody(RequestBody, frozen=True, kw_only=True):
    """What a payment page is about."""

    amount: Amount
    currency: Currency
    order: ShortText
    session: Annotated[
        ShortText, Meta(description="Your name for the customer's session, or a hash of it.")
    ]


class SpendBody(PageBody, frozen=True, kw_only=True):
    """The token that came back, with what the page says now."""

    token: Token


class PageTokenView(msgspec.Struct, frozen=True):
    """A token to put into the page."""

    token: str
    expires_at: str


class SpentView(msgspec.Struct, frozen=True):
    """The page is the one that was shown: go on and pay."""

    order: str
    spent: bool


def _page(principal: Principal, body: PageBody) -> PageOf:
    return PageOf(principal.company, body.amount, body.currency, body.order, body.session)


@post("/v1/page-tokens", guards=[requires(VERB)], status_code=201, tags=["payments"])
async def issue(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: PageBody,
    once: Once,
    page_tokens: PageTokens,
) -> Response[PageTokenView]:
    """A one-time token for a payment page, bound to its amount, order and session."""

    async def work(conn: Conn) -> PageTokenView:
        made = await page_tokens.issue(conn, _page(principal, data))
        return PageTokenView(made.token, rfc3339(to_us(made.expires_at)))

    return await once(request, principal, data, work, secret=True)


@post("/v1/page-tokens/spend", guards=[requires(VERB)], status_code=200, tags=["payments"])
async def spend(
    request: Request[Any, Any, Any],
    principal: Principal,
    data: SpendBody,
    once: Once,
    page_tokens: PageTokens,
) -> Response[SpentView]:
    """Use a page's token up, once, before paying. Whatever is wrong: 422 `page_token_refused`."""

    async def work(conn: Conn) -> SpentView:
        await page_tokens.spend(conn, data.token, _page(principal, data))
        return SpentView(data.order, spent=True)

    return await once(request, principal, data, work)


ROUTES: list[HTTPRouteHandler] = [issue, spend]
