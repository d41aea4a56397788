"""The parent process: database, migration, then servers and workers.

    with Platform(settings, servers=2, workers=1) as platform:
        platform.settings.database_url, platform.pids()

Leaving the block stops everything, last started first. Whatever dies in
between is brought back: a child at once, the database within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

import msgspec
import psycopg

from kabao.app import migrate
from kabao.app.settings import Settings
from kabao.base import logs
from kabao.base.clock import RealClock
from kabao.base.db import Database, check_durability
from kabao.base.errors import UNAVAILABLE
from kabao.base.migrations import Report
from kabao.base.postgres import EmbeddedPostgres
from kabao.base.process import Fleet, Role, listen
from kabao.vault.model import Suite
from kabao.vault.ops import FileKeys

SERVER = "kabao.app.server:run"
WORKER = "kabao.app.worker:run"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = logs.get("supervise")


def _nothing() -> None:
    """For callers that need not hear of changes."""


class Platform:
    """Everything that runs for one `kabao serve`, `worker` or `demo`."""

    def __init__(
        self,
        settings: Settings,
        *,
        servers: int = 0,
        workers: int = 0,
        server_entry: str = SERVER,
        worker_entry: str = WORKER,
        on_change: Callable[[], None] = _nothing,
    ) -> None:
        self.settings = settings
        self._counts = {"server": servers, "worker": workers}
        self._entries = {"server": server_entry, "worker": worker_entry}
        self._on_change = on_change
        self._ends = contextlib.ExitStack()
        self.postgres: EmbeddedPostgres | None = None
        self._fleet: Fleet | None = None

    def __enter__(self) -> Platform:
        try:
            self.open_database()
            self.start_processes()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def open_database(self) -> Report:
        """Start or join the database, refuse an unsafe one, migrate it.

        From here on `settings.database_url` is set.
        """
        sockets = self._bind()
        url = self.settings.database_url
        if url is None:
            self.postgres = EmbeddedPostgres(self.settings.data)
            self._ends.callback(self.postgres.stop)
            url = self.postgres.start()
            self.settings = msgspec.structs.replace(self.settings, database_url=url)
        asyncio.run(_check(url))
        report = migrate.migrate(url)
        if report.before != report.after:
            _log.info("migrated", before=report.before, after=report.after)
        self._make_keys()
        self._sockets = sockets
        return report

    def _make_keys(self) -> None:
        """Fresh keys for a new installation, before several processes look for them.

        Every process checks them against the database, so keys made here for
        a database that was written with others are found at once.
        """
        FileKeys(
            self.settings.keys_file,
            RealClock(),
            create_if_missing=True,
            suite=Suite(self.settings.cipher.value),
        )

    def start_processes(self) -> None:
        """Start servers and workers and wait until all are ready."""
        sockets = {"server": self._sockets, "worker": {}}
        roles = [
            Role(name, self._entries[name], count, sockets[name])
            for name, count in self._counts.items()
            if count > 0
        ]
        if not roles:
            return
        if self._counts["server"]:
            self._clear_figures()
        self._fleet = Fleet(
            roles,
            module="kabao.app.child",
            settings=self.settings.to_json(),
            on_change=self._on_change,
        )
        self._fleet.start()
        self._ends.callback(self._fleet.stop)

    def _clear_figures(self) -> None:
        """Remove what servers left that are gone: their ids may be somebody else's now."""
        for left in self.settings.figures.glob("*"):
            left.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop everything cleanly, the database last."""
        self._ends.close()

    def pids(self) -> dict[str, list[int] | int | None]:
        """The process ids at this moment, as in `demo.json`."""
        found: dict[str, list[int] | int | None] = {}
        found.update(self._fleet.pids() if self._fleet else {})
        found["postmaster"] = self.postgres.pid if self.postgres else None
        return found

    @property
    def http(self) -> str:
        """Where the servers answer."""
        scheme = "https" if self.settings.tls_cert else "http"
        host = self.settings.http_host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.settings.http_port}"

    def _bind(self) -> dict[str, socket.socket]:
        """Take the ports first: one that is in use is found before anything starts."""
        if self._counts["server"] == 0:
            return {}
        host, taken = self.settings.http_host, {}
        for name, port in (("http", self.settings.http_port), ("pos", self.settings.pos_port)):
            taken[name] = listen(host, port, setting=f"KABAO_{name.upper()}_PORT")
            self._ends.callback(taken[name].close)
        return taken


def wait_for_signal(announce: Callable[[], None] = _nothing) -> str:
    """Wait until somebody wants us to stop; the signal's name.

    `announce` is called when signals are heard already.
    """
    told = threading.Event()
    names: list[str] = []

    def hear(number: int, _: FrameType | None) -> None:
        names.append(signal.Signals(number).name)
        told.set()

    before = {number: signal.signal(number, hear) for number in STOP_SIGNALS}
    try:
        announce()
        told.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return names[0]


async def _check(url: str) -> None:
    """Refuse a database that may lose what it has acknowledged."""
    try:
        conn = await Database(url).connect()
    except psycopg.OperationalError as gone:
        reason = str(gone).strip().splitlines()[0]
        raise UNAVAILABLE.error(f"The database cannot be reached: {reason}.") from gone
    async with conn:
        await check_durability(conn)
