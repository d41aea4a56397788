"""Texts on their way to phones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kabao.base.clock import BusinessDays, Clock, now
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import from_edge
from kabao.cards.model import Card
from kabao.cards.ops import Cards
from kabao.customers.ops import Customers
from kabao.notices.model.texts import Drop, Limits, Template, Text, TextState, may_tell, yuan
from kabao.notices.ports import Phones, SmsOutcome
from kabao.notices.sql import texts as sql
from kabao.org.ops import Org
from kabao.policy.ops import Policy
from kabao.proofs.ops import Proofs, SmsTable

AT_ONCE = 50
SURELY = timedelta(minutes=5)
"""How long a worker may take for what it has taken, before somebody else may."""
AGAIN = timedelta(minutes=1)
A_DAY = timedelta(days=1)
COUNTER = "notices.sms"
CONSENTS = 200
PURGE_BATCH = 5_000

_LOCAL = ZoneInfo("Asia/Shanghai")


class Texter:
    """Sends texts: what certainly did not go out again later, what may have never again."""

    def __init__(
        self,
        db: Database,
        phones: Phones | None,
        proofs: Proofs,
        codes: SmsTable,
        cards: Cards,
        customers: Customers,
        org: Org,
        policy: Policy,
        clock: Clock,
        days: BusinessDays,
    ) -> None:
        """`phones` is the gateway; without one texts are dropped, and codes stay where they are."""
        self._db, self._phones, self._proofs, self._codes = db, phones, proofs, codes
        self._cards, self._customers, self._org = cards, customers, org
        self._policy, self._clock, self._days = policy, clock, days

    def limits(self) -> Limits:
        """What policy says today."""
        on = self._days.of(self._clock.now_us())
        return Limits.of(self._policy.rules(jurisdiction="national", on=on))

    async def round(self) -> int:
        """Send what is due, and codes first; for a tick. Returns how many were looked at."""
        await self._send_codes()
        at = now(self._clock)
        async with self._db.transaction() as conn:
            taken = await sql.take(conn, at, at + SURELY, AT_ONCE)
        for text in taken:
            await self._tell(text)
        return len(taken)

    async def tend(self) -> None:
        """Forget what is old; for a tick."""
        async with self._db.transaction() as conn:
            await sql.purge(conn, now(self._clock) - self.limits().kept, PURGE_BATCH)

    async def _send_codes(self) -> None:
        """One-time codes: handed over once, whatever comes of it (see `SmsTable.take`)."""
        if self._phones is None:
            return
        async with self._db.transaction() as conn:
            codes = await self._codes.take(conn, AT_ONCE)
        for code in codes:
            await self._phones.send(code.phone, code.text, "")

    async def _tell(self, text: Text) -> None:
        limits = self.limits()
        async with self._db.read() as conn:
            found = await self._addressed(conn, text, limits)
        if isinstance(found, Drop):
            await self._end(text, TextState.DROPPED, found)
            return
        assert self._phones is not None, "else it was dropped"
        phone, words = found
        hit = await self._proofs.counters.hit_now(COUNTER, phone, A_DAY, limits.per_day)
        if not hit.allowed:
            await self._end(text, TextState.DROPPED, Drop.TOO_MANY)
            return
        async with self._db.transaction() as conn:
            if not await sql.sending(conn, text.id, now(self._clock)):
                return
        await self._told(text, limits, await self._phones.send(phone, words, text.id))

    async def _told(self, text: Text, limits: Limits, outcome: SmsOutcome) -> None:
        match outcome:
            case SmsOutcome.ACCEPTED:
                await self._end(text, TextState.SENT, None)
            case SmsOutcome.UNREACHABLE if text.attempts < limits.attempts:
                async with self._db.transaction() as conn:
                    await sql.later(conn, text.id, now(self._clock) + AGAIN * text.attempts)
            case SmsOutcome.UNREACHABLE | SmsOutcome.REFUSED:
                await self._end(text, TextState.REFUSED, outcome)
            case SmsOutcome.UNKNOWN:
                await self._end(text, TextState.UNKNOWN, outcome)

    async def _end(self, text: Text, state: TextState, reason: str | None) -> None:
        async with self._db.transaction() as conn:
            await sql.end(conn, text.id, state, reason, now(self._clock))

    async def _addressed(self, conn: Conn, text: Text, limits: Limits) -> tuple[str, str] | Drop:
        """Whose phone, and the words; or why nobody is told."""
        if self._phones is None:
            return Drop.NO_GATEWAY
        if now(self._clock) - text.occurred_at > limits.oldest:
            return Drop.TOO_OLD
        template = await sql.template(conn, text.template)
        assert template is not None, "templates are never deleted"
        card = await self._cards.find_card(conn, text.card)
        customer = None if card.holder is None else await self._customers.find(conn, card.holder)
        if customer is None:
            return Drop.NO_HOLDER
        phone = None if customer.profile is None else customer.profile.phone
        if phone is None:
            return Drop.NO_PHONE
        consents = await self._customers.consents(conn, customer.id, limit=CONSENTS)
        if not may_tell(template.purpose, consents):
            return Drop.NO_CONSENT
        return phone, self._words(template, text, card)

    def _words(self, template: Template, text: Text, card: Card) -> str:
        local: datetime = text.occurred_at.astimezone(_LOCAL)
        values = {
            "amount": yuan(text.data.get("amount")),
            "balance": yuan(text.data.get("balance_after")),
            "last4": card.last4,
            "store": self._store(text.data.get("store")),
            "time": f"{local:%m-%d %H:%M}",
        }
        return template.words(values)

    def _store(self, named: Any) -> str:
        try:
            store = self._org.store(from_edge("sto", named))
        except (KabaoError, AttributeError):
            return "-"
        return "-" if store is None else store.name
