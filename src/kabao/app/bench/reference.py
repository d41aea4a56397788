"""The reference: pgbench TPC-B on the same server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg

CLIENTS = (8, 16, 32)
_TPS = re.compile(r"tps = ([0-9.]+)")


class Reference:
    """pgbench in a database of its own."""

    def __init__(self, binaries: Path, server_url: str, scale: int) -> None:
        self._pgbench = binaries / "bin" / "pgbench"
        self._scale = scale
        with psycopg.connect(server_url, autocommit=True) as conn:
            conn.execute("drop database if exists pgbench")
            conn.execute("create database pgbench")
        self._url = server_url.rsplit("/", 1)[0] + "/pgbench"
        self.clients = CLIENTS[1]

    def prepare(self, seconds: float) -> dict[int, float]:
        """Fill the tables and find the best number of clients."""
        self._run("-i", "-q", "-s", str(self._scale))
        tried = {clients: self.measure(seconds, clients) for clients in CLIENTS}
        self.clients = max(tried, key=lambda clients: tried[clients])
        return tried

    def measure(self, seconds: float, clients: int | None = None) -> float:
        """Transactions per second."""
        out = self._run(
            *("-M", "prepared", "-n", "-T", str(max(1, round(seconds)))),
            *("-c", str(clients or self.clients), "-j", "2"),
        )
        found = _TPS.search(out)
        assert found is not None, f"pgbench said nothing of tps: {out}"
        return float(found[1])

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own binary, our own arguments
            [self._pgbench, *arguments, self._url], capture_output=True, text=True, check=True
        )
        return done.stdout
