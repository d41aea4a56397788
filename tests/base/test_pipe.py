"""The pipe: what is queued, what is answered, what survives a failure."""

from __future__ import annotations

import psycopg
import pytest

from kabao.base.db import Conn, Database, number_array, quoted_array, uuid_array
from kabao.base.pipe import Pipe

A, B = "0" * 31 + "a", "f" * 32


@pytest.fixture
async def conn(db: Database) -> Conn:
    return await db.connect()


async def test_statements_answer_together(conn: Conn) -> None:
    pipe = Pipe(conn)
    pipe.command(b"BEGIN")
    named = await pipe.execute("select %(a)s::int + %(b)s::int + %(a)s::int", {"a": 1, "b": 2})
    rows = await pipe.execute("select * from unnest(%s::uuid[])", [uuid_array([A, B])])
    assert await rows.fetchall() == []
    pipe.command(b"COMMIT")
    await pipe.flush()
    assert await named.fetchone() == (4,)
    assert await rows.fetchall() == [(A,), (B,)]
    await conn.close()


async def test_an_error_ends_the_batch_and_nothing_more(conn: Conn) -> None:
    pipe = Pipe(conn)
    for _ in range(3):
        pipe.command(b"BEGIN")
        await pipe.execute("select 1 / %s::int", [0])
        await pipe.execute("select 2")
        pipe.command(b"COMMIT")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await pipe.flush()
        pipe.leave()
        await conn.rollback()
        good = await pipe.execute("select 2")
        await pipe.flush()
        assert await good.fetchone() == (2,)
    await conn.close()


async def test_what_psycopg_does_between_leaves_our_statements_alone(conn: Conn) -> None:
    pipe = Pipe(conn)
    for _ in range(8):
        one = await pipe.execute("select %s::text", ["x"])
        await pipe.flush()
        assert await one.fetchone() == ("x",)
        pipe.leave()
        for _ in range(7):  # often enough to be prepared, if it were left to
            await conn.execute("select %s::int", [7])
        await conn.rollback()
    await conn.close()


async def test_what_was_not_sent_is_forgotten(conn: Conn) -> None:
    pipe = Pipe(conn)
    await pipe.execute("select 1 / 0")
    pipe.leave()
    good = await pipe.execute("select 1")
    await pipe.flush()
    assert await good.fetchone() == (1,)
    await conn.close()


@pytest.mark.parametrize("values", [[], [None, None], [1, None, -5, 2**62], [0]])
async def test_arrays_of_numbers(conn: Conn, values: list[int | None]) -> None:
    found = await conn.execute("select %s::bigint[]", [number_array(values)])
    expected = [] if all(v is None for v in values) else values
    assert await found.fetchone() == (expected,)
    await conn.close()


@pytest.mark.parametrize("values", [[], [None], [A, None, B], [A]])
async def test_arrays_of_ids(conn: Conn, values: list[str | None]) -> None:
    found = await conn.execute("select %s::uuid[]", [uuid_array(values)])
    expected = [] if all(v is None for v in values) else values
    assert await found.fetchone() == (expected,)
    await conn.close()


@pytest.mark.parametrize(
    "values", [[], ["", "a"], ['"', "\\", "{,}", "null", "NULL"], ["a", None], ['\\"'], ["包"]]
)
async def test_arrays_of_texts(conn: Conn, values: list[str | None]) -> None:
    found = await conn.execute("select %s::text[]", [quoted_array(values)])
    assert await found.fetchone() == (values,)
    await conn.close()
