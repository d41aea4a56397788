"""Children that live and die with their parent, over real sockets and signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kabao.app.settings import Settings
from kabao.app.supervise import Platform
from kabao.base.errors import KabaoError
from kabao.base.process import Fleet, Role, listen


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def fleet(entry: str, count: int = 1, **sockets: socket.socket) -> Fleet:
    role = Role("server", f"tests.app.toy:{entry}", count, sockets)
    return Fleet([role], module="kabao.app.child", settings=Settings().to_json())


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with listen("127.0.0.1", port, setting="KABAO_HTTP_PORT") as taken:
        yield taken


def ask(taken: socket.socket) -> int:
    with socket.create_connection(taken.getsockname(), timeout=20) as conn:
        return int(conn.makefile().read())


def test_children_share_a_port_and_come_back_at_once() -> None:
    with listening() as taken:
        children = fleet("run", 2, http=taken)
        children.start()
        pids = children.pids()["server"]
        assert len(set(pids)) == 2
        assert {ask(taken) for _ in range(20)} <= set(pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        # The port is the parent's: a connection waits for the next child, it is not refused.
        assert ask(taken) not in pids
        wait_until(lambda: len(children.pids()["server"]) == 2)
        newer = children.pids()["server"]
        children.stop()
        assert not any(alive(pid) for pid in newer)
        assert children.pids() == {"server": []}


def test_a_child_that_dies_soon_after_it_was_ready_comes_back() -> None:
    children = fleet("crash_after_ready")
    children.start()
    seen = set[int]()
    wait_until(lambda: seen.update(children.pids()["server"]) or len(seen) >= 3)
    children.stop()


def test_a_refusal_of_a_child_is_the_parents() -> None:
    with pytest.raises(KabaoError, match="server 0 will not") as refused:
        fleet("refuse").start()
    assert refused.value.code.name == "bad_setting"
    assert refused.value.field == "KABAO_TOY"


def test_a_child_that_never_gets_ready_ends_the_start() -> None:
    children = fleet("crash")
    with pytest.raises(KabaoError, match=r"server-0 ended 3 times .*status 7") as refused:
        children.start()
    assert refused.value.code.name == "process_failed"
    assert children.pids() == {"server": []}


def test_a_stubborn_child_is_ended() -> None:
    children = fleet("stubborn")
    children.start()
    [pid] = children.pids()["server"]
    begun = time.monotonic()
    children.stop(grace_s=0.3)
    assert not alive(pid)
    assert time.monotonic() - begun < 5


def test_children_end_with_a_killed_parent() -> None:
    script = (
        "import sys\nfrom tests.app.test_process import fleet, listen\n"
        "with __import__('tests.app.test_process', fromlist=['x']).listening() as taken:\n"
        "    children = fleet('run', 2, http=taken); children.start()\n"
        "    print(*children.pids()['server'], flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
        parent.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_port_in_use_is_one_clear_line() -> None:
    with listening() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KabaoError, match=f"Port {port} .* is in use") as refused:
            listen("127.0.0.1", port, setting="KABAO_HTTP_PORT")
    assert refused.value.code.name == "port_in_use"
    assert "KABAO_HTTP_PORT" in refused.value.detail


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(KabaoError):
        listen("no.such.host.invalid", 8080, setting="KABAO_HTTP_PORT")
    with pytest.raises(KabaoError):
        listen("203.0.113.7", 8080, setting="KABAO_HTTP_PORT")


def test_what_servers_left_before_a_crash_is_cleared(tmp_path: Path, database_url: str) -> None:
    """Its process id may be another's now, and its figures would be reported for ever."""
    with listening() as http, listening() as pos:
        ports = [taken.getsockname()[1] for taken in (http, pos)]
    settings = Settings(
        data=tmp_path, database_url=database_url, http_port=ports[0], pos_port=ports[1]
    )
    settings.figures.mkdir()
    (settings.figures / "7.json").write_text('{"pid":1,"families":[]}')
    with Platform(settings, servers=1, server_entry="tests.app.toy:run"):
        assert not list(settings.figures.iterdir())
