"""Accounts of channels that wait for the second person."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

import msgspec

from kabao.base.clock import Clock
from kabao.base.db import Conn
from kabao.base.ids import Ids, from_edge, to_edge
from kabao.funding.model.channels import CHANNEL_OFFER_GONE, OFFER, Offer, shown
from kabao.funding.sql import offers as sql
from kabao.vault.ops import Vault

_SEALED_AT = ("funding.channel_offer", "account")


class Offers:
    """Kept sealed: an approval holds no secrets. Each is taken once."""

    def __init__(self, vault: Vault, ids: Ids, clock: Clock) -> None:
        self._vault, self._ids, self._clock = vault, ids, clock

    async def keep(self, conn: Conn, account: Mapping[str, Any]) -> Offer:
        """Keep an account until somebody agrees."""
        ident, plain = self._ids.new(), msgspec.json.encode(account)
        sealed = self._vault.encrypt(*_SEALED_AT, ident, plain)
        await sql.insert(conn, ident, sealed, self._clock.now_us())
        return Offer(to_edge(OFFER, ident), shown(account), self._digest(plain))

    async def take(self, conn: Conn, offer: Offer) -> Mapping[str, Any]:
        """The account that was agreed to. Raises `channel_offer_gone`."""
        ident = from_edge(OFFER, offer.id)
        sealed = await sql.take(conn, ident)
        plain = b"" if sealed is None else self._vault.decrypt(*_SEALED_AT, ident, sealed)
        if not compare_digest(self._digest(plain), offer.digest):
            raise CHANNEL_OFFER_GONE.error(rule="ATK-11")
        account: Mapping[str, Any] = msgspec.json.decode(plain)
        return account

    async def forget(self, conn: Conn, before_us: int) -> int:
        """Drop what nobody agreed to by then. Gives how many."""
        return await sql.forget(conn, before_us)

    def _digest(self, plain: bytes) -> str:
        return self._vault.mac("funding.channel_offer", plain).hex()
