"""The OS user PostgreSQL runs as.

PostgreSQL refuses to run as root. Started as root, Kabao picks the owner of an
existing cluster, else a system user of its own, else one that is there anyway.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import IO

import msgspec

OWN_USER = "kabao"
FALLBACK_USERS = ("postgres", "nobody")

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
"""What the database's programs see of ours: nothing, so that no secret leaks."""


class Account(msgspec.Struct, frozen=True):
    """An OS user; `switch` tells whether we must become it (we are root)."""

    uid: int
    gid: int
    name: str
    switch: bool

    def start(self, command: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a program as this user, in a session of its own, with our
        environment, terminal and signals kept away from it.
        """
        return subprocess.Popen(  # noqa: S603 -- programs of the wheel, never of a caller
            command,
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def blocked_at(self, path: Path) -> Path | None:
        """The first folder on the way to `path` that this user may not pass."""
        if not self.switch:
            return None
        for folder in reversed(path.resolve().parents):
            if not self._may(folder.stat(), stat.S_IXUSR):
                return folder
        return None

    def may_read(self, path: Path) -> bool:
        """Whether this user can read the file and pass every folder on the way."""
        return not self.switch or (
            self.blocked_at(path) is None and self._may(path.stat(), stat.S_IRUSR)
        )

    def _may(self, status: os.stat_result, owner_bit: int) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & owner_bit)
        if status.st_gid == self.gid:
            return bool(status.st_mode & (owner_bit >> 3))
        return bool(status.st_mode & (owner_bit >> 6))


def account_for(cluster: Path) -> Account:
    """Who runs the database whose cluster lies, or will lie, in this folder."""
    if os.geteuid() != 0:
        me = os.geteuid()
        return Account(uid=me, gid=os.getegid(), name=str(me), switch=False)
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid, _name(owner.st_uid), switch=True)
    if not _exists(OWN_USER):
        _add_system_user(OWN_USER)
    name = next(user for user in (OWN_USER, *FALLBACK_USERS) if _exists(user))
    entry = pwd.getpwnam(name)
    return Account(entry.pw_uid, entry.pw_gid, name, switch=True)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _add_system_user(name: str) -> None:
    """Best effort: containers may lack useradd or have a read-only /etc."""
    useradd = shutil.which("useradd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if useradd is None:
        return
    nologin = shutil.which("nologin", path="/usr/sbin:/sbin") or "/bin/false"
    subprocess.run(  # noqa: S603 -- fixed arguments
        [useradd, "--system", "--no-create-home", "--user-group", "--shell", nologin, name],
        capture_output=True,
        check=False,
    )
