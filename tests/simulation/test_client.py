"""The client and the doors over it, against a server of a few lines on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from kabao.base.clock import RealClock
from kabao.simulation.client import Client, LostError
from kabao.simulation.doors import Ask, Doors, Peace, Reply, Said
from kabao.simulation.journal import Entry, Journal
from kabao.simulation.tally import Tally

Answering = Callable[[dict[str, str], bytes, int], bytes | None]
"""Headers, body and the number of the request; None hangs up."""


class Toy:
    """A server that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections = 0
        self.answering: Answering = lambda headers, body, n: answer(200, b"{}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {"": lines[0]} | dict(
                    line.lower().split(": ", 1) for line in lines[1:] if line
                )
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((headers, body))
                told = self.answering(headers, body, len(self.requests))
                if told is None:
                    break
                writer.write(told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(status: int, body: bytes, *, close: bool = False) -> bytes:
    end = b"connection: close\r\n" if close else b""
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n%s\r\n%s" % (status, len(body), end, body)


@pytest.fixture
async def toy() -> AsyncIterator[tuple[Toy, Client]]:
    toy = Toy()
    server = await asyncio.start_server(toy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", connections=4, timeout_s=2)
    yield toy, client
    client.close()
    await asyncio.sleep(0)
    server.close()
    await server.wait_closed()


@pytest.fixture
async def doors(toy: tuple[Toy, Client], tmp_path: Path) -> AsyncIterator[Doors]:
    with Journal(tmp_path / "journal.jsonl") as journal:
        yield Doors(toy[1], journal, Tally(), RealClock(), run="r", patience_s=1.5)


def entries(doors: Doors) -> list[Entry]:
    journal: Journal = doors._journal
    journal.flush()
    return [
        msgspec.json.decode(line, type=Entry) for line in journal.path.read_bytes().splitlines()
    ]


def pay(**more: object) -> Ask:
    fields: dict[str, object] = {
        "verb": "pay",
        "path": "/v1/payments",
        "token": "t",
        "body": {"amount": 5},
        "says": lambda reply: Said("captured", "pay_1", None, 5),
        "amount": 5,
    }
    return Ask(**(fields | more))  # type: ignore[arg-type]


async def test_requests_share_connections(toy: tuple[Toy, Client]) -> None:
    server, client = toy
    for n in range(10):
        found = await client.send("POST", "/x", token="key", key=f"k{n}", body=b'{"a":1}')
        assert (found.status, found.body) == (200, b"{}")
    assert server.connections == 1
    headers, body = server.requests[-1]
    assert headers[""] == "POST /x HTTP/1.1"
    assert headers["authorization"] == "bearer key"
    assert headers["idempotency-key"] == "k9"
    assert body == b'{"a":1}'


async def test_no_more_connections_than_allowed(toy: tuple[Toy, Client]) -> None:
    server, client = toy
    await asyncio.gather(*(client.send("GET", "/") for _ in range(50)))
    assert len(server.requests) == 50
    assert server.connections <= 4


async def test_a_connection_that_closes_is_not_used_again(toy: tuple[Toy, Client]) -> None:
    server, client = toy
    server.answering = lambda headers, body, n: answer(200, b"1", close=True)
    assert (await client.send("GET", "/")).body == b"1"
    assert (await client.send("GET", "/")).body == b"1"
    assert server.connections == 2


async def test_a_chunked_answer_is_put_together(toy: tuple[Toy, Client]) -> None:
    server, client = toy
    server.answering = lambda headers, body, n: (
        b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert (await client.send("GET", "/")).body == b"abc"


async def test_no_answer_is_lost(toy: tuple[Toy, Client]) -> None:
    server, client = toy
    server.answering = lambda headers, body, n: None
    with pytest.raises(LostError):
        await client.send("GET", "/")
    with pytest.raises(LostError):
        await Client("http://127.0.0.1:9").send("GET", "/")


async def test_the_same_key_is_sent_until_there_is_an_answer(
    toy: tuple[Toy, Client], doors: Doors
) -> None:
    server, _ = toy
    first = [None, answer(503, b"{}"), answer(504, b"{}"), answer(409, IN_FLIGHT)]
    server.answering = lambda headers, body, n: (
        first[n - 1] if n <= len(first) else answer(201, b"{}")
    )
    reply = await doors.do(pay())
    assert reply is not None
    assert (reply.status, reply.attempts) == (201, 5)
    assert {headers["idempotency-key"] for headers, _ in server.requests} == {"r-1"}
    assert len({body for _, body in server.requests}) == 1
    (entry,) = entries(doors)
    assert (entry.key, entry.status, entry.attempts, entry.id) == ("r-1", "captured", 5, "pay_1")
    assert entry.acknowledged_at is not None
    assert doors.tally.run.retried == 1


IN_FLIGHT = b'{"code":"idempotency_key_in_flight"}'


async def test_patience_ends_and_the_journal_says_so(toy: tuple[Toy, Client], doors: Doors) -> None:
    server, _ = toy
    server.answering = lambda headers, body, n: answer(503, b"{}")
    assert await doors.do(pay()) is None
    (entry,) = entries(doors)
    assert (entry.status, entry.acknowledged_at) == ("unknown", None)
    assert doors.tally.defect_count == 1


async def test_a_clear_no_is_final(toy: tuple[Toy, Client], doors: Doors) -> None:
    server, _ = toy
    server.answering = lambda headers, body, n: answer(422, b'{"code":"some_rule"}')
    reply = await doors.do(pay())
    assert reply is not None
    assert reply.problem.code == "some_rule"
    (entry,) = entries(doors)
    assert (entry.status, entry.code) == ("refused", "some_rule")
    assert not doors.tally.defects


async def test_a_server_error_is_a_defect(toy: tuple[Toy, Client], doors: Doors) -> None:
    server, _ = toy
    server.answering = lambda headers, body, n: answer(500, b'{"code":"internal"}')
    reply = await doors.do(pay())
    assert reply is not None
    assert doors.tally.run.failed == 1
    (entry,) = entries(doors)
    assert (entry.status, entry.code) == ("unknown", "internal")


class Once(Peace):
    """Trouble for the first request only."""

    def __init__(self, *, lost: bool = False, double: bool = False) -> None:
        self.lost, self.double = lost, double

    def loses_reply(self) -> bool:
        hit, self.lost = self.lost, False
        return hit

    def doubles(self) -> bool:
        hit, self.double = self.double, False
        return hit


async def test_a_lost_reply_is_asked_for_again(toy: tuple[Toy, Client], doors: Doors) -> None:
    server, _ = toy
    doors.mischief = Once(lost=True)
    reply = await doors.do(pay())
    assert reply is not None
    assert reply.ok
    keys = [headers["idempotency-key"] for headers, _ in server.requests]
    assert set(keys) == {"r-1"}


async def test_two_answers_to_one_key_must_not_differ(
    toy: tuple[Toy, Client], doors: Doors
) -> None:
    server, _ = toy
    server.answering = lambda headers, body, n: answer(201, b'{"n":%d}' % n)
    doors.mischief = Once(double=True)
    assert isinstance(await doors.do(pay()), Reply)
    assert doors.tally.defects == ["pay: two answers to one key differ"]


async def test_what_need_not_be_journaled_is_not(toy: tuple[Toy, Client], doors: Doors) -> None:
    await doors.do(pay(journaled=False))
    assert entries(doors) == []
    assert doors.tally.run.operations["pay"] == 1
