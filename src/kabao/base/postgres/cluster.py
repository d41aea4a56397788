"""One data folder with a PostgreSQL cluster: made, configured, checked."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kabao.base.errors import KabaoError, Kind, code
from kabao.base.postgres.account import Account, account_for
from kabao.base.postgres.binaries import MAJOR, reachable_binaries

DATA_UNREACHABLE = code(
    "data_unreachable", Kind.UNAVAILABLE, "The database's own user cannot reach the data folder."
)
DATA_NEWER = code("data_newer", Kind.UNAVAILABLE, "The data folder is of another version.")
DATABASE_FAILED = code(
    "database_failed", Kind.UNAVAILABLE, "The embedded PostgreSQL does not start."
)

FORMAT = 1
"""Of `postgres.json`. A folder with a higher one was written by a newer Kabao."""

USER = DATABASE = "kabao"
_PORTS = range(20_000, 32_000)
"""Below the range from which systems take ports for outgoing connections."""

_MB = 1 << 20


class Access(msgspec.Struct, forbid_unknown_fields=False):
    """How to connect; the contents of `postgres.json`."""

    port: int
    password: str
    format: int = FORMAT

    @property
    def url(self) -> str:
        """For any PostgreSQL client on this machine."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"


class Cluster:
    """The data folder and everything that must be true of it before a start."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self.data = data.resolve()
        self.folder = self.data / "postgres"
        self._access_file = self.data / "postgres.json"
        self._settings = dict(settings)

    def open(self) -> None:
        """Make or check the data folder. Raises `data_unreachable`."""
        self.account = account_for(self.folder)
        self._make_data_folder()

    def prepare(self) -> None:
        """Make or check the cluster and write its configuration.

        Raises `data_unreachable`, `data_newer`, `database_failed`.
        """
        self.binaries = reachable_binaries(self.account, self.data)
        self.access = self._read_access() or Access(_free_port(), secrets.token_urlsafe(18))
        if not self.folder.exists():
            self._initdb()
        self._check_version()
        if not _is_free(self.access.port):
            self.access.port = _free_port()
        self._write_access()
        self._configure()

    def join(self) -> Access | None:
        """How to connect to a server that another process supervises."""
        return self._read_access()

    def command(self, program: str, *arguments: str) -> list[str]:
        """A command line of one of the cluster's programs."""
        return [str(self.binaries / "bin" / program), *arguments]

    def _make_data_folder(self) -> None:
        try:
            if not self.data.exists():
                self.data.mkdir(parents=True)
                self.data.chmod(0o755)
            if (blocked := self.account.blocked_at(self.folder)) is not None:
                raise _unreachable(self.account, self.data, blocked)
            if not self.account.switch:
                _check_ours(self.data, self.folder)
        except OSError as refused:
            raise DATA_UNREACHABLE.error(
                f"The data folder {self.data} cannot be used ({refused.strerror}). "
                "Set KABAO_DATA to a folder that can be written."
            ) from refused

    def _read_access(self) -> Access | None:
        try:
            text = self._access_file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as refused:
            raise DATA_UNREACHABLE.error(
                f"{self._access_file} cannot be read ({refused.strerror}): start Kabao as "
                "the user who made the data folder, or set KABAO_DATA to another one."
            ) from refused
        try:
            access = msgspec.json.decode(text, type=Access)
        except msgspec.DecodeError as broken:
            raise DATABASE_FAILED.error(f"{self._access_file} is damaged: {broken}.") from broken
        if access.format > FORMAT:
            raise DATA_NEWER.error(
                f"The data folder {self.data} was written by a newer Kabao. "
                "Install that version, or set KABAO_DATA to another folder."
            )
        return access

    def _write_access(self) -> None:
        fresh = self._access_file.with_name("postgres.json.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(msgspec.json.encode(self.access))
        fresh.replace(self._access_file)

    def _initdb(self) -> None:
        """Make the cluster beside its place, then move it there: a start that
        is cut short leaves nothing that looks whole.
        """
        self._write_access()
        fresh = self.folder.with_suffix(".initdb")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.account.own(fresh)
        with (
            tempfile.NamedTemporaryFile("w", dir=self.data, prefix=".initdb-") as password,
            tempfile.TemporaryFile("w+b") as output,
        ):
            password.write(self.access.password)
            password.flush()
            self.account.own(Path(password.name))
            command = self.command(
                "initdb",
                f"--pgdata={fresh}",
                f"--username={USER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
            )
            status = self.account.start(command, output).wait()
            if status != 0:
                output.seek(0)
                reason = _last_line(output.read().decode(errors="replace"))
                raise DATABASE_FAILED.error(f"initdb failed: {reason}")
        fresh.rename(self.folder)

    def _check_version(self) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        if found == MAJOR:
            return
        advice = (
            "Install the Kabao that made it"
            if int(found) > int(MAJOR)
            else "Move it over with pg_upgrade or pg_dump"
        )
        raise DATA_NEWER.error(
            f"The data folder {self.data} is of PostgreSQL {found}, this Kabao brings {MAJOR}. "
            f"{advice}, or set KABAO_DATA to another folder."
        )

    def _configure(self) -> None:
        """Write `kabao.conf`; `local.conf` beside it is the operator's."""
        lines = [f"{name} = '{value}'\n" for name, value in self._configuration().items()]
        self._write("kabao.conf", "# Written at every start. Use local.conf.\n" + "".join(lines))
        main = self.folder / "postgresql.conf"
        include = "include = 'kabao.conf'\ninclude_if_exists = 'local.conf'\n"
        text = main.read_text()
        if include not in text:
            self._write("postgresql.conf", text + "\n" + include)

    def _write(self, name: str, text: str) -> None:
        fresh = self.folder / (name + ".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        self.account.own(fresh)
        fresh.replace(self.folder / name)

    def _configuration(self) -> dict[str, str]:
        memory = machine_memory()
        buffers = min(max(memory // 6, 128 * _MB), 8192 * _MB)
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.access.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            # An acknowledged payment is on the disk.
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            # Memory and write-ahead log. The recovery after a crash replays at
            # most max_wal_size, which takes seconds.
            "shared_buffers": f"{buffers // _MB}MB",
            "effective_cache_size": f"{memory // 2 // _MB}MB",
            "maintenance_work_mem": "256MB",
            "wal_buffers": "16MB",
            "min_wal_size": "256MB",
            "max_wal_size": "2GB",
            "checkpoint_timeout": "15min",
            "checkpoint_completion_target": "0.9",
            # After a crash it first makes sure that all files are on the disk.
            "recovery_init_sync_method": "syncfs" if _reports_lost_writes() else "fsync",
            # Plans: the statements are short and repeated, the disk is an SSD.
            "random_page_cost": "1.1",
            "effective_io_concurrency": "64",
            "jit": "off",
            "timezone": "UTC",
            # No statement text, no parameter, no key value ever reaches the log.
            "logging_collector": "on",
            "log_directory": "log",
            "log_filename": "postgresql-%Y%m%d-%H%M%S.log",
            "log_rotation_size": "8MB",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
            **self._settings,
        }


def machine_memory() -> int:
    """Bytes of memory we may count on: the machine's, or the container's limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(total, int(text)) if text.isdigit() else total


def _reports_lost_writes() -> bool:
    """Whether one call that syncs a whole file system tells of errors: Linux
    since 5.8. It spares a fsync for each of some thousand files.
    """
    system = os.uname()
    found = re.match(r"(\d+)\.(\d+)", system.release)
    return (
        system.sysname == "Linux" and found is not None and (int(found[1]), int(found[2])) >= (5, 8)
    )


def _check_ours(data: Path, folder: Path) -> None:
    """A folder made by root, or by another user, is of no use to us."""
    if folder.exists() and folder.stat().st_uid != os.geteuid():
        raise DATA_UNREACHABLE.error(
            f"The database in {data} belongs to another user: start Kabao as that user (or as "
            "root), or set KABAO_DATA to another folder."
        )


def _unreachable(account: Account, data: Path, blocked: Path) -> KabaoError:
    return DATA_UNREACHABLE.error(
        f"The data folder {data} cannot be reached by the user '{account.name}', as whom the "
        f"database runs because it refuses to run as root: {blocked} is closed to it. "
        "Set KABAO_DATA to a folder open to it, such as KABAO_DATA=/var/lib/kabao."
    )


def _free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on. Raises `database_failed`."""
    for _ in range(200):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        if _is_free(port):
            return port
    raise DATABASE_FAILED.error(
        f"No free port for the database between {_PORTS.start} and {_PORTS.stop - 1}."
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no reason given"
