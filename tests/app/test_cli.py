"""`kabao …` as others run it: a program, its output, its exit status."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kabao.app.cli import app
from kabao.app.settings import load
from kabao.app.supervise import Platform
from kabao.app.version import CODE_VERSION
from kabao.base.errors import KabaoError
from tests.app.test_process import alive, wait_until

KABAO = str(Path(sys.executable).with_name("kabao"))


def environment(**given: str) -> dict[str, str]:
    outside = os.environ  # noqa: TID251 -- the programs under test need PATH and the like
    kept = {name: value for name, value in outside.items() if not name.startswith("KABAO_")}
    return kept | {f"KABAO_{name}": value for name, value in given.items()}


def kabao(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KABAO, *arguments],
        env=environment(LOG_LEVEL="error", **given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made) / "data"


def test_version() -> None:
    run = kabao("--version")
    assert (run.returncode, run.stdout) == (0, f"kabao {CODE_VERSION}\n")
    assert json.loads(kabao("--version", "--json").stdout) == {"version": CODE_VERSION}


def test_every_command_has_help_with_an_example_and_json() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert f"$ kabao {name}" in (command.epilog or ""), name
        assert "as_json" in command.callback.__annotations__, name


def test_help() -> None:
    run = kabao("migrate", "--help")
    assert run.returncode == 0
    assert "$ kabao migrate" in run.stdout


def test_migrate_a_database_that_is_given(database_url: str) -> None:
    run = kabao("migrate", "--json", DATABASE_URL=database_url)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["after"] == json.loads(run.stdout)["before"]


def test_migrate_the_embedded_database(folder: Path) -> None:
    run = kabao("migrate", DATA=str(folder))
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Migrated from nothing to revision ")
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"HTTP_PORT": "none"}, "bad_setting"),
        ({"DATABASE_URL": "postgresql://kabao:hush@127.0.0.1:1/kabao"}, "unavailable"),
        ({"DATA": "/dev/null/data"}, "data_unreachable"),
    ],
)
def test_a_refusal_is_one_clear_line(given: dict[str, str], code: str) -> None:
    run = kabao("migrate", **given)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("kabao: ")
    assert run.stderr.count("\n") == 1
    assert "hush" not in run.stderr
    assert json.loads(kabao("migrate", "--json", **given).stderr)["code"] == code


def test_a_database_that_may_lose_payments_is_refused(database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    with psycopg.connect(database_url) as conn:
        conn.execute(f"alter database {name} set synchronous_commit = off".encode())
    run = kabao("migrate", DATABASE_URL=database_url)
    assert run.returncode == 1
    assert "synchronous_commit = off" in run.stderr


def test_a_worker_starts_with_its_database_and_stops(folder: Path) -> None:
    with subprocess.Popen(
        [KABAO, "worker", "--json"], env=environment(DATA=str(folder)), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pids = json.loads(parent.stdout.readline())["pids"]
        [worker], postmaster = pids["worker"], pids["postmaster"]
        assert alive(worker)
        assert alive(postmaster)
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(60) == 0
    assert not alive(worker)
    assert not alive(postmaster)


def test_serve_survives_kills_and_leaves_nothing_behind(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    given = environment(DATA=str(folder), HTTP_PORT=str(port), POS_PORT=str(_free_port()))
    with subprocess.Popen([KABAO, "serve", "--json"], env=given, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        told = json.loads(parent.stdout.readline())
        assert told["http"] == f"http://127.0.0.1:{port}"
        [server], [worker] = told["pids"]["server"], told["pids"]["worker"]
        assert _ready(port)
        os.kill(server, signal.SIGKILL)
        os.kill(told["pids"]["postmaster"], signal.SIGKILL)
        wait_until(lambda: not alive(server))
        wait_until(lambda: _ready(port))
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(worker) and not _ready(port))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_serve_finds_a_port_in_use_before_it_starts_anything(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = kabao("serve", DATA=str(folder), HTTP_PORT=port)
    assert run.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in run.stderr
    assert not folder.exists()


def test_a_platform_serves_survives_and_stops(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    changes = []
    settings = load(
        {
            "KABAO_DATA": str(folder),
            "KABAO_HTTP_PORT": str(port),
            "KABAO_POS_PORT": str(_free_port()),
        }
    )
    platform = Platform(
        settings,
        servers=2,
        workers=1,
        server_entry="tests.app.toy:run",
        worker_entry="tests.app.toy:idle",
        on_change=lambda: changes.append(1),
    )
    with platform:
        assert platform.http == f"http://127.0.0.1:{port}"
        before = platform.pids()
        postmaster, servers = before["postmaster"], before["server"]
        assert isinstance(postmaster, int)
        assert isinstance(servers, list)
        os.kill(postmaster, signal.SIGKILL)
        os.kill(servers[0], signal.SIGKILL)
        begun = time.monotonic()
        wait_until(lambda: platform.pids()["postmaster"] not in (None, postmaster))
        wait_until(lambda: platform.pids()["server"] != servers and _answers(port))
        wait_until(lambda: _reaches(platform.settings.database_url))
        assert time.monotonic() - begun < 10
        assert len(changes) >= 4
    assert not _answers(port)
    assert platform.settings.database_url is not None
    assert not _reaches(platform.settings.database_url)


def test_a_child_that_refuses_takes_everything_down(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = load(
        {
            "KABAO_DATA": str(folder),
            "KABAO_HTTP_PORT": str(port),
            "KABAO_POS_PORT": str(_free_port()),
        }
    )
    platform = Platform(settings, servers=1, server_entry="tests.app.toy:refuse")
    with pytest.raises(KabaoError, match="will not"):
        platform.__enter__()
    assert not _reaches(platform.settings.database_url)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as conn:
            return bool(conn.makefile().read())
    except OSError:
        return False


def _reaches(url: str | None) -> bool:
    try:
        psycopg.connect(url or "", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
