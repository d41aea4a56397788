"""`kabao …`: the command line.

Every command has an example in its `--help` and a `--json` for machines. A
`KabaoError` ends in one clear line on stderr and a status other than 0.
"""

from __future__ import annotations

import importlib
import importlib.util
import signal
import sys
from types import FrameType
from typing import Annotated

import msgspec
import typer

from kabao.app.commands_base import FAILED, Json, answer, example, prepare
from kabao.app.supervise import Platform, wait_for_signal
from kabao.app.version import CODE_VERSION
from kabao.base.errors import KabaoError

MODULES = (
    "demo",
    "audit",
    "bench",
    "access",
    "cards",
    "day",
    "offline",
    "policy",
    "receipt",
    "reconcile",
    "vault",
)
"""`commands_NAME.py` beside this file; `register(app)` adds its commands. What is
not built is not there, and then `kabao --help` does not show it either.
"""

INTERRUPTED = 130

app = typer.Typer(
    name="kabao",
    help="Kabao, the open platform for stored-value cards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def root(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
    as_json: Json = False,
) -> None:
    """Kabao, the open platform for stored-value cards."""
    if version:
        answer({"version": CODE_VERSION}, f"kabao {CODE_VERSION}", as_json=as_json)
        raise typer.Exit


@app.command(epilog=example("kabao serve", "KABAO_HTTP_PORT=9000 kabao serve --processes 4"))
def serve(
    *,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Server processes that share the port.")
    ] = 1,
    workers: Annotated[
        int, typer.Option(min=0, max=16, help="Worker processes beside them; 0 for none.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Serve the API, on the embedded database unless KABAO_DATABASE_URL is set."""
    with Platform(prepare(), servers=processes, workers=workers) as platform:
        told = (
            f"Kabao {CODE_VERSION} serves [bold]{platform.http}[/bold] "
            f"with {processes} process{'es' if processes > 1 else ''}. Ctrl-C stops it."
        )
        wait_for_signal(
            lambda: answer({"http": platform.http, "pids": platform.pids()}, told, as_json=as_json)
        )


@app.command(epilog=example("kabao worker", "kabao worker --processes 2"))
def worker(
    *,
    processes: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    as_json: Json = False,
) -> None:
    """Do the deferred and the timed work; `kabao serve` brings one worker of its own."""
    with Platform(prepare(), workers=processes) as platform:
        told = f"{processes} worker{'s' if processes > 1 else ''} at work. Ctrl-C stops it."
        wait_for_signal(lambda: answer({"pids": platform.pids()}, told, as_json=as_json))


@app.command(epilog=example("kabao migrate", "KABAO_DATABASE_URL=postgresql://… kabao migrate"))
def migrate(*, as_json: Json = False) -> None:
    """Bring the database to this version; safe to repeat, safe from many machines."""
    platform = Platform(prepare())
    try:
        report = platform.open_database()
    finally:
        platform.stop()
    text = (
        f"The database is at revision {report.after}; nothing to do."
        if report.before == report.after
        else f"Migrated from {report.before or 'nothing'} to revision {report.after}."
    )
    answer(report, text, as_json=as_json)


def _gather() -> None:
    """Add the commands of the modules that are there."""
    for name in MODULES:
        path = f"kabao.app.commands_{name}"
        if importlib.util.find_spec(path) is not None:
            importlib.import_module(path).register(app)


_gather()


def main() -> None:
    """The entry point: run a command, turn a refusal into one line."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        app()
    except KabaoError as refused:
        if "--json" in sys.argv:
            problem = {"code": refused.code.name, "detail": refused.detail}
            sys.stderr.write(msgspec.json.encode(problem).decode() + "\n")
        else:
            sys.stderr.write(f"kabao: {refused.detail}\n")
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave(number: int, _: FrameType | None) -> None:
    """A signal to end unwinds like Ctrl-C, so that whatever was started is stopped."""
    sys.exit(128 + number)
