"""The composition root: every object of a process, built in layer order.

Read from top to bottom it is the map of the house: each line hands a slice
what lies below it, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import psycopg

from kabao.access.ops import REFRESH_S, Access
from kabao.app.channels import DIRECT, Lines, makers
from kabao.app.clock import choose_clock
from kabao.app.desks import provided
from kabao.app.executors import register_executors
from kabao.app.morning import Morning
from kabao.app.night import Calendar, NightBook
from kabao.app.routes import ROUTES
from kabao.app.settings import Settings
from kabao.app.telling import Telling
from kabao.app.timed import add_jobs
from kabao.app.watching import Diary
from kabao.base import logs
from kabao.base.clock import BusinessDays, Clock
from kabao.base.db import Conn, Database
from kabao.base.errors import KabaoError
from kabao.base.ids import RandomIds
from kabao.base.jobs import Jobs
from kabao.base.tasks import pause
from kabao.base.web.hot import HotRoute
from kabao.base.web.once import Once
from kabao.cards.ops import Cards
from kabao.cards.ops.life import Life
from kabao.cards.ops.own_cards import OwnCards
from kabao.cards.ops.stock import Stock
from kabao.cases.ops import Cases
from kabao.clearing.ops import Accounts, Clearing, Movements
from kabao.customers.ops import Customers
from kabao.disputes.ops import Disputes, Papers
from kabao.edges.iso8583.differences import Differences
from kabao.edges.iso8583.papers import TerminalLog
from kabao.evidence.ops import Books, Evidence
from kabao.funding.ops import Funding
from kabao.kiosks.ops import Kiosks
from kabao.ledger.lots import Order
from kabao.ledger.ops import Ledger
from kabao.merchants.ops import Merchants
from kabao.org.ops import Org
from kabao.paycodes.ops import PayCodes
from kabao.payments.adjust import Adjustments
from kabao.payments.http import Door
from kabao.payments.lending import Lending
from kabao.payments.offline import OfflineSales
from kabao.payments.ops import Payments
from kabao.payments.parts import Parts
from kabao.payments.returns import Returns
from kabao.payments.suspense import Suspense
from kabao.policy import names
from kabao.policy.ops import Policy
from kabao.proofs.ops import PageTokens, Proofs, SmsTable
from kabao.reconciliation.ops import ChannelBills, Channels, Reconciliation
from kabao.reports.http.desk import ReportDesk
from kabao.reports.ops import Reports
from kabao.risk.ops import Risk
from kabao.tenders.ops import Tenders
from kabao.topups.ops import TopUps
from kabao.vault.model import Suite
from kabao.vault.ops import FileKeys, Vault

VAULT_RELOAD_S = 30
"""How often the key file is looked at again."""


log = logs.get("app")


class Kabao:
    """All of the platform in one process. Build it with `compose`."""

    def __init__(self, settings: Settings, db: Database, clock: Clock) -> None:
        self.settings, self.db, self.clock = settings, db, clock
        self.days = days = BusinessDays(settings.timezone, settings.business_day_cutoff)
        self.ids = ids = RandomIds(clock)
        self.vault = Vault(
            FileKeys(settings.keys_file, clock), clock, suite=Suite(settings.cipher.value)
        )
        self.policy = Policy.load(clock, [settings.policy_dir] if settings.policy_dir else [])
        self.org = Org(db, ids, clock, days)
        self.ledger = Ledger(db, clock, days, lanes=settings.lanes)
        self.access = Access(db, self.vault, self.policy, self.org, ids, clock, days)
        self.sms = SmsTable(self.vault, ids, clock)
        self.proofs = Proofs(db, self.vault, self.policy, ids, clock, days, self.sms)
        self.page_tokens = PageTokens(self.vault, self.policy, ids, clock, days)
        self.cases = Cases(self.policy, ids, clock, days)
        self.merchants = Merchants(
            db,
            self.vault,
            self.policy,
            self.org,
            self.ledger,
            self.access.log,
            self.proofs,
            self.cases,
            ids,
            clock,
            days,
        )
        self.diary = Diary(self.access.log)
        self.customers = Customers(
            self.vault, self.policy, self.org, ids, clock, days, on_look=self.diary.look
        )
        self.cards = Cards(
            db,
            self.ledger,
            self.vault,
            self.policy,
            self.org,
            self.customers,
            ids,
            clock,
            days,
        )
        self.stock = Stock(self.org, self.merchants, ids, clock)
        self.life = Life(
            self.cards,
            self.ledger,
            self.vault,
            self.policy,
            self.customers,
            self.stock,
            ids,
            clock,
        )
        self.paycodes = PayCodes(db, self.cards, self.vault, ids, clock)
        self.risk = Risk(db, self.ledger, self.cards, self.org, self.cases, days)
        self.lines = Lines()
        self.funding = Funding(
            db,
            self.cases,
            self.vault,
            self.policy,
            self.org,
            ids,
            clock,
            days,
            makers=makers(self.lines, clock),
            direct=DIRECT,
            rules_of=self.cards.rules,
            notify_base=settings.notify_base,
        )
        self.own_cards = OwnCards(db, self.ledger, self.merchants, ids, clock, days)
        self.payments = Payments(
            db, self.ledger, self.cards, self.paycodes, self.org, self.policy, clock, days, ids
        )
        parts = Parts(self.payments, self.ledger, self.paycodes, ids)
        self.tenders = Tenders(db, parts, self.org, self.policy, clock, days, ids)
        self.merchants.shifts.count_also(self.tenders)
        self.adjustments = Adjustments(self.ledger, self.cards, clock, days)
        self.offline_sales = OfflineSales(
            db, self.payments, self.ledger, self.cards, self.paycodes, self.vault, clock, days, ids
        )
        self.suspense = Suspense(self.ledger, self.cards, self.life)
        self.topups = TopUps(
            db,
            self.ledger,
            self.cards,
            self.customers,
            self.merchants,
            self.org,
            self.policy,
            self.funding,
            clock,
            days,
            ids,
        )
        self.kiosks = Kiosks(
            db,
            self.topups,
            self.payments,
            self.cards,
            self.cases,
            self.customers,
            self.merchants,
            self.org,
            self.policy,
            ids,
            clock,
            days,
        )
        self.returns = Returns(self.ledger, self.cards, self.life, self.payments, ids)
        books = Books(self.ledger, self.payments, self.topups, self.org)
        self.evidence = Evidence(db, self.vault, books, self.payments, clock)
        self.settlement_accounts = Accounts(db, self.vault, self.policy, self.org, ids, clock, days)
        self.reconciliation = Reconciliation(
            db, self.ledger, self.cases, self.policy, self.org, ids, clock, days
        )
        self.reconciliation.serve(Channels(self.funding, [Movements()]))
        self.pos_differences = Differences(clock, days)
        self.reconciliation.ask_also(self.pos_differences)
        self.channel_bills = ChannelBills(db, self.funding, self.reconciliation)
        self.clearing = Clearing(
            db,
            self.ledger,
            self.merchants,
            self.org,
            self.cases,
            self.policy,
            self.reconciliation,
            self.settlement_accounts,
            ids,
            clock,
            days,
        )
        self.disputes = Disputes(
            db,
            Lending(self.ledger, self.payments, ids),
            self.org,
            self.policy,
            self.cases,
            Calendar(self.clearing.terms),
            ids,
            clock,
            days,
        )
        self.papers = Papers(
            self.disputes,
            self.ledger,
            self.payments,
            self.evidence,
            books,
            self.merchants,
            TerminalLog(),
        )
        self.morning = Morning(self)
        self.telling = Telling(self)
        self.reports = Reports(
            db,
            self.ledger,
            NightBook(self.clearing, self.reconciliation, self.funding),
            clock,
            days,
            settings.timezone,
        )
        self.once = Once(db, clock, self.mac, self.vault, self._secret_hours)
        register_executors(self)
        self._tasks: list[asyncio.Task[None]] = []

    def mac(self, body: bytes) -> bytes:
        """The MAC under which a request's key is remembered."""
        return self.vault.mac("idempotency", body)

    def _secret_hours(self) -> int:
        rules = self.policy.rules(jurisdiction="national", on=self.days.of(self.clock.now_us()))
        return rules.int(names.HTTP_SECRET_REVEAL_HOURS)

    def lot_order(self, programme: str) -> Order:
        """Which load a spent fen came from, as policy says for a programme today."""
        rules = self.cards.rules(programme, self.days.of(self.clock.now_us()))
        return cast("Order", rules.text(names.CARD_LOT_ORDER))

    # What HTTP needs

    @property
    def routes(self) -> list[Any]:
        """The cold routes of every slice."""
        return ROUTES

    @property
    def hot_routes(self) -> list[HotRoute]:
        """The routes that bypass the framework."""
        return Door(self.payments, self.org, self.merchants, self.ids, self.mac).routes()

    @property
    def provided(self) -> dict[str, Any]:
        """Collaborators by the name handlers ask for them."""
        return provided(self)

    @property
    def report_desk(self) -> ReportDesk:
        """Reports as they are shown, also on the console."""
        return ReportDesk(self.db, self.reports, self.org, self.merchants, self.settings.fonts_dir)

    # Life

    async def start(self) -> None:
        """Check the keys, fill the snapshots, start lanes and look-ups."""
        async with self.db.transaction() as conn:
            await self.vault.check(conn)
        await self._refresh()
        await self.ledger.start()
        await self.payments.start()
        self._tasks = [
            asyncio.create_task(self._repeat(REFRESH_S, self._refresh), name="refresh"),
            asyncio.create_task(self._repeat(VAULT_RELOAD_S, self._reload), name="vault reload"),
        ]

    async def stop(self) -> None:
        """Finish what is in flight, then stop."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.telling.stop()
        await self.payments.stop()
        await self.ledger.stop()
        await self.lines.close()
        self.access.close()

    async def _refresh(self) -> None:
        """Follow what other processes changed: one cheap read for each snapshot."""
        await self.org.refresh()
        await self.merchants.refresh()
        await self.cards.refresh()
        await self.funding.refresh()
        await self.access.ring.refresh()
        async with self.db.read() as conn:
            await self.policy.refresh(conn)

    async def _reload(self) -> None:
        await asyncio.to_thread(self.vault.reload)

    async def _repeat(self, every_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat until cancelled. A database that is away is tried again."""
        while True:
            await pause(every_s)
            try:
                await work()
            except (KabaoError, psycopg.Error, OSError) as away:
                log.warning("app.refresh_failed", reason=type(away).__name__)

    def add_jobs(self, jobs: Jobs) -> None:
        """What a worker does besides: due holds and cards, old secrets."""
        add_jobs(self, jobs)


@contextlib.asynccontextmanager
async def composed(settings: Settings) -> Any:
    """A running platform on an open database; everything is stopped on leaving."""
    assert settings.database_url is not None, "the parent has found the database"
    db = Database(settings.database_url, max_size=settings.database_connections)
    await db.open()
    try:
        async with db.read() as conn:
            clock = await choose_clock(conn, simulated=settings.simulated)
        kabao = Kabao(settings, db, clock)
        await kabao.start()
        try:
            yield kabao
        finally:
            await kabao.stop()
    finally:
        await db.close()


__all__ = ["ROUTES", "Conn", "Kabao", "composed"]
