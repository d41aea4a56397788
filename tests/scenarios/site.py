"""A running platform as others run it: `kabao serve`, its processes, its log, its files.

Nothing of it lives in the test's own process, so anything in it may be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psycopg

from kabao.app.composition import Kabao, composed
from kabao.app.settings import Settings

from .http import Http
from .journal import Journal
from .world import World, found, seed

KABAO = str(Path(sys.executable).with_name("kabao"))
SERVERS = 2
SEED_S = 180.0
"""A start or stop that hangs is an error, not a test run without an end."""


class _Access(msgspec.Struct):
    """What the data folder says of its database."""

    port: int
    password: str


class Site:
    """One platform on a data folder and a port of its own, with a seeded world."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="site-"))
        self.home.chmod(0o755)
        self.data, self.log = self.home / "data", self.home / "log"
        self.port, self.pos_port = _free_port(), _free_port()
        self.journal = Journal()
        self._serve: subprocess.Popen[bytes] | None = None
        try:
            self._start()
            self.world = asyncio.run(asyncio.wait_for(self._seed(), SEED_S))
        except BaseException:
            self.stop()
            raise

    def _environment(self) -> dict[str, str]:
        outside = os.environ  # noqa: TID251 -- the program under test needs PATH and the like
        environment = {k: v for k, v in outside.items() if not k.startswith("KABAO_")}
        return environment | {
            "KABAO_DATA": str(self.data),
            "KABAO_HTTP_PORT": str(self.port),
            "KABAO_POS_PORT": str(self.pos_port),
            "KABAO_WEBHOOKS_PRIVATE": "true",
        }

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._serve = subprocess.Popen(
                [KABAO, "serve", "--processes", str(SERVERS), "--json"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._serve.stdout is not None
        if not self._serve.stdout.readline():
            raise AssertionError(f"kabao serve did not start:\n{self.log.read_text()[-3000:]}")

    async def _seed(self) -> World:
        async with self.composed() as kabao:
            founded = await found(kabao)
        http = self.http()
        try:
            return await seed(http, founded)
        finally:
            await http.close()

    @contextlib.asynccontextmanager
    async def composed(self) -> AsyncIterator[Kabao]:
        """The platform's objects in this process, beside those that serve."""
        settings = Settings(data=self.data, database_url=self.database_url, http_port=self.port)
        async with composed(settings) as kabao:
            yield kabao

    def http(self) -> Http:
        """Connections whose every request and answer is noted in the journal."""
        return Http(self.port, journal=self.journal)

    def audit(self, *, with_journal: bool = True) -> None:
        """`kabao audit`, as anybody would run it: every line must hold."""
        command = [KABAO, "audit"]
        if with_journal:
            self.journal.write(self.home / "journal")
            command += ["--journal", str(self.home / "journal")]
        run = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"

    def errors(self) -> list[str]:
        """Lines of the log that tell of defects."""
        return [line for line in self.log.read_text().splitlines() if '"level": "error"' in line]

    def stop(self) -> None:
        """End it; the folder goes as well."""
        if self._serve is not None:
            self._serve.terminate()
            try:
                self._serve.wait(60)
            except subprocess.TimeoutExpired:
                self._serve.kill()
                self._serve.wait()
            assert self._serve.stdout is not None
            self._serve.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)

    # The database

    @property
    def database_url(self) -> str:
        access = msgspec.json.decode((self.data / "postgres.json").read_bytes(), type=_Access)
        return f"postgresql://kabao:{access.password}@127.0.0.1:{access.port}/kabao"

    def connect(self) -> psycopg.Connection:
        """As the database's superuser; waits for one that is just coming back."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(self.database_url, autocommit=True, connect_timeout=5)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    # Processes

    def servers(self) -> list[int]:
        """Process ids of the servers that live now."""
        assert self._serve is not None
        return [pid for pid in _children(self._serve.pid) if b"server-" in _words(pid)]

    def worker(self) -> int:
        """The process id of the worker."""
        assert self._serve is not None
        return next(pid for pid in _children(self._serve.pid) if b"worker-" in _words(pid))

    def postmaster(self) -> int | None:
        """The process id of the database's parent; None while there is none."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postgres" / "postmaster.pid").read_text().splitlines()[0])
            if _words(pid):
                return pid
        return None

    def backends(self) -> list[int]:
        """The process ids of the database's children."""
        postmaster = self.postmaster()
        return [] if postmaster is None else _children(postmaster)

    async def spread(self, http: Http, count: int) -> None:
        """Open connections to each server in turn: a burst of new ones may all be
        taken by whichever server looks first.
        """
        servers = self.servers()
        for n, pid in enumerate(servers):
            others = [other for other in servers if other != pid]
            share = count // len(servers) + (n < count % len(servers))
            with stopped(*others):
                await http.connect(share)

    def kill_server(self) -> bool:
        """`kill -9` of one server process; False while none is up."""
        alive = self.servers()
        return bool(alive) and _kill(secrets.choice(alive))

    def kill_database(self) -> bool:
        """`kill -9` of the database's parent; its children find out and end."""
        postmaster = self.postmaster()
        return postmaster is not None and _kill(postmaster)


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """SIGSTOP: alive, holding everything, and doing nothing."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                if after_name[1] == str(pid) and after_name[0] != "Z":
                    found.append(int(entry.name))
    return found


def _words(pid: int) -> bytes:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
