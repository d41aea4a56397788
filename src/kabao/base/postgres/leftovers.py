"""What a killed postmaster leaves behind, and how it is cleared away.

After `kill -9` of the postmaster its backends notice within moments and leave;
until the last one has, PostgreSQL refuses to start on the same data. After a
killed parent the postmaster itself may still be there. Both have the data
folder as working directory, and nobody else does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from kabao.base.postgres.cluster import DATABASE_FAILED

PATIENCE = ((2.0, signal.SIGINT), (6.0, signal.SIGQUIT), (12.0, signal.SIGKILL))
"""Seconds after which the leftovers are asked to go, told to go, and killed."""

GIVE_UP_S = 30.0


def clear_leftovers(cluster: Path) -> None:
    """Wait until no process works on the cluster; remove a stale pid file.

    The caller holds the lock on the data folder: nobody else supervises
    whatever is found. Raises `database_failed` when it will not go.
    """
    begun = time.monotonic()
    _signal(_postmaster(cluster), signal.SIGINT)
    sent = set[signal.Signals]()
    while left := _processes_in(cluster):
        waited = time.monotonic() - begun
        if waited > GIVE_UP_S:
            raise DATABASE_FAILED.error(
                f"Processes of an earlier PostgreSQL will not leave {cluster}: "
                f"{', '.join(map(str, left))}. End them and start again."
            )
        for after_s, number in PATIENCE:
            if waited > after_s and number not in sent:
                sent.add(number)
                for pid in left:
                    _signal(pid, number)
        time.sleep(0.05)
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _postmaster(cluster: Path) -> int | None:
    """The postmaster that the pid file names, if it is alive and works here."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if pid in _processes_in(cluster) else None


def _processes_in(cluster: Path) -> list[int]:
    if Path("/proc/self/cwd").exists():
        return [pid for pid in _pids() if _working_directory(pid) == str(cluster)]
    listing = subprocess.run(
        ["/bin/ps", "-axo", "pid=,command="], capture_output=True, text=True, check=False
    ).stdout
    wanted = f"-D {cluster}"
    return [int(line.split()[0]) for line in listing.splitlines() if line.endswith(wanted)]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _working_directory(pid: int) -> str | None:
    """Where a PostgreSQL process works; None for any other program."""
    try:
        if Path(f"/proc/{pid}/comm").read_text().strip() != "postgres":
            return None
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return None


def _signal(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
