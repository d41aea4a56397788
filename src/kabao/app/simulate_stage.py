"""Behind the doors of a simulation: its database, its clock, its processes.

The database server runs here, apart from the servers and workers, so that
these can be ended and started again when the clock is turned: a process reads
the clock's row once, at its start, and no two processes may ever disagree
about the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import psycopg

from kabao.access.model.people import founding
from kabao.access.model.verbs import Role
from kabao.app import migrate
from kabao.app.clock import set_clock
from kabao.app.composition import composed
from kabao.app.settings import Settings
from kabao.app.supervise import Platform
from kabao.base.clock import US_PER_S, BusinessDays, RealClock, SimulatedClock
from kabao.base.db import Database
from kabao.base.errors import Kind, code
from kabao.base.postgres import EmbeddedPostgres
from kabao.base.postgres.cluster import DATABASE, USER
from kabao.org.model import IssuerType, Jurisdiction, NewCompany
from kabao.simulation.chain import Keys
from kabao.simulation.ports import Pids
from kabao.simulation.world import GROUP

NOT_OURS = code(
    "database_not_ours", Kind.CONFLICT, "The database holds something that must not be replaced."
)

LEAD_MIN_S = 3.0
"""Real seconds that servers and workers may take to start, at least."""

FOUNDERS = (Role.ADMIN, Role.APPROVER, Role.OPERATOR, Role.MERCHANT, Role.AUDITOR)


def _nothing() -> None:
    """For callers that need not hear of changes."""


class Stage:
    """Implements `simulation.ports.Backstage` for processes of this machine.

    Attributes:
        clock: the simulated clock, the same in this process as in all others.
        days: business days by the settings.
        settings: with the database's URL.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        servers: int = 2,
        workers: int = 1,
        on_change: Callable[[], None] = _nothing,
    ) -> None:
        self.settings = msgspec.structs.replace(settings, simulated=True)
        self.days = BusinessDays(settings.timezone, settings.business_day_cutoff)
        self._counts = (servers, workers)
        self._on_change = on_change
        self._real = RealClock()
        at_us = self._real.now_us()
        self.clock = SimulatedClock(at_us, at_us, 1.0)
        self._rate = 1.0
        self._start_s = 0.0
        self.postgres: EmbeddedPostgres | None = None
        self._platform: Platform | None = None

    # Database

    @contextlib.contextmanager
    def database(self, *, replace: bool) -> Iterator[None]:
        """A running server with an empty, migrated database.

        Args:
            replace: whether a database that is there already may be thrown away.

        Raises `database_not_ours` when one is there and may not.
        """
        owner = Platform(self.settings)
        try:
            owner.open_database()
            self.settings, self.postgres = owner.settings, owner.postgres
            url = self.url
            if replace and self.postgres is not None:
                if not self.postgres.supervising:
                    raise NOT_OURS.error(f"Another Kabao is at work in {self.settings.data}.")
                _empty(url)
                migrate.migrate(url)
            _check_unused(url)
            yield
        finally:
            self.stop_processes()
            owner.stop()

    @property
    def url(self) -> str:
        """The database's."""
        assert self.settings.database_url is not None, "the database is open"
        return self.settings.database_url

    # Clock

    async def set_clock(self, to_us: int, rate: float) -> None:
        """Turn the clock. Only while no server or worker runs."""
        anchor_us = self._real.now_us()
        async with self._opened() as db, db.transaction() as conn:
            await set_clock(conn, anchor_us, to_us, rate)
        self.clock.set(anchor_us, to_us, rate)
        self._rate = rate

    async def turn(self, to_us: int, rate: float) -> None:
        """Let the clock run at another rate, and all processes start anew with it.

        It reaches `to_us` some seconds from now, when they are all ready.
        """
        lead_s = max(LEAD_MIN_S, 1.5 * self._start_s + 1.0)
        from_us = to_us - int(lead_s * rate * US_PER_S)
        assert from_us > self.clock.now_us(), "time never goes back"
        await asyncio.to_thread(self.stop_processes)
        await self.set_clock(from_us, rate)
        await asyncio.to_thread(self.start_processes)

    async def go_real(self) -> None:
        """Leave simulated time for good: from here on `kabao serve` takes the database.

        Waits, should the simulated clock have passed the real one.
        """
        await asyncio.to_thread(self.stop_processes)
        ended_us = self.clock.now_us()
        while self._real.now_us() < ended_us:  # noqa: ASYNC110 -- nobody tells when it has
            await asyncio.sleep(1)
        async with self._opened() as db, db.transaction() as conn:
            await conn.execute("delete from base.clock")
        at_us = self._real.now_us()
        self.clock.set(at_us, at_us, 1.0)
        self.settings = msgspec.structs.replace(self.settings, simulated=False)
        await asyncio.to_thread(self.start_processes)

    async def jump(self, to_us: int) -> None:
        """Turn the clock forward for every process at once: each is killed, and starts anew."""
        assert to_us > self.clock.now_us(), "time never goes back"
        await self.set_clock(to_us, self._rate)
        pids = self.pids()
        for pid in (*pids.servers, *pids.workers):
            self.kill(pid)

    # People

    async def found(self) -> tuple[str, Keys]:
        """The group company and the first keys; nobody is there yet to ask for them."""
        async with composed(self.settings) as kabao:
            new = NewCompany(
                name=GROUP, issuer_type=IssuerType.GROUP, jurisdiction=Jurisdiction.NATIONAL
            )
            async with kabao.db.transaction() as conn:
                company = await kabao.org.add_company(conn, new)
            await kabao.org.refresh()
            async with kabao.db.transaction() as conn:
                founders = await kabao.access.bootstrap(conn, founding(company.id, *FOUNDERS))
        keys = {founder.login: founder.key for founder in founders}
        return f"com_{company.id}", Keys(
            keys["operator"], keys["approver"], keys["merchant"], keys["auditor"]
        )

    # Processes

    def start_processes(self) -> None:
        """Start servers and workers and wait until all are ready."""
        servers, workers = self._counts
        begun = time.monotonic()
        platform = Platform(
            self.settings, servers=servers, workers=workers, on_change=self._on_change
        )
        self._platform = platform.__enter__()
        self._start_s = time.monotonic() - begun

    def stop_processes(self) -> None:
        """Let them finish what is in flight, and end."""
        if self._platform is not None:
            self._platform.stop()
            self._platform = None

    def pids(self) -> Pids:
        """The processes now."""
        found = self._platform.pids() if self._platform is not None else {}
        servers, workers = found.get("server"), found.get("worker")
        return Pids(
            tuple(servers) if isinstance(servers, list) else (),
            tuple(workers) if isinstance(workers, list) else (),
            self.postgres.pid if self.postgres is not None else None,
        )

    def kill(self, pid: int) -> None:
        """`kill -9`; nothing if it is gone already."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def memory_kb(self) -> dict[str, int]:
        """Resident memory by process; empty where /proc is not there to tell."""
        pids = self.pids()
        named = [(f"server-{n}", pid) for n, pid in enumerate(pids.servers)]
        named += [(f"worker-{n}", pid) for n, pid in enumerate(pids.workers)]
        found = {name: resident_kb(pid) for name, pid in named}
        return {name: kb for name, kb in found.items() if kb}

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[Database]:
        db = Database(self.url, max_size=2)
        await db.open()
        try:
            yield db
        finally:
            await db.close()


def resident_kb(pid: int) -> int:
    """Resident memory of a process in kB; 0 when it cannot be told."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _check_unused(url: str) -> None:
    """Make sure that nobody's business is in a database."""
    with psycopg.connect(url) as conn:
        if conn.execute("select 1 from org.company limit 1").fetchone() is not None:
            raise NOT_OURS.error(
                "This database is in use: it has companies. "
                "Set KABAO_DATA (or KABAO_DATABASE_URL) to another place."
            )


def _empty(url: str) -> None:
    """Throw the database away and make an empty one."""
    with psycopg.connect(url, dbname="postgres", autocommit=True) as conn:
        conn.execute(f"drop database if exists {DATABASE} with (force)")
        conn.execute(f"create database {DATABASE} owner {USER}")
