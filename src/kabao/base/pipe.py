"""A pipe: many prepared statements in one round trip, at a tenth of a cursor's cost.

psycopg builds a cursor, converts the query and talks to the event loop for
every statement; a lane sends a dozen per batch, thousands of times a second.
A `Pipe` stands on the same connection and speaks libpq's pipeline mode itself:
`execute` only queues, `flush` sends everything and waits once. It has the one
method of a connection that a slice's set statements use, so the same function
serves a lane and a cold transaction.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from psycopg import errors as pg
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format, PipelineStatus
from psycopg.pq.abc import PGresult

from kabao.base.db import Conn, NumberArray, UuidArray

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?s|%%")
_TEXT, _BINARY = Format.TEXT, Format.BINARY
_GOOD = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_SYNC})


class Answer:
    """The rows of one statement, there once the pipe was flushed."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows, as a cursor would give them."""
        return self.rows

    async def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self.rows[0] if self.rows else None


class _Prepared:
    """A statement known to the server by a short name."""

    __slots__ = ("name", "names", "text")

    def __init__(self, name: bytes, query: str) -> None:
        self.name = name
        self.names: list[str] = []
        count = 0

        def number(found: re.Match[str]) -> str:
            nonlocal count
            if found[0] == "%%":
                return "%"
            if found[1] is not None:
                if found[1] not in self.names:
                    self.names.append(found[1])
                return f"${self.names.index(found[1]) + 1}"
            count += 1
            return f"${count}"

        self.text = _PLACEHOLDER.sub(number, query).encode()


class Pipe:
    """Statements on one connection, which nobody else uses meanwhile."""

    def __init__(self, conn: Conn) -> None:
        # psycopg drops every prepared statement of a connection, ours included, when
        # it has prepared any itself and a transaction is rolled back.
        conn.prepare_threshold = None
        self._pgconn = conn.pgconn
        self._transformer = Transformer(conn)
        self._named = 0  # never reused: a failed batch may have left its names behind
        self._prepared: dict[str, _Prepared] = {}
        self._queue: list[tuple[_Prepared | bytes, list[bytes | None], list[Format], Answer]] = []
        self._fresh: list[_Prepared] = []

    async def execute(self, query: str, params: Any = None) -> Answer:
        """Queue a statement; its rows are there after `flush`."""
        known = self._prepared.get(query)
        if known is None:
            self._named += 1
            known = _Prepared(b"kabao_%d" % self._named, query)
            self._prepared[query] = known
            self._fresh.append(known)
        values: Sequence[Any] = params or ()
        if isinstance(params, Mapping):
            values = [params[name] for name in known.names]
        answer = Answer()
        wire = [_dump(value) for value in values]
        formats = [_BINARY if type(v) in _BINARIES else _TEXT for v in values]
        self._queue.append((known, wire, formats, answer))
        return answer

    def command(self, text: bytes) -> None:
        """Queue `BEGIN`, `COMMIT` or `ROLLBACK`."""
        self._queue.append((text, [], [], Answer()))

    async def flush(self) -> None:
        """Send what is queued and take in the answers. One implicit or open
        transaction covers it: the first error ends it and is raised.
        """
        queue, self._queue = self._queue, []
        fresh, self._fresh = self._fresh, []
        pgconn = self._pgconn
        if pgconn.pipeline_status == PipelineStatus.OFF:
            pgconn.nonblocking = 1
            pgconn.enter_pipeline_mode()
        try:
            for new in fresh:
                pgconn.send_prepare(new.name, new.text)
            for statement, wire, formats, _ in queue:
                if isinstance(statement, bytes):
                    pgconn.send_query_params(statement, None)
                else:
                    pgconn.send_query_prepared(statement.name, wire, formats, _TEXT)
            pgconn.pipeline_sync()
            results = await self._take(len(fresh) + len(queue))
        except BaseException:
            for new in fresh:
                self._forget(new)
            raise
        failed = next((r for r in results if r.status not in _GOOD), None)
        if failed is not None:
            for new in fresh:
                self._forget(new)
            first = next(r for r in results if r.status == ExecStatus.FATAL_ERROR)
            raise pg.error_from_result(first, encoding="utf-8")
        for (_, _, _, answer), result in zip(queue, results[len(fresh) :], strict=True):
            if result.ntuples:
                self._transformer.set_pgresult(result)
                answer.rows = self._transformer.load_rows(0, result.ntuples, tuple)

    def leave(self) -> None:
        """Forget what was queued and not sent, and give the connection back to
        psycopg's own way of talking.
        """
        self._queue = []
        for new in self._fresh:
            self._forget(new)
        self._fresh = []
        if self._pgconn.pipeline_status != PipelineStatus.OFF:
            self._pgconn.exit_pipeline_mode()

    def _forget(self, statement: _Prepared) -> None:
        self._prepared = {q: s for q, s in self._prepared.items() if s is not statement}

    async def _take(self, count: int) -> list[PGresult]:
        """One result per command, then the sync."""
        pgconn, loop = self._pgconn, asyncio.get_running_loop()
        results: list[PGresult] = []
        while pgconn.flush():
            await _ready(loop, pgconn.socket, write=True)
            pgconn.consume_input()
        while True:
            while not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:  # the end of one command's results
                    if pgconn.status != ConnStatus.OK:
                        raise pg.OperationalError("the connection is lost")
                    continue
                if result.status == ExecStatus.PIPELINE_SYNC:
                    assert len(results) == count, "one result per command"
                    return results
                results.append(result)
            await _ready(loop, pgconn.socket, write=False)
            pgconn.consume_input()


async def _ready(loop: asyncio.AbstractEventLoop, fd: int, *, write: bool) -> None:
    waiting = loop.create_future()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    )
    add(fd, _wake, waiting)
    try:
        await waiting
    finally:
        remove(fd)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


_BINARIES = frozenset({UuidArray, NumberArray, bytes})


def _dump(value: Any) -> bytes | None:
    kind = type(value)
    if kind is UuidArray or kind is NumberArray:
        return bytes(value.wire)
    if kind is str:
        return bytes(value.encode())
    if value is None or kind is bytes:
        return value  # type: ignore[no-any-return]  # None or bytes
    if isinstance(value, (datetime, date)):
        return value.isoformat().encode()
    return str(value).encode()
