"""What every command shares: its answer, its example, and how it reaches the platform."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO, TypeVar

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from kabao.app import settings as setting
from kabao.app.composition import Kabao, composed
from kabao.app.settings import Settings
from kabao.app.supervise import Platform
from kabao.base import logs
from kabao.base.errors import Kind, code
from kabao.base.postgres import EmbeddedPostgres

NO_DATABASE = code("no_database", Kind.UNAVAILABLE, "There is no database yet.")
FILE_UNUSABLE = code("file_unusable", Kind.INVALID, "The file cannot be written.")

FAILED = 1

Json = Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")]
T = TypeVar("T")

console = Console(stderr=False, highlight=False, soft_wrap=True)


def example(*lines: str) -> str:
    """The end of a command's help: how it is called."""
    return "[bold]Example[/bold]\n\n" + "\n\n".join(f"  $ {line}" for line in lines)


def answer(data: Any, text: str, *, as_json: bool) -> None:
    """Print the outcome of a command for a machine or for a person."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(data).decode() + "\n")
        sys.stdout.flush()
    else:
        console.print(text)


def prepare() -> Settings:
    """Read the settings and set up the log. Raises `bad_setting`."""
    settings = setting.load()
    logs.configure(settings.log_level)
    for line in setting.strangers():
        sys.stderr.write(f"kabao: {line}\n")
    return settings


@contextlib.contextmanager
def database(*, make: bool = False, migrate: bool = True) -> Iterator[Settings]:
    """The settings with the URL of a database that is open and of this version.

    One that another process of this machine runs is joined. Without any there
    is none to look at, unless the command may `make` one; so a misspelt
    KABAO_DATA is found. Without `migrate` it is taken as it is, and nothing of
    it is changed. Raises `no_database`, and what starting one raises.
    """
    settings = prepare()
    known = settings.database_url is not None or (settings.data / "postgres.json").exists()
    if not known and not make:
        raise NO_DATABASE.error(
            f"There is no database in {settings.data}. "
            "Set KABAO_DATA to the folder of one, or begin with: kabao serve"
        )
    if migrate:
        platform = Platform(settings)
        try:
            platform.open_database()
            yield platform.settings
        finally:
            platform.stop()
    elif settings.database_url is not None:
        yield settings
    else:
        with EmbeddedPostgres(settings.data) as postgres:
            yield replace(settings, database_url=postgres.url)


def with_platform(work: Callable[[Kabao], Awaitable[T]], *, make: bool = False) -> T:
    """Do something with the composed platform, in the time its database lives in.

    Only servers refuse simulated time: what people do on the console of a demo
    belongs there.
    """

    async def run(settings: Settings) -> T:
        async with composed(replace(settings, simulated=True)) as kabao:
            return await work(kabao)

    with database(make=make) as settings:
        return asyncio.run(run(settings))


@contextlib.contextmanager
def secret_file(path: Path) -> Iterator[TextIO]:
    """A new file that its owner alone may read, safe on the disk when the block is left.

    It is taken away again when the block fails. A file that is there already
    is never touched. Raises `file_unusable`.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refused:
        raise FILE_UNUSABLE.error(f"{path} cannot be made: {refused.strerror}.") from refused
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException as failed:
        path.unlink(missing_ok=True)
        if isinstance(failed, OSError):
            told = f"{path} cannot be written: {failed.strerror}."
            raise FILE_UNUSABLE.error(told) from failed
        raise


def console_user() -> str:
    """Who sits at this machine, for the audit log: the name of the system's account."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def progress(*, as_json: bool) -> Progress:
    """A progress bar on stderr; none for machines."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=as_json,
    )
