"""Texts on their way to phones."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import psycopg

from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import from_edge
from kabao.base.web.metrics import Counts
from kabao.cards.model import Card
from kabao.cards.ops import Cards
from kabao.customers.model import Customer
from kabao.customers.ops import Customers
from kabao.notices.model.texts import (
    Drop,
    Limits,
    Medium,
    Template,
    Text,
    TextState,
    may_tell,
    yuan,
)
from kabao.notices.ops.templates import FOLLOWER
from kabao.notices.ports import Followers, Handed, Phones
from kabao.notices.sql import texts as sql
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs, SmsTable
from kabao.vault.ops import Vault

AT_ONCE = 50
BESIDE = 8
"""Texts handed to a gateway side by side."""
SURELY = timedelta(minutes=5)
"""How long a worker may take for what it has taken, before somebody else may."""
AGAIN = timedelta(minutes=1)
A_DAY = timedelta(days=1)
COUNTER = "notices.sms"
CODE = "code"
"""What one-time codes are counted as, beside the media of texts."""
CONSENTS = 200
PURGE_BATCH = 5_000

log = logs.get("notices")

_LOCAL = ZoneInfo("Asia/Shanghai")


class Ready(msgspec.Struct, frozen=True):
    """Whom to tell what. Personal: never logged, never stored."""

    template: Template
    address: str
    values: dict[str, str]

    def __repr__(self) -> str:
        return f"<Ready {self.template.id}>"


class Texter:
    """Sends texts: what certainly did not go out again later, what may have never again."""

    def __init__(
        self,
        db: Database,
        phones: Phones | None,
        followers: Followers | None,
        vault: Vault,
        proofs: Proofs,
        codes: SmsTable,
        cards: Cards,
        customers: Customers,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        """`phones` and `followers` are the gateways; without one its texts are dropped, and
        codes stay where they are.
        """
        self._db, self._phones, self._followers, self._vault = db, phones, followers, vault
        self._proofs, self._codes = proofs, codes
        self._cards, self._customers, self._org = cards, customers, org
        self._policy, self._clock, self._days = policy, clock, days
        self._beside = asyncio.Semaphore(BESIDE)
        self.handed = Counts(
            "kabao_texts", "Texts handed to a gateway, by what it said.", ("what", "outcome")
        )
        self.dropped = Counts("kabao_texts_dropped", "Texts nobody was to be told.", ("reason",))

    def limits(self) -> Limits:
        """What policy says today."""
        on = self._days.of(self._clock.now_us())
        return Limits.of(self._policy.rules(jurisdiction="national", on=on))

    async def round(self) -> int:
        """Send what is due; for a tick. Returns how many were looked at."""
        at = now(self._clock)
        async with self._db.transaction() as conn:
            taken = await sql.take(conn, at, at + SURELY, AT_ONCE)
        await asyncio.gather(*(self._tell_one(text) for text in taken))
        return len(taken)

    async def tend(self) -> None:
        """Forget what is old; for a tick."""
        async with self._db.transaction() as conn:
            await sql.purge(conn, now(self._clock) - self.limits().kept, PURGE_BATCH)

    async def send_codes(self) -> None:
        """One-time codes, which wait behind no text; for a tick of their own.

        Each is handed over once, whatever comes of it (see `SmsTable.take`).
        """
        if self._phones is None:
            return
        async with self._db.transaction() as conn:
            codes = await self._codes.take(conn, BESIDE)
        phones = self._phones
        sent = await asyncio.gather(*(phones.send(code.phone, code.text, "") for code in codes))
        for outcome in sent:
            self.handed.add(CODE, outcome)

    async def _tell_one(self, text: Text) -> None:
        """One text; what goes wrong with it is no other's trouble."""
        try:
            async with self._beside:
                await self._tell(text)
        except (KabaoError, psycopg.Error) as away:
            log.warning("notices.text_left", reason=type(away).__name__)

    async def _tell(self, text: Text) -> None:
        limits = self.limits()
        async with self._db.read() as conn:
            ready = await self._ready(conn, text, limits)
        if isinstance(ready, Drop):
            await self._drop(text, ready)
            return
        hit = await self._proofs.counters.hit_now(COUNTER, ready.address, A_DAY, limits.per_day)
        if not hit.allowed:
            await self._drop(text, Drop.TOO_MANY)
            return
        async with self._db.transaction() as conn:
            if not await sql.sending(conn, text.id, now(self._clock)):
                return
        outcome = await self._hand_over(ready, text.id)
        self.handed.add(ready.template.medium, outcome)
        await self._told(text, limits, outcome)

    async def _hand_over(self, ready: Ready, reference: str) -> Handed:
        template, address = ready.template, ready.address
        match template.medium:
            case Medium.SMS:
                assert self._phones is not None, "else it was dropped"
                return await self._phones.send(address, template.words(ready.values), reference)
            case Medium.WECHAT:
                assert self._followers is not None, "else it was dropped"
                fields = template.filled(ready.values)
                return await self._followers.send(
                    address, template.wechat_template, fields, reference
                )

    async def _told(self, text: Text, limits: Limits, outcome: Handed) -> None:
        match outcome:
            case Handed.ACCEPTED:
                await self._end(text, TextState.SENT, None)
            case Handed.UNREACHABLE if text.attempts < limits.attempts:
                async with self._db.transaction() as conn:
                    await sql.later(conn, text.id, now(self._clock) + AGAIN * text.attempts)
            case Handed.UNREACHABLE | Handed.REFUSED:
                await self._end(text, TextState.REFUSED, outcome)
            case Handed.UNKNOWN:
                await self._end(text, TextState.UNKNOWN, outcome)

    async def _drop(self, text: Text, why: Drop) -> None:
        self.dropped.add(why)
        await self._end(text, TextState.DROPPED, why)

    async def _end(self, text: Text, state: TextState, reason: str | None) -> None:
        async with self._db.transaction() as conn:
            await sql.end(conn, text.id, state, reason, now(self._clock))

    async def _ready(self, conn: Conn, text: Text, limits: Limits) -> Ready | Drop:
        """Whom to tell what; or why nobody is told."""
        template = await sql.template(conn, text.template)
        assert template is not None, "templates are never deleted"
        if not self._has_gateway(template.medium):
            return Drop.NO_GATEWAY
        if now(self._clock) - text.occurred_at > limits.oldest:
            return Drop.TOO_OLD
        card = await self._cards.find_card(conn, text.card)
        customer = None if card.holder is None else await self._customers.find(conn, card.holder)
        if customer is None:
            return Drop.NO_HOLDER
        address = await self._address(conn, template.medium, customer)
        if isinstance(address, Drop):
            return address
        consents = await self._customers.consents(conn, customer.id, limit=CONSENTS)
        if not may_tell(template.purpose, consents):
            return Drop.NO_CONSENT
        return Ready(template, address, self._values(text, card))

    def _has_gateway(self, medium: Medium) -> bool:
        match medium:
            case Medium.SMS:
                return self._phones is not None
            case Medium.WECHAT:
                return self._followers is not None

    async def _address(self, conn: Conn, medium: Medium, customer: Customer) -> str | Drop:
        match medium:
            case Medium.SMS:
                phone = None if customer.profile is None else customer.profile.phone
                return Drop.NO_PHONE if phone is None else phone
            case Medium.WECHAT:
                sealed = await sql.follower(conn, customer.id)
                if sealed is None:
                    return Drop.NO_FOLLOWER
                return self._vault.decrypt(FOLLOWER, "openid", customer.id, sealed).decode()

    def _values(self, text: Text, card: Card) -> dict[str, str]:
        """What a text may tell."""
        local: datetime = text.occurred_at.astimezone(_LOCAL)
        return {
            "amount": yuan(text.data.get("amount")),
            "balance": yuan(text.data.get("balance_after")),
            "last4": card.last4,
            "store": self._store(text.data.get("store")),
            "time": f"{local:%m-%d %H:%M}",
        }

    def _store(self, named: Any) -> str:
        try:
            store = self._org.store(from_edge("sto", named))
        except (KabaoError, AttributeError):
            return "-"
        return "-" if store is None else store.name
