"""Databases that are copies of others, on the server of this test run."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from .scratch import in_memory

_NUMBERS = itertools.count(1)


class Databases:
    """Makes copies of the server's migrated database, and ends them."""

    def __init__(self, url: str, admin: psycopg.Connection) -> None:
        self._server, _, self._migrated = url.rpartition("/")
        self._admin = admin
        # Files are copied quickest, but on a disk, which must have each of them at once.
        self._strategy = "file_copy" if in_memory() else "wal_log"
        self._left: str | None = None

    @contextmanager
    def copy(self, of: str | None = None) -> Iterator[str]:
        """The URL of a copy of the migrated database, or of the one with the URL given."""
        name = f"t{os.getpid()}_{next(_NUMBERS)}"
        template = of.rpartition("/")[2] if of else self._migrated
        self._admin.execute(f"create database {name} template {template} strategy {self._strategy}")
        yield f"{self._server}/{name}"
        self._leave(name)

    def _leave(self, name: str) -> None:
        """End what still uses it, and drop the one that was left before: dropping a
        database whose last connection is just closing takes 0.1 s of waiting.
        """
        self._admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        self.drop_left()
        self._left = name

    def drop_left(self) -> None:
        """Drop the last one that was left."""
        if self._left is not None:
            self._admin.execute(f"drop database {self._left} with (force)")
            self._left = None
