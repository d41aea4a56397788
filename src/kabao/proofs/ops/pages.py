"""One-time tokens for payment pages (R-07).

A shop's server asks for a token when it shows a payment page, puts it into the
page, and spends it when the page comes back, before it pays. A page that was
copied, changed, shown to somebody else or sent twice brings a token that is
refused: it is bound to amount, order and session, and good for one use.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import msgspec

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn
from kabao.base.ids import ID_LENGTH, Ids, is_id
from kabao.policy import names
from kabao.policy.model import Rules
from kabao.policy.ops import Policy
from kabao.proofs import sql
from kabao.proofs.model import PAGE_TOKEN_REFUSED, PageOf
from kabao.vault.ops import Vault

SECRET_BYTES = 16
PREFIX = "pgt_"


class PageToken(msgspec.Struct, frozen=True):
    """A token for one page. It is a secret until it is spent."""

    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "<PageToken>"


class PageTokens:
    """Makes tokens, and lets each be spent once."""

    def __init__(
        self, vault: Vault, policy: Policy, ids: Ids, clock: Clock, days: BusinessDays
    ) -> None:
        self._vault, self._policy, self._ids = vault, policy, ids
        self._clock, self._days = clock, days

    async def issue(self, conn: Conn, page: PageOf) -> PageToken:
        """A fresh token for a page."""
        at, ident, secret = now(self._clock), self._ids.new(), secrets.token_hex(SECRET_BYTES)
        expires_at = at + timedelta(seconds=self._rules().int(names.PROOF_PAGE_TOKEN_SECONDS))
        await sql.insert_page_token(
            conn, ident, page.company, self._mac(ident, secret, page), at, expires_at
        )
        return PageToken(PREFIX + ident + secret, expires_at)

    async def spend(self, conn: Conn, token: str, page: PageOf) -> None:
        """Use a token up, in the transaction of what its page permits.

        Of any number at once one succeeds. Raises `page_token_refused`, the
        same for every reason; the token of another page stays as it is.
        """
        text = token.removeprefix(PREFIX)
        ident, secret = text[:ID_LENGTH], text[ID_LENGTH:]
        spent = (
            is_id(ident)
            and token.startswith(PREFIX)
            and await sql.spend_page_token(
                conn, ident, page.company, self._mac(ident, secret, page), now(self._clock)
            )
        )
        if not spent:
            rule = self._rules().row(names.PROOF_PAGE_TOKEN_SECONDS)
            raise PAGE_TOKEN_REFUSED.error(rule=rule, field="token")

    def _rules(self) -> Rules:
        on = self._days.of(self._clock.now_us())
        return self._policy.rules(jurisdiction="national", on=on)

    def _mac(self, ident: str, secret: str, page: PageOf) -> bytes:
        parts = (ident, secret, page.company, str(page.amount_fen), page.currency)
        return self._vault.mac(
            "proofs.page",
            *[part.encode("utf-8", "surrogatepass") for part in (*parts, page.order, page.session)],
        )
