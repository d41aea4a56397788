"""PostgreSQL: the pool, transactions, and a refusal of unsafe servers.

Statements are plain SQL in each slice's `sql.py`, run through psycopg 3; the
SQLAlchemy tables in `tables.py` describe the schema for Alembic and nothing
else (docs/decisions/0002). uuid columns load as 32 hex characters, see `ids`.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, LiteralString, Protocol, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg.pq import Format
from psycopg.rows import TupleRow, kwargs_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from kabao.base.errors import IN_DOUBT, UNAVAILABLE, Kind, code

Conn = AsyncConnection[TupleRow]
Params = Mapping[str, Any] | Sequence[Any] | None
T = TypeVar("T")

UNSAFE_DATABASE = code(
    "unsafe_database", Kind.UNAVAILABLE, "The database may lose what it has acknowledged."
)


class Rows(Protocol):
    """What a statement answered."""

    async def fetchall(self) -> Sequence[tuple[Any, ...]]:
        """All rows."""
        ...

    async def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, or None."""
        ...


class Statements(Protocol):
    """Where set statements run: a connection, or a `Pipe` that gathers them."""

    async def execute(self, query: LiteralString, params: Any = None) -> Rows:
        """Run the statement; on a pipe, when it is flushed."""
        ...


REQUIRED_ON = ("fsync", "synchronous_commit", "full_page_writes")
"""Server settings without which an acknowledged payment can be lost."""

HOT_SETTINGS: LiteralString = """
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set jit = off;
set plan_cache_mode = force_generic_plan;
set statement_timeout = '4s';
set idle_in_transaction_session_timeout = '10s'
"""
"""For a connection that repeats a few indexed statements for ever. A plan made
while a table was empty would scan it for ever; here only the index is wanted.
"""

POOL_TIMEOUT_S = 4.0
"""How long a caller waits for a connection before it is told `unavailable`."""

RECONNECT_S = 1.0
"""How often the pool tries to connect while the database is away. Left to itself it
would wait twice as long each time, and go on waiting when the database is back.
"""

IDLE_S = 10.0
"""How long a transaction may do nothing before the server ends it: it may hold a
card's root, and who holds one for longer has lost its way.
"""


class _HexUuidLoader(Loader):
    """uuid in text form to 32 hex characters."""

    format = Format.TEXT

    def load(self, data: Buffer) -> str:
        return bytes(data).decode().replace("-", "")


class _HexUuidBinaryLoader(Loader):
    """uuid in binary form to 32 hex characters."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).hex()


class BinaryArray:
    """An array on its way to a parameter, in PostgreSQL's binary form."""

    __slots__ = ("wire",)

    def __init__(self, wire: bytes) -> None:
        self.wire = wire


class UuidArray(BinaryArray):
    """For a `uuid[]` parameter."""

    __slots__ = ()


class NumberArray(BinaryArray):
    """For a `bigint[]` parameter."""

    __slots__ = ()


class _BinaryArrayDumper(Dumper):
    """The server copies what it would otherwise parse, digit by digit."""

    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> Buffer:
        return obj.wire


class _UuidArrayDumper(_BinaryArrayDumper):
    oid = 2951  # uuid[]


class _NumberArrayDumper(_BinaryArrayDumper):
    oid = 1016  # bigint[]


async def configure(conn: Conn) -> None:
    """What every connection of ours has in common."""
    conn.adapters.register_loader("uuid", _HexUuidLoader)
    conn.adapters.register_loader("uuid", _HexUuidBinaryLoader)
    conn.adapters.register_dumper(UuidArray, _UuidArrayDumper)
    conn.adapters.register_dumper(NumberArray, _NumberArrayDumper)
    await conn.execute("set time zone 'UTC'")
    await conn.commit()


class Database:
    """The pool of connections; one per process, opened by `app`."""

    def __init__(self, url: str, *, max_size: int = 12, idle_s: float = IDLE_S) -> None:
        self.url = url
        self._idle_s = idle_s
        self._pool: AsyncConnectionPool[Conn] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=max_size,
            open=False,
            configure=self._configure,
            timeout=POOL_TIMEOUT_S,
            reconnect_timeout=RECONNECT_S,
            reconnect_failed=_try_again,
            max_waiting=500,
            check=AsyncConnectionPool.check_connection,
            kwargs={"connect_timeout": 4, "application_name": "kabao"},
        )

    async def _configure(self, conn: Conn) -> None:
        await conn.execute(
            "select set_config('idle_in_transaction_session_timeout', %s, false)",
            [f"{self._idle_s:.3f}s"],
        )
        await configure(conn)

    async def open(self) -> None:
        """Connect. Raises `unavailable` when there is nobody to connect to."""
        await self._pool.open()
        try:
            await self._pool.wait(POOL_TIMEOUT_S * 3)
        except PoolTimeout as gone:
            raise UNAVAILABLE.error("The database cannot be reached.") from gone

    async def close(self) -> None:
        """Give every connection back."""
        await self._pool.close()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Conn]:
        """One transaction: committed on a clean exit, rolled back otherwise.

        Raises `unavailable` when the database is gone and nothing can have
        been committed, `in_doubt` when it went away during the commit.
        """
        committing = False
        try:
            async with self._pool.connection() as conn:
                yield conn
                committing = True
                await conn.commit()
        except _GONE as gone:
            raise _lost(gone, committing=committing) from gone

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Conn]:
        """A connection to read with; every statement stands alone."""
        try:
            async with self._pool.connection() as conn:
                await conn.set_autocommit(True)
                try:
                    yield conn
                finally:
                    if not conn.closed:
                        await conn.set_autocommit(False)
        except _GONE as gone:
            raise _lost(gone, committing=False) from gone

    async def connect(self) -> Conn:
        """A connection outside the pool, for whoever keeps one (lanes, listeners)."""
        conn = await AsyncConnection.connect(
            self.url, connect_timeout=4, application_name="kabao", autocommit=False
        )
        await configure(conn)
        return conn


_GONE = (PoolTimeout, psycopg.OperationalError, IdleInTransactionSessionTimeout)
"""How it shows that a connection is lost."""


async def _try_again(pool: AsyncConnectionPool[Conn]) -> None:
    """Begin to connect anew, while somebody waits or before anybody asks."""
    await pool.check()


def _lost(gone: Exception, *, committing: bool) -> Exception:
    """What a lost connection means to the caller."""
    from_server = isinstance(gone, psycopg.Error) and gone.sqlstate is not None
    if committing and not from_server:
        return IN_DOUBT.error()
    return UNAVAILABLE.error()


async def check_durability(conn: Conn) -> None:
    """Refuse a server that may lose acknowledged work (reliability.md, section 1)."""
    for name in REQUIRED_ON:
        row = await (await conn.execute("select current_setting(%s)", [name])).fetchone()
        value = row[0] if row else "missing"
        if value == "off" or (name == "synchronous_commit" and value == "local"):
            raise UNSAFE_DATABASE.error(
                f"PostgreSQL runs with {name} = {value}: a payment it has acknowledged "
                f"could be lost. Set {name} = on and start again."
            )


async def fetch_all(
    conn: Conn, kind: type[T], sql: LiteralString, params: Params = None
) -> list[T]:
    """All rows, each made into `kind` by column name."""
    async with conn.cursor(row_factory=kwargs_row(kind)) as cursor:
        await cursor.execute(sql, params)
        return await cursor.fetchall()


async def fetch_one(
    conn: Conn, kind: type[T], sql: LiteralString, params: Params = None
) -> T | None:
    """The one row made into `kind` by column name, or None."""
    async with conn.cursor(row_factory=kwargs_row(kind)) as cursor:
        await cursor.execute(sql, params)
        return await cursor.fetchone()


async def fetch_value(conn: Conn, sql: LiteralString, params: Params = None) -> Any:
    """The first column of the first row, or None."""
    row = await (await conn.execute(sql, params)).fetchone()
    return row[0] if row else None


_NO_IDS = bytes.fromhex("000000000000000000000b86")
_UUID_LENGTH = "00000010"
_NULL_ID = "ffffffff"


def uuid_array(values: Sequence[str | None]) -> UuidArray:
    """Hex ids as a binary `uuid[]`. All None: see `text_array`."""
    try:
        body = _UUID_LENGTH + _UUID_LENGTH.join(values) if values else ""  # type: ignore[arg-type]  # all strings: the usual case
    except TypeError:
        if values.count(None) == len(values):
            return UuidArray(_NO_IDS)
        body = "".join([_NULL_ID if v is None else _UUID_LENGTH + v for v in values])
    if not values:
        return UuidArray(_NO_IDS)
    head = f"00000001{int(_NULL_ID in body):08x}00000b86{len(values):08x}00000001"
    return UuidArray(bytes.fromhex(head + body))


def in_step(name: LiteralString, columns: LiteralString) -> LiteralString:
    """Arrays as rows, an item of FROM: a parameter for each column `name type, …`.

    The same as `unnest(a, b, …) as name (…)`, a quarter cheaper: there each array
    is first written to a store of its own, here they are read in step. A shorter
    array is filled up with nulls.
    """
    pairs = [column.split() for column in columns.split(",")]
    read = ", ".join([f"unnest(%s::{kind}[]) as {column}" for column, kind in pairs])
    return f"(select {read}) as {name}"


Flush = Callable[[], Awaitable[None]]
"""Sends what a pipe has gathered; on a connection everything is sent already."""


async def sent() -> None:
    """The flush of a plain connection."""


_NO_NUMBERS = struct.pack(">3i", 0, 0, 20)
_NULL_NUMBER = struct.pack(">i", -1)
_pack_number = struct.Struct(">iq").pack


def number_array(values: Sequence[int | None]) -> NumberArray:
    """Whole numbers as a binary `bigint[]`. All None: see `text_array`."""
    nulls = values.count(None)
    if nulls == len(values):
        return NumberArray(_NO_NUMBERS)
    head = struct.pack(">5i", 1, int(nulls > 0), 20, len(values), 1)
    if nulls:
        body = [_NULL_NUMBER if v is None else _pack_number(8, v) for v in values]
        return NumberArray(head + b"".join(body))
    lengths_and_values: list[Any] = [8] * (2 * len(values))
    lengths_and_values[1::2] = values
    return NumberArray(head + _packer(len(values))(*lengths_and_values))


@functools.lru_cache(maxsize=1024)
def _packer(count: int) -> Callable[..., bytes]:
    """Packs that many numbers with their lengths in one call."""
    return struct.Struct(">" + "iq" * count).pack


def text_array(values: Sequence[object]) -> str:
    """A PostgreSQL array literal of numbers, hex ids, booleans or None.

    Ten times cheaper than an adapted list, and only for values that hold no
    quotes, commas, braces or backslashes; `quoted_array` is for all others.
    All None gives the empty array: `unnest` fills the shorter columns with null.
    """
    try:
        return "{" + ",".join(values) + "}"  # type: ignore[arg-type]  # all strings: the usual case
    except TypeError:
        if values.count(None) == len(values):
            return "{}"
        return "{" + ",".join(["null" if v is None else str(v) for v in values]) + "}"


def quoted_array(values: Sequence[str | None]) -> str:
    """A PostgreSQL array literal of arbitrary texts. All None: see `text_array`."""
    try:
        joined = _BETWEEN.join(values)  # type: ignore[arg-type]  # all strings: the usual case
    except TypeError:
        if values.count(None) == len(values):
            return "{}"
    else:
        # Escaped all at once; a text with the separator in it is not ours to split.
        if values and joined.count(_BETWEEN) == len(values) - 1:
            return '{"' + _escaped(joined).replace(_BETWEEN, '","') + '"}'
    return "{" + ",".join(["null" if v is None else f'"{_escaped(v)}"' for v in values]) + "}"


_BETWEEN = "\x00"
"""PostgreSQL's texts cannot hold it, so it can stand between them."""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
