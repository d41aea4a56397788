"""The embedded PostgreSQL: killed, left behind, unreachable, of another version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from kabao.base.errors import KabaoError
from kabao.base.postgres import EmbeddedPostgres
from kabao.base.postgres.account import Account
from kabao.base.postgres.binaries import find_binaries, reachable_binaries
from kabao.base.postgres.leftovers import clear_leftovers

SMALL = {"shared_buffers": "128MB"}


def wait_until(true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def alive(pid: int) -> bool:
    """Alive, and not only waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder the database's own user can reach, as pytest's are not for root."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@contextmanager
def running(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder, settings=SMALL) as postgres:
        yield postgres


def test_it_keeps_what_it_was_told_and_its_url(folder: Path) -> None:
    with running(folder) as postgres:
        url = postgres.url
        with psycopg.connect(url) as conn:
            conn.execute("create table kept (fen bigint)")
            conn.execute("insert into kept values (42)")
    assert not answers(url)
    with running(folder) as postgres:
        assert postgres.url == url
        with psycopg.connect(url) as conn:
            assert conn.execute("select fen from kept").fetchall() == [(42,)]


def test_it_is_durable_checked_and_closed_to_others(folder: Path) -> None:
    with running(folder) as postgres, psycopg.connect(postgres.url) as conn:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert conn.execute(f"show {setting}".encode()).fetchone() == ("on",), setting
        assert conn.execute("show listen_addresses").fetchone() == ("127.0.0.1",)
        assert conn.execute("show server_encoding").fetchone() == ("UTF8",)
        port = postgres.url.rpartition(":")[2].partition("/")[0]
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://kabao:guess@127.0.0.1:{port}/kabao")
        assert (folder / "postgres.json").stat().st_mode & 0o777 == 0o600
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700


def test_no_value_reaches_its_log(folder: Path) -> None:
    with running(folder) as postgres, psycopg.connect(postgres.url, autocommit=True) as conn:
        conn.execute("create table secret (pin text unique)")
        conn.execute("insert into secret values ('918273')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("insert into secret values (%s)", ["918273"])
        with pytest.raises(psycopg.errors.SyntaxError):
            conn.execute("insert into secret value '918273'")
    logged = "".join(path.read_text() for path in (folder / "postgres" / "log").iterdir())
    assert "unique constraint" in logged
    assert "918273" not in logged


def test_a_killed_postmaster_comes_back(folder: Path) -> None:
    with running(folder) as postgres:
        busy = psycopg.connect(postgres.url)
        busy.execute("create table t as select generate_series(1, 1000) as n")
        for _ in range(3):
            before = postgres.pid
            assert before is not None
            begun = time.monotonic()
            os.kill(before, signal.SIGKILL)
            wait_until(lambda old=before: postgres.pid not in (None, old) and answers(postgres.url))
            assert time.monotonic() - begun < 10
        busy.close()


def test_it_ends_with_its_parent_and_starts_again(folder: Path) -> None:
    """`kill -9` of the supervising process: the server is told to stop."""
    script = (
        "import sys; from pathlib import Path; from kabao.base.postgres import EmbeddedPostgres\n"
        f"p = EmbeddedPostgres(Path({str(folder)!r}), settings={SMALL!r}); p.start()\n"
        "sys.stderr.write(f'pid {p.pid}\\n'); sys.stderr.flush(); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stderr is not None
        line = next(line for line in parent.stderr if line.startswith("pid "))
        postmaster = int(line.split()[1])
        parent.kill()
        parent.wait()
        wait_until(lambda: not alive(postmaster))
    with running(folder) as postgres:
        assert postgres.pid != postmaster


def test_a_second_process_joins_in(folder: Path) -> None:
    with running(folder) as first:
        second = EmbeddedPostgres(folder)
        assert second.start() == first.url
        assert not second.supervising
        second.stop()
        assert answers(first.url)


def test_a_stale_pid_file_is_no_obstacle(folder: Path) -> None:
    with running(folder):
        pass
    # In a container the same small ids come again: this one is alive, and not PostgreSQL.
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n/nowhere\n0\n")
    with running(folder) as postgres:
        assert answers(postgres.url)


def test_a_first_start_that_was_cut_short(folder: Path) -> None:
    (folder / "postgres.initdb").mkdir()
    (folder / "postgres.initdb" / "PG_VERSION").write_text("18\n")
    (folder / "postgres.json.new").write_text("{")
    with running(folder) as postgres:
        assert answers(postgres.url)


def test_a_port_taken_meanwhile_is_replaced(folder: Path) -> None:
    with running(folder) as postgres:
        port = postgres.url.rpartition(":")[2].partition("/")[0]
    taker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])));"
            " print('taken', flush=True); sys.stdin.read()",
            port,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with taker:
        assert taker.stdout is not None
        taker.stdout.readline()
        with running(folder) as postgres:
            assert f":{port}/" not in postgres.url
            assert answers(postgres.url)
        taker.kill()


def test_a_cluster_of_another_postgresql_is_refused(folder: Path) -> None:
    with running(folder):
        pass
    version = folder / "postgres" / "PG_VERSION"
    for other in ("19", "16"):
        version.write_text(f"{other}\n")
        with pytest.raises(KabaoError, match=f"PostgreSQL {other}") as refused:
            EmbeddedPostgres(folder).start()
        assert refused.value.code.name == "data_newer"
        assert "\n" not in refused.value.detail


def test_a_folder_of_a_newer_kabao_is_refused(folder: Path) -> None:
    (folder / "postgres.json").write_text(json.dumps({"port": 1, "password": "x", "format": 2}))
    with pytest.raises(KabaoError, match="newer Kabao") as refused:
        EmbeddedPostgres(folder).start()
    assert refused.value.code.name == "data_newer"


def test_a_damaged_access_file_is_one_clear_line(folder: Path) -> None:
    (folder / "postgres.json").write_text("{")
    with pytest.raises(KabaoError, match="is damaged"):
        EmbeddedPostgres(folder).start()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with pytest.raises(KabaoError, match="did not start") as refused:
        EmbeddedPostgres(folder, settings={"shared_buffers": "a lot"}).start()
    assert "\n" not in refused.value.detail
    with running(folder) as postgres:
        assert answers(postgres.url)


def test_a_data_folder_that_is_a_file(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(KabaoError, match="cannot be used") as refused:
        EmbeddedPostgres(folder / "file" / "data").start()
    assert refused.value.code.name == "data_unreachable"


def test_a_folder_closed_to_the_databases_user(folder: Path) -> None:
    """Root may pass, its database's user may not; anyone else is their own user."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    if os.geteuid() == 0:
        with pytest.raises(KabaoError, match="KABAO_DATA") as refused:
            EmbeddedPostgres(closed / "data").start()
        assert refused.value.code.name == "data_unreachable"
        assert str(closed) in refused.value.detail
        assert "\n" not in refused.value.detail
    else:
        with running(closed / "data") as postgres:
            assert answers(postgres.url)


def test_where_a_user_is_blocked(folder: Path) -> None:
    stranger = Account(uid=64_321, gid=64_321, name="stranger", switch=True)
    inner = folder / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch(mode=0o600)
    folder.joinpath("outer").chmod(0o711)
    inner.chmod(0o755)
    assert stranger.blocked_at(inner / "file") is None
    assert not stranger.may_read(inner / "file")
    (inner / "file").chmod(0o644)
    assert stranger.may_read(inner / "file")
    folder.joinpath("outer").chmod(0o700)
    assert stranger.blocked_at(inner / "file") == folder / "outer"


def test_programs_out_of_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a virtual environment under /root."""
    origin = find_binaries()
    stranger = Account(uid=64_321, gid=64_321, name="stranger", switch=True)
    monkeypatch.setattr(Account, "may_read", lambda *_: False)
    copy = reachable_binaries(stranger, folder)
    assert copy != origin
    assert copy.is_relative_to(folder)
    assert reachable_binaries(stranger, folder) == copy
    for program in ("postgres", "initdb", "psql", "pg_dump", "pgbench"):
        run = subprocess.run([copy / "bin" / program, "--version"], check=True, capture_output=True)
        assert b"(PostgreSQL) 18" in run.stdout
    assert (copy / "share" / "postgresql" / "postgres.bki").stat().st_mode & 0o444 == 0o444


def test_nothing_is_left_to_clear(folder: Path) -> None:
    clear_leftovers(folder)
