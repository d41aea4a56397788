"""One real PostgreSQL for all tests, and a fresh database for each that asks.

Under pytest-xdist the controlling process starts the server and its workers
join it; without xdist the first test that needs it does. It runs with every
durable setting on, like the platform's. The schema is migrated once, and each
database is a copy of that one. All files are in one folder: see `scratch`.
"""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import psycopg
import pytest
import structlog

from kabao.app.migrate import migrate
from kabao.base import logs
from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.ids import SequentialIds
from kabao.base.postgres import EmbeddedPostgres

from .databases import Databases
from .scratch import Scratch

hypothesis.settings.register_profile(
    "test",
    max_examples=50,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "proof", hypothesis.settings.get_profile("test"), max_examples=5_000
)


class Server:
    """The PostgreSQL of this test run, in a folder of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shared-"))
        self.folder.chmod(0o755)
        settings = {"shared_buffers": "256MB", "max_connections": "200", "max_wal_size": "512MB"}
        self.postgres = EmbeddedPostgres(self.folder, settings=settings)
        try:
            self.url = self.postgres.start()
            migrate(self.url)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_SCRATCH = pytest.StashKey[Scratch]()
_SERVER = pytest.StashKey[Server]()
_PROBLEM = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist's workers have the folder of their controller
        config.stash[_SCRATCH] = Scratch()
    logs.configure("info")
    logging.getLogger().handlers.clear()  # pytest shows the log of what fails
    proof = config.option.markexpr == "proof"
    hypothesis.settings.load_profile("proof" if proof else "test")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by xdist, in the controlling process, for each worker."""
    config: pytest.Config = node.config
    if _SERVER not in config.stash and _PROBLEM not in config.stash:
        try:
            config.stash[_SERVER] = Server()
        except Exception as failed:  # noqa: BLE001 -- tests without a database still run
            config.stash[_PROBLEM] = f"{type(failed).__name__}: {failed}"
    if _SERVER in config.stash:
        node.workerinput["kabao_url"] = config.stash[_SERVER].url
    else:
        node.workerinput["kabao_problem"] = config.stash[_PROBLEM]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()
    if _SCRATCH in config.stash:
        config.stash[_SCRATCH].remove()


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of the server's migrated database, which no test may touch."""
    shared: dict[str, Any] = getattr(request.config, "workerinput", {})
    if "kabao_problem" in shared:
        pytest.fail(f"The database of the tests does not start: {shared['kabao_problem']}")
    if "kabao_url" in shared:
        return str(shared["kabao_url"])
    if _SERVER not in request.config.stash:
        request.config.stash[_SERVER] = Server()
    return request.config.stash[_SERVER].url


@pytest.fixture(scope="session")
def databases(server_url: str) -> Iterator[Databases]:
    with psycopg.connect(server_url, dbname="postgres", autocommit=True) as admin:
        made = Databases(server_url, admin)
        yield made
        made.drop_left()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A fresh, migrated database, for this test alone."""
    with databases.copy() as url:
        yield url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The opened pool on a fresh database."""
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> FixedClock:
    """Stands at 10:00 in Shanghai on 22 November 2026."""
    return FixedClock(datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai")))


@pytest.fixture
def ids() -> SequentialIds:
    return SequentialIds()


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes during a test; afterwards everything is as before."""
    root, config = logging.getLogger(), structlog.get_config()
    before, level = root.handlers[:], root.level
    made = io.StringIO()
    logs.configure("info", made)
    yield made
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**config)
