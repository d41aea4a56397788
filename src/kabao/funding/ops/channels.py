"""Channels: rows, a snapshot of them, and the adapter of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kabao.base import logs
from kabao.base.clock import US_PER_S, BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import NOT_FOUND, KabaoError
from kabao.base.ids import Ids, to_edge
from kabao.base.news import News
from kabao.funding.model.answers import Order, Queried, Refund, RefundAnswer, Scene, Unknown
from kabao.funding.model.channels import (
    CHANNEL,
    CHANNEL_ACCOUNT_UNUSABLE,
    CHANNEL_KIND_UNKNOWN,
    CHANNEL_NAME_TAKEN,
    NO_PUBLIC_URL,
    Channel,
    ChannelConfig,
    ChannelState,
    Offer,
    Terms,
    reaches_us,
)
from kabao.funding.ops.offers import Offers
from kabao.funding.ports import MakeChannel, PayChannel
from kabao.funding.sql import channels as sql
from kabao.policy import names
from kabao.policy.ops import Policy
from kabao.vault.ops import Vault

_SEALED_AT = ("funding.channel", "account")

log = logs.get("funding")


class Channels:
    """Every channel there is, as of a moment ago."""

    def __init__(
        self,
        db: Database,
        vault: Vault,
        policy: Policy,
        makers: Mapping[str, MakeChannel],
        ids: Ids,
        clock: Clock,
        days: BusinessDays,
        notify_base: str,
    ) -> None:
        """Args that are not collaborators:

        makers: how the adapter of each kind is made, handed in by `app`.
        notify_base: where channels reach us, such as `https://pay.example.com`.
        """
        self._db, self._vault, self._policy, self._makers = db, vault, policy, makers
        self._ids, self._clock, self._days = ids, clock, days
        self._notify_base = notify_base.rstrip("/")
        self._known: dict[str, Channel] = {}
        self._adapters: dict[str, PayChannel] = {}
        self._accounts: dict[str, bytes] = {}
        """Sealed, as the adapters were made from them."""
        self.offers = Offers(vault, ids, clock)
        self._revision = 0
        self._news = News(self.refresh)

    # The snapshot

    def get(self, ident: str) -> Channel | None:
        """A channel, as of a moment ago."""
        return self._known.get(ident)

    def all(self) -> list[Channel]:
        """Every channel, as of a moment ago."""
        return list(self._known.values())

    def of(self, company: str) -> list[Channel]:
        """A company's channels, those that come first at first."""
        own = [channel for channel in self._known.values() if channel.company == company]
        return sorted(own, key=lambda channel: (channel.priority, channel.id))

    def every(self) -> list[Channel]:
        """All channels of all companies."""
        return list(self._known.values())

    def adapter(self, ident: str) -> PayChannel | None:
        """What speaks with a channel; None if it is unknown here or has no usable account."""
        return self._adapters.get(ident)

    def notify_url(self, ident: str) -> str:
        """Where a channel tells us of orders and refunds."""
        return f"{self._notify_base}/v1/notifications/{to_edge(CHANNEL, ident)}"

    async def reached(self, ident: str) -> PayChannel | None:
        """The same, after a look for news if it is unknown: a sibling may just have added it."""
        if ident not in self._known:
            await self.catch_up()
        return self.adapter(ident)

    async def refresh(self) -> None:
        """Follow what other processes changed: one cheap read when nothing was."""
        async with self._db.read() as conn:
            newest = await sql.revision(conn)
            if newest == self._revision:
                return
            changed = await sql.since(conn, self._revision)
        for channel, sealed in changed:
            self._known[channel.id] = channel
            if self._accounts.get(channel.id) != sealed:
                self._open(channel, sealed)
            self._revision = max(self._revision, channel.revision)

    async def catch_up(self) -> None:
        """See by now what is committed by now."""
        await self._news.look()

    def _open(self, channel: Channel, sealed: bytes) -> None:
        self._adapters.pop(channel.id, None)
        self._accounts[channel.id] = sealed
        account = msgspec.json.decode(self._vault.decrypt(*_SEALED_AT, channel.id, sealed))
        if channel.active and not self._can_notify(channel, account):
            # It is asked all the same, so nothing is lost; but it takes minutes.
            log.warning("funding.public_url_missing", channel=channel.id)
        try:
            self._adapters[channel.id] = self._made(channel, account)
        except KabaoError as wrong:
            log.error("funding.channel_unusable", channel=channel.id, reason=wrong.code.name)

    def _made(self, channel: Channel, account: Mapping[str, Any]) -> PayChannel:
        make = self._makers.get(channel.kind)
        if make is None:
            raise CHANNEL_KIND_UNKNOWN.error(field="kind")
        today = self._days.of(self._clock.now_us())
        rules = self._policy.rules(jurisdiction="national", on=today)
        age_s = rules.int(names.FUNDING_NOTICE_AGE_SECONDS)
        try:
            return make(ChannelConfig(channel, account, age_s))
        except (KeyError, ValueError, TypeError, msgspec.MsgspecError):
            # Its text may repeat a key.
            raise CHANNEL_ACCOUNT_UNUSABLE.error(field="account") from None

    # Verbs

    async def offer(
        self, conn: Conn, company: str, terms: Terms, account: Mapping[str, Any]
    ) -> Offer:
        """Keep the account of a channel that a second person is to agree to.

        Raises `channel_kind_unknown`, `channel_account_unusable`, `channel_name_taken`,
        `public_url_missing`.
        """
        self._check(self._new(company, terms, revision=0), account)
        if await sql.named(conn, company, terms.name):
            raise CHANNEL_NAME_TAKEN.error(field="name")
        return await self.offers.keep(conn, account)

    async def offer_account(
        self, conn: Conn, channel: Channel, account: Mapping[str, Any]
    ) -> Offer:
        """Keep another account of a channel.

        Raises `channel_account_unusable`, `public_url_missing`.
        """
        self._check(channel, account)
        return await self.offers.keep(conn, account)

    async def add(
        self, conn: Conn, company: str, terms: Terms, account: Mapping[str, Any]
    ) -> Channel:
        """A new channel of a company. Its account is never shown again.

        Raises `channel_kind_unknown`, `channel_account_unusable`, `channel_name_taken`,
        `public_url_missing`.
        """
        channel = self._new(company, terms, await sql.next_revision(conn))
        self._check(channel, account)
        if not await sql.insert(conn, channel, self._sealed(channel.id, account)):
            raise CHANNEL_NAME_TAKEN.error(field="name")
        return channel

    async def change_account(self, conn: Conn, ident: str, account: Mapping[str, Any]) -> Channel:
        """Give a channel another account; orders it has are asked about with the new one.

        Raises `not_found`, `channel_account_unusable`, `public_url_missing`.
        """
        revision = await sql.next_revision(conn)
        self._check(await self.find(conn, ident), account)
        await sql.set_account(conn, ident, self._sealed(ident, account), revision)
        return await self.find(conn, ident)

    def _new(self, company: str, terms: Terms, revision: int) -> Channel:
        return Channel(
            **msgspec.structs.asdict(terms),
            id=self._ids.new(),
            company=company,
            state=ChannelState.ACTIVE,
            revision=revision,
            created_at=now(self._clock),
        )

    def _check(self, channel: Channel, account: Mapping[str, Any]) -> None:
        """Whether an adapter can be made of it that knows the scenes, and it can notify us."""
        offered = self._made(channel, account).capabilities.scenes
        if not offered.issuperset(channel.scenes):
            raise CHANNEL_ACCOUNT_UNUSABLE.error(
                "This kind of channel has no such scene.", field="scenes"
            )
        if not self._can_notify(channel, account):
            raise NO_PUBLIC_URL.error(rule="T-05")

    def _can_notify(self, channel: Channel, account: Mapping[str, Any]) -> bool:
        """Slips of a terminal are recorded by us; all others tell by themselves."""
        tells = set(channel.scenes) != {Scene.TERMINAL}
        return not tells or reaches_us(self._notify_base, account)

    def _sealed(self, ident: str, account: Mapping[str, Any]) -> bytes:
        return self._vault.encrypt(*_SEALED_AT, ident, msgspec.json.encode(account))

    async def forget_offers(self) -> int:
        """Drop accounts nobody agreed to in time; for a tick. Gives how many."""
        now_us = self._clock.now_us()
        rules = self._policy.rules(jurisdiction="national", on=self._days.of(now_us))
        valid_us = rules.int(names.APPROVAL_VALID_HOURS) * 3600 * US_PER_S
        async with self._db.transaction() as conn:
            return await self.offers.forget(conn, now_us - valid_us)

    async def set_state(self, conn: Conn, ident: str, state: ChannelState) -> Channel:
        """Pause or resume a channel. Raises `not_found`."""
        revision = await sql.next_revision(conn)
        await sql.set_state(conn, ident, state, revision)
        return await self.find(conn, ident)

    async def find(self, conn: Conn, ident: str) -> Channel:
        """A channel as it is now. Raises `not_found`."""
        found = await sql.get(conn, ident)
        if found is None:
            raise NOT_FOUND.error("There is no such channel.")
        return found

    async def search(
        self, conn: Conn, companies: Sequence[str] | None, *, after: str | None, limit: int
    ) -> list[Channel]:
        """Channels, oldest first; `companies` None: of every company."""
        return await sql.search(conn, companies, after, limit)

    # Questions that a channel without an adapter cannot answer

    async def query(self, ident: str, order: Order) -> Queried:
        """Ask what became of an order."""
        adapter = await self.reached(ident)
        return _NOBODY if adapter is None else await adapter.query(order)

    async def close(self, ident: str, order: Order) -> Queried:
        """End an order; where the channel cannot, ask what became of it."""
        adapter = await self.reached(ident)
        return _NOBODY if adapter is None else await adapter.close(order)

    async def refund(self, ident: str, order: Order, refund: Refund) -> RefundAnswer:
        """Give back."""
        adapter = await self.reached(ident)
        return _NOBODY if adapter is None else await adapter.refund(order, refund)

    async def query_refund(self, ident: str, order: Order, refund: Refund) -> RefundAnswer:
        """Ask what became of a refund."""
        adapter = await self.reached(ident)
        return _NOBODY if adapter is None else await adapter.query_refund(order, refund)


_NOBODY = Unknown("there is no adapter for this channel")
