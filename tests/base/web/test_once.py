"""One effect and one answer per Idempotency-Key, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Request, Response, post

from kabao.base.clock import FixedClock
from kabao.base.db import Conn, Database
from kabao.base.web.fields import RequestBody, ShortText
from kabao.base.web.once import Once
from kabao.base.web.principal import Principal, requires
from tests.vault import make as vaults

from . import make
from .make import DECLINED, Keys, Reply, Running, request, running

OTHER = msgspec.structs.replace(make.ALL, company="0190a5b4c3d27e8f90a1000000000009")
HOURS = 24


class TwoCompanies(Keys):
    def cached(self, token: str) -> Principal | None:
        return OTHER if token == "kb_other" else super().cached(token)


class Issue(RequestBody, frozen=True):
    name: ShortText
    size: int = 1


class Issued(msgspec.Struct, frozen=True):
    name: str
    number: int


class Doors:
    """Lets a test hold the work of a request back."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()


async def effect(conn: Conn, name: str) -> Issued:
    row = await (
        await conn.execute("insert into effects (name) values (%s) returning number", [name])
    ).fetchone()
    assert row is not None
    return Issued(name, row[0])


@post("/v1/issues", guards=[requires("things:write")])
async def issue(
    request: Request[Any, Any, Any], principal: Principal, data: Issue, once: Once, doors: Doors
) -> Response[Issued]:
    """Issue something."""

    async def work(conn: Conn) -> Issued:
        issued = await effect(conn, data.name)
        doors.begun.set()
        await doors.go_on.wait()
        if data.name == "refused":
            raise DECLINED.error()
        return issued

    return await once(request, principal, data, work)


@post("/v1/secrets", guards=[requires("things:write")])
async def issue_secret(
    request: Request[Any, Any, Any], principal: Principal, data: Issue, once: Once
) -> Response[Issued]:
    """Issue something that is shown once."""

    async def work(conn: Conn) -> Issued:
        return await effect(conn, data.name)

    return await once(request, principal, data, work, secret=True)


@post("/v1/issues/{name:str}/again", guards=[requires("things:write")], status_code=200)
async def again(
    request: Request[Any, Any, Any], principal: Principal, once: Once, name: str
) -> Response[Issued]:
    """Without a body."""

    async def work(conn: Conn) -> Issued:
        return await effect(conn, name)

    return await once(request, principal, None, work)


ROUTES = [issue, issue_secret, again]


@pytest.fixture
async def ready(db: Database) -> Database:
    async with db.transaction() as conn:
        await conn.execute("create table effects (number serial, name text)")
    return db


@pytest.fixture
def doors() -> Doors:
    return Doors()


def make_once(db: Database, clock: FixedClock, tmp_path: Path, wait_s: float) -> Once:
    vault = vaults.vault(tmp_path, clock)
    return Once(
        db,
        clock,
        lambda canonical: vault.mac("idempotency", canonical),
        vault,
        lambda: HOURS,
        wait_s=wait_s,
    )


@pytest.fixture
def once(ready: Database, clock: FixedClock, tmp_path: Path) -> Once:
    return make_once(ready, clock, tmp_path, 5.0)


@pytest.fixture
async def web(once: Once, doors: Doors) -> AsyncIterator[Running]:
    async with served(once, doors) as web:
        yield web


def served(once: Once, doors: Doors) -> Any:
    return running(routes=ROUTES, keys=TwoCompanies(), provided={"once": once, "doors": doors})


async def ask(
    web: Running,
    path: str = "/v1/issues",
    body: bytes = b'{"name":"a"}',
    key: str | None = "k",
    token: str = make.TOKEN,
) -> Reply:
    more = {} if key is None else {"Idempotency_Key": key}
    async with web.client() as client:
        return await client.ask(request("POST", path, body, token=token, **more))


async def effects(db: Database) -> list[str]:
    async with db.read() as conn:
        rows = await (await conn.execute("select name from effects order by number")).fetchall()
    return [row[0] for row in rows]


async def test_the_first_answer_comes_again(web: Running, ready: Database) -> None:
    first = await ask(web)
    assert (first.status, first.json) == (201, {"name": "a", "number": 1})
    second = await ask(web)
    assert (second.status, second.body) == (first.status, first.body)
    assert await effects(ready) == ["a"]


async def test_at_once_in_two_processes(
    once: Once, ready: Database, clock: FixedClock, doors: Doors, tmp_path: Path
) -> None:
    """Two of `Once` know of each other only through the database."""
    other = make_once(ready, clock, tmp_path, 5.0)
    async with served(once, doors) as here, served(other, doors) as there:
        replies = await asyncio.gather(*(ask(web) for web in (here, there) * 20))
    assert {(reply.status, reply.body) for reply in replies} == {(201, b'{"name":"a","number":1}')}
    assert await effects(ready) == ["a"]


@pytest.mark.parametrize(
    "body", [b'{"name":"b"}', b'{"name":"a","size":2}'], ids=["field", "default"]
)
async def test_another_request_with_the_key(web: Running, body: bytes) -> None:
    assert (await ask(web)).status == 201
    reply = await ask(web, body=body)
    assert (reply.status, reply.json["code"]) == (409, "idempotency_key_reused")


async def test_the_parsed_body_counts(web: Running, ready: Database) -> None:
    for body in (b'{"name":"a"}', b' { "size" : 1, "name": "\\u0061" } '):
        assert (await ask(web, body=body)).json == {"name": "a", "number": 1}
    assert await effects(ready) == ["a"]


async def test_the_path_counts(web: Running, ready: Database) -> None:
    assert (await ask(web, "/v1/issues/a/again", b"")).status == 200
    assert (await ask(web, "/v1/issues/a/again", b"{}")).status == 200
    assert (await ask(web, "/v1/issues/b/again", b"")).status == 409
    assert await effects(ready) == ["a"]


async def test_company_and_route_have_keys_of_their_own(web: Running, ready: Database) -> None:
    await ask(web)
    await ask(web, token="kb_other")
    await ask(web, "/v1/secrets")
    assert await effects(ready) == ["a", "a", "a"]


async def test_a_refusal_keeps_nothing(web: Running, ready: Database) -> None:
    for _ in range(2):
        assert (await ask(web, body=b'{"name":"refused"}')).status == 422
    assert (await ask(web)).status == 201
    assert await effects(ready) == ["a"]


@pytest.mark.parametrize("key", [None, "", " ", "x" * 256, "a\tb"])
async def test_an_unusable_key(web: Running, ready: Database, key: str | None) -> None:
    reply = await ask(web, key=key)
    assert (reply.status, reply.json["field"]) == (400, "Idempotency-Key")
    assert await effects(ready) == []


async def test_the_longest_key(web: Running) -> None:
    for _ in range(2):
        assert (await ask(web, key="~" * 255)).status == 201


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_first_request_that_takes_too_long(
    ready: Database, clock: FixedClock, doors: Doors, tmp_path: Path, same_process: bool
) -> None:
    first = make_once(ready, clock, tmp_path, 0.1)
    second = first if same_process else make_once(ready, clock, tmp_path, 0.1)
    async with served(first, doors) as here, served(second, doors) as there:
        doors.go_on.clear()
        slow = asyncio.create_task(ask(here))
        await doors.begun.wait()
        reply = await ask(there)
        assert (reply.status, reply.json["code"]) == (409, "idempotency_key_in_flight")
        doors.go_on.set()
        assert (await slow).status == 201
        assert (await ask(there)).body == (await slow).body


async def test_when_the_first_fails_the_second_is_the_first(
    web: Running, ready: Database, doors: Doors
) -> None:
    doors.go_on.clear()
    first = asyncio.create_task(ask(web, body=b'{"name":"refused"}'))
    await doors.begun.wait()
    second = asyncio.create_task(ask(web))
    doors.go_on.set()
    assert (await first).status == 422
    assert (await second).status == 201
    assert await effects(ready) == ["a"]


async def test_a_secret_is_kept_sealed(web: Running, ready: Database) -> None:
    first = await ask(web, "/v1/secrets", b'{"name":"hidden"}')
    async with ready.read() as conn:
        row = await (
            await conn.execute("select sealed, body from base.idempotency where key = 'k'")
        ).fetchone()
    assert row is not None
    assert row[0] is True
    assert b"hidden" not in row[1]
    assert (await ask(web, "/v1/secrets", b'{"name":"hidden"}')).body == first.body


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(hours=HOURS) - timedelta(microseconds=1), 201),
        (timedelta(hours=HOURS), 409),
        (timedelta(hours=HOURS) + timedelta(microseconds=1), 409),
    ],
)
@pytest.mark.parametrize("purged", [True, False])
async def test_a_secret_is_shown_for_a_day(
    web: Running, once: Once, clock: FixedClock, age: timedelta, status: int, purged: bool
) -> None:
    await ask(web, "/v1/secrets")
    clock.advance(age)
    if purged:
        assert await once.purge() == (1 if age > timedelta(hours=HOURS) else 0)
    reply = await ask(web, "/v1/secrets")
    assert reply.status == status
    if status == 409:
        assert reply.json["code"] == "secret_already_shown"
    assert (await ask(web, "/v1/secrets", b'{"name":"b"}')).json["code"] == (
        "idempotency_key_reused"
    )


async def test_only_secrets_are_purged(
    web: Running, once: Once, clock: FixedClock, ready: Database
) -> None:
    first = await ask(web)
    for number in range(3):
        await ask(web, "/v1/secrets", key=f"k{number}")
    clock.advance(timedelta(days=400))
    assert await once.purge() == 3
    assert await once.purge() == 0
    assert (await ask(web)).body == first.body


async def test_a_database_that_is_gone(web: Running, ready: Database) -> None:
    await ready.close()
    reply = await ask(web)
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert reply.headers["retry-after"] == "1"
