"""Where the tests keep their files: in memory where there is room, else under /tmp.

Nothing is shown less by that. Every durable setting of PostgreSQL stays on, and
what dies in a test is a process, never the machine: of what a process had
written nothing is lost, on whichever file system. Only the waiting for a disk
goes, and the work of writing there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

MEMORY, DISK = Path("/dev/shm"), Path("/tmp")
ROOM = 3 << 30
"""Bytes that must be free in memory. All tests together take up to 1 GB of it at once."""

_PREFIX = "kabao-tests-"


class Scratch:
    """The folder of one test run, which everybody's `tempfile` then uses.

    Unlike the usual one it may be passed by every user, as PostgreSQL's own must.
    """

    def __init__(self) -> None:
        _sweep()
        place = MEMORY if _has_room(MEMORY) else DISK
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self._lock = _locked(self.folder)
        self.folder.chmod(0o755)
        outside = os.environ  # noqa: TID251 -- for the programs that the tests start
        outside["TMPDIR"] = tempfile.tempdir = str(self.folder)

    def remove(self) -> None:
        tempfile.tempdir = None
        os.environ.pop("TMPDIR", None)  # noqa: TID251 -- put there above
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


def in_memory() -> bool:
    """Whether this run keeps its files in memory."""
    return Path(tempfile.gettempdir()).is_relative_to(MEMORY)


def _has_room(place: Path) -> bool:
    """Room enough, and PostgreSQL's programs may be run from there."""
    try:
        found = os.statvfs(place)
    except OSError:
        return False
    return (
        found.f_bavail * found.f_frsize >= ROOM
        and not found.f_flag & os.ST_NOEXEC
        and os.access(place, os.W_OK)
    )


def _sweep() -> None:
    """Remove what runs that were killed left in memory: nobody holds its lock."""
    for folder in MEMORY.glob(f"{_PREFIX}*"):
        if (lock := _locked(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Take a folder's lock, which ends with this process; None if another has it."""
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
