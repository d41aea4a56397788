"""Start the cluster, watch it, bring it back when it dies, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import IO

import psycopg

from kabao.base import logs
from kabao.base.errors import KabaoError
from kabao.base.postgres.account import ENVIRONMENT
from kabao.base.postgres.cluster import (
    DATABASE,
    DATABASE_FAILED,
    USER,
    Cluster,
)
from kabao.base.postgres.leftovers import clear_leftovers

START_LIMIT_S = 600.0
"""A start may have to replay the write-ahead log after a crash."""

STOP_LIMIT_S = 60.0
LOGS_KEPT = 6
PRUNE_EVERY_S = 600.0
_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)

_WATCHER = 'read -r _ || kill -INT "$1" 2>/dev/null'
"""A shell that stops the server when our end of its pipe is closed by our death."""

_log = logs.get("postgres")


class EmbeddedPostgres:
    """The PostgreSQL of one data folder, supervised by one process.

    `start` returns when it accepts connections. From then on a thread of ours
    restarts it, also after `kill -9`, until `stop`. When another process
    supervises the folder already, `start` joins in and `stop` leaves it running.
    """

    def __init__(self, data: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._cluster = Cluster(data, settings or {})
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self.url = ""
        self.restarts = 0

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def supervising(self) -> bool:
        """Whether this process is the one that keeps the server alive."""
        return self._lock is not None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id now; it changes with every restart."""
        try:
            return int((self._cluster.folder / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return None

    @property
    def binaries(self) -> Path:
        """The folder whose `bin/` has pgbench, psql and pg_dump as well."""
        return self._cluster.binaries

    def start(self) -> str:
        """Start the server, or join one; the URL to connect to.

        Raises `data_unreachable`, `data_newer`, `database_failed`, each with
        one line that says what to do.
        """
        self._lock = self._take_lock()
        if self._lock is None:
            self.url = self._join()
            return self.url
        started: Future[None] = Future()
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._supervise, args=[started], name="postgres", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server cleanly: open transactions are rolled back."""
        self._stopping.set()
        self._interrupt(signal.SIGINT)
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)
            if self._thread.is_alive():
                self._interrupt(signal.SIGQUIT)
                self._thread.join()
            self._thread = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- the supervising thread ------------------------------------------------

    def _supervise(self, started: Future[None]) -> None:
        try:
            clear_leftovers(self._cluster.folder)
            self._cluster.prepare()
            self.url = self._cluster.access.url
            self._launch()
            self._make_database()
        except BaseException as failed:  # noqa: BLE001 -- handed to whoever waits in start()
            self._end_process()
            started.set_exception(failed)
            return
        _log.info("started", pid=self.pid, data=str(self._cluster.data))
        started.set_result(None)
        while self._wait_for_exit():
            self._bring_back()
        _log.info("stopped")

    def _wait_for_exit(self) -> bool:
        """Wait until the server is gone. True when it should not be."""
        assert self._process is not None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(PRUNE_EVERY_S)
                break
            self._prune_logs()
        self._end_watcher()
        if self._stopping.is_set():
            return False
        _log.error("died", pid=self._process.pid, status=status)
        return True

    def _bring_back(self) -> None:
        attempt = 0
        while not self._stopping.wait(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]):
            attempt += 1
            begun = time.monotonic()
            try:
                clear_leftovers(self._cluster.folder)
                self._launch()
            except (KabaoError, OSError) as failed:
                self._end_process()
                _log.error("restart failed", attempt=attempt, reason=str(failed))
                continue
            self.restarts += 1
            _log.warning("restarted", pid=self.pid, seconds=round(time.monotonic() - begun, 2))
            return

    def _launch(self) -> None:
        """Start the postmaster and wait until it takes connections."""
        cluster = self._cluster
        self._prune_logs()
        first_words = cluster.data / "postgres.start.log"
        with first_words.open("wb") as stream:
            self._process = cluster.account.start(
                cluster.command("postgres", "-D", str(cluster.folder)), stream
            )
        self._watcher = subprocess.Popen(  # noqa: S603 -- fixed arguments
            ["/bin/sh", "-c", _WATCHER, "kabao-watcher", str(self._process.pid)],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_LIMIT_S
        while not self._accepts(self.url, "postgres"):
            if self._process.poll() is not None or self._stopping.is_set():
                raise DATABASE_FAILED.error(f"PostgreSQL did not start: {self._reason()}")
            if time.monotonic() > deadline:
                raise DATABASE_FAILED.error(f"PostgreSQL did not start in {START_LIMIT_S:.0f} s.")
            time.sleep(0.02)

    def _accepts(self, url: str, database: str) -> bool:
        try:
            self._connect(url, database).close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, url: str, database: str) -> psycopg.Connection:
        return psycopg.connect(url, dbname=database, connect_timeout=5, autocommit=True)

    def _make_database(self) -> None:
        with contextlib.closing(self._connect(self.url, "postgres")) as conn:
            found = conn.execute("select 1 from pg_database where datname = %s", [DATABASE])
            if found.fetchone() is None:
                conn.execute(f"create database {DATABASE} owner {USER}")

    def _reason(self) -> str:
        """The last complaint of a server that did not start."""
        files = [self._cluster.data / "postgres.start.log", *self._log_files()[-1:]]
        complaints = [
            line.split("FATAL:", 1)[1].strip()
            for file in files
            for line in file.read_text(errors="replace").splitlines()
            if "FATAL:" in line and "the database system is" not in line
        ]
        return complaints[-1] if complaints else f"see {files[-1]}"

    def _log_files(self) -> list[Path]:
        return sorted((self._cluster.folder / "log").glob("postgresql-*.log"))

    def _prune_logs(self) -> None:
        for file in self._log_files()[:-LOGS_KEPT]:
            file.unlink(missing_ok=True)

    # -- ends --------------------------------------------------------------------

    def _interrupt(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(number)

    def _end_process(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        self._end_watcher()

    def _end_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate()
            self._watcher = None

    # -- two processes, one folder -------------------------------------------------

    def _take_lock(self) -> IO[bytes] | None:
        """The right to supervise the folder; None when another process has it."""
        cluster = self._cluster
        cluster.open()
        stream = (cluster.data / "postgres.lock").open("ab")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return None
        os.set_inheritable(stream.fileno(), False)  # noqa: FBT003 -- the standard library's way
        return stream

    def _join(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            access = self._cluster.join()
            if access is not None and self._accepts(access.url, DATABASE):
                return access.url
            time.sleep(0.1)
        raise DATABASE_FAILED.error(
            f"Another process supervises the database in {self._cluster.data} "
            "and it does not answer."
        )
