"""The watch: from the outbox to cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from kabao.base import outbox
from kabao.base.clock import BusinessDays, rfc3339, to_us
from kabao.base.db import Conn, Database
from kabao.base.ids import to_edge
from kabao.base.outbox import Written
from kabao.cards.ops import Cards
from kabao.cases.model import NewCase
from kabao.cases.ops import Cases
from kabao.ledger.ops import Ledger
from kabao.org.ops import Org
from kabao.risk import sql
from kabao.risk.model import (
    Alert,
    Drain,
    Emptied,
    Flagged,
    Memory,
    Paid,
    PaidBack,
    Sign,
    Spent,
    Terms,
    sign,
)

READER = "risk"
PAGE = 1_000
PAGES_AT_ONCE = 20
SHOWN = 6
"""Payments that a case names: a fact is short."""

DRAINED, SPENT, FLAGGED = "risk.cards_drained", "risk.topup_spent", "risk.payment_flagged"


class Risk:
    """Follows what happened and opens cases. Killed at any moment it has judged a page and
    remembered it, or neither; one watches at a time.
    """

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        cards: Cards,
        org: Org,
        cases: Cases,
        days: BusinessDays,
    ) -> None:
        self._db, self._ledger, self._cards = db, ledger, cards
        self._org, self._cases, self._days = org, cases, days

    async def round(self) -> int:
        """Judge what is new; for a tick. Returns how many alerts there were."""
        raised = 0
        for _ in range(PAGES_AT_ONCE):
            page = await self._page()
            if page is None:
                break
            raised += page
        return raised

    async def _page(self) -> int | None:
        """Judge a page; None when there was none, or somebody else is at it."""
        async with self._db.transaction() as conn:
            if not await sql.alone(conn):
                return None
            page = await outbox.read(conn, READER, PAGE)
            if not page:
                return None
            signs = [found for event in page if (found := sign(event)) is not None]
            alerts = await self._judge(conn, signs) if signs else []
            for alert in alerts:
                await self._open(conn, alert)
            await self._forget(conn, page)
            await outbox.advance(conn, READER, page[-1])
            return len(alerts)

    async def _judge(self, conn: Conn, signs: Sequence[Sign]) -> list[Alert]:
        stores = {one.store for one in signs if isinstance(one, Paid | PaidBack)}
        roots = {one.root for one in signs}
        programmes = await self._ledger.programmes(conn, roots)
        before = await sql.memory(conn, stores, roots)
        after = Memory(before.emptied.values(), before.loads.values(), before.alarms.values())
        alerts = list[Alert]()
        for one in signs:
            alerts += after.after(one, await self._terms(conn, programmes[one.root], one))
        await sql.keep(conn, before, after)
        return alerts

    async def _terms(self, conn: Conn, programme: str, sign: Sign) -> Terms:
        found = self._cards.programme(programme)
        found = found or await self._cards.find_programme(conn, programme)
        return Terms.of(self._cards.rules_of(found, self._days.of(to_us(sign.at))))

    async def _forget(self, conn: Conn, page: Sequence[Written]) -> None:
        newest = max(event.recorded_at for event in page)
        await sql.forget(conn, newest - outbox.OVERLAP)

    async def _open(self, conn: Conn, alert: Alert) -> None:
        match alert:
            case Drain():
                store = await self._org.find_store(alert.alarm.store)
                issuer = await self._issuer(conn, alert.payments[0].root)
                case = drain_case(alert, issuer if store is None else store.company)
            case Spent():
                case = spent_case(alert, await self._issuer(conn, alert.load.root))
            case Flagged():
                day = self._days.of(to_us(alert.at))
                case = flagged_case(alert, await self._issuer(conn, alert.root), day)
        await self._cases.open_in(conn, case)

    async def _issuer(self, conn: Conn, root: str) -> str:
        return (await self._ledger.issuers(conn, [root]))[root]


def drain_case(drain: Drain, company: str) -> NewCase:
    """Cards are being emptied in a store. It is the company's: not for keys of that store."""
    first, last = drain.payments[0], drain.payments[-1]
    return NewCase(
        kind=DRAINED,
        subject=to_edge("sto", drain.alarm.store),
        company=company,
        facts={
            "rule": "CR-91",
            "cards": len(drain.payments),
            "amount": sum(one.amount_fen for one in drain.payments),
            "first_at": rfc3339(to_us(first.at)),
            "last_at": rfc3339(to_us(last.at)),
            "payments": _named(drain.payments),
        },
        key=f"{drain.alarm.store} {drain.alarm.first}",
    )


def spent_case(spent: Spent, company: str) -> NewCase:
    """A load was spent at once."""
    load, payment = spent.load, spent.payment
    return NewCase(
        kind=SPENT,
        subject=to_edge("card", payment.card),
        company=company,
        facts={
            "rule": "CR-91",
            "topup": to_edge("top", load.topup),
            "payment": to_edge("pay", payment.payment),
            "store": to_edge("sto", payment.store),
            "amount": load.amount_fen,
            "seconds": int((payment.at - load.at).total_seconds()),
        },
        key=load.topup,
    )


def flagged_case(flagged: Flagged, company: str, day: date) -> NewCase:
    """A payment that looked strange by itself; those of one card and day are one case."""
    return NewCase(
        kind=FLAGGED,
        subject=to_edge("card", flagged.card),
        company=company,
        facts={
            "rule": "R-06",
            "why": flagged.why,
            "payment": to_edge("pay", flagged.payment),
            "store": to_edge("sto", flagged.store),
            "amount": flagged.amount_fen,
        },
        key=f"{flagged.root} {flagged.why} {day}",
    )


def _named(payments: Sequence[Emptied]) -> str:
    return " ".join(to_edge("pay", one.payment) for one in payments[-SHOWN:])
