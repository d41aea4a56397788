"""Both doors through real sockets: order, framing, limits, the life of a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from . import make
from .make import Running, pay, pay_chunked, request, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def web() -> AsyncIterator[Running]:
    async with running() as served:
        yield served


GOOD = b'{"amount":5}'
MAX_BODY = 1_000_000


def padded(length: int) -> bytes:
    """A good body of exactly so many bytes."""
    return GOOD + b" " * (length - len(GOOD))


def without_ids(reply: make.Reply) -> tuple[int, bytes, dict[str, str]]:
    ident = reply.headers["x-request-id"]
    body = reply.body.replace(ident.encode(), b"ID")
    headers = {k: v for k, v in reply.headers.items() if k not in {"x-request-id", "date"}}
    headers.pop("content-length")
    return reply.status, body, headers


# One core function, two ways to reach it


@pytest.mark.parametrize(
    ("key", "body", "more", "status"),
    [
        ("k", GOOD, {}, 201),
        ("future", GOOD, {}, 201),
        ("k", b"", {}, 400),
        ("k", b"{", {}, 400),
        ("k", b"\xff\xfe", {}, 400),
        ("k", b'{"amount":5,"other":1}', {}, 400),
        ("k", b'{"amount":"5"}', {}, 400),
        ("k", b'{"amount":1.0}', {}, 400),
        ("k", b'{"amount":true}', {}, 400),
        ("k", b'{"amount":0}', {}, 422),
        ("k", b'{"amount":9007199254740992}', {}, 422),
        ("k", b'{"amount":5,"currency":"USD"}', {}, 422),
        (None, GOOD, {}, 400),
        ("x" * 256, GOOD, {}, 400),
        ("a b", GOOD, {}, 400),
        ("ключ", GOOD, {}, 400),
        ("refuse", GOOD, {}, 422),
        ("defect", GOOD, {}, 500),
        ("k", GOOD, {"token": None}, 401),
        ("k", GOOD, {"token": "kb_unknown"}, 401),
        ("k", GOOD, {"token": "kb_cold"}, 201),
        ("k", GOOD, {"token": "kb_reader"}, 403),
        ("k", b"{", {"token": "kb_reader"}, 403),
        ("k", GOOD, {"token": "x" * 300}, 401),
    ],
)
async def test_the_doors_answer_the_same(
    web: Running, key: str | None, body: bytes, more: dict[str, Any], status: int
) -> None:
    async with web.client() as client:
        fast = await client.ask(pay(key, body, **more))
        slow = await client.ask(pay_chunked(key, body, **more))
        asked = await client.ask(
            pay(key, body, **more).replace(b"/v1/payments ", b"/v1/payments? ")
        )
    assert fast.status == status
    assert without_ids(fast) == without_ids(slow) == without_ids(asked)
    if status >= 400:
        assert fast.headers["content-type"] == "application/problem+json"
        assert fast.json["request_id"] == fast.headers["x-request-id"]
        assert fast.json["status"] == status


async def test_the_doors_count_apart(web: Running) -> None:
    async with web.client() as client:
        await client.ask(pay())
        await client.ask(pay_chunked())
        figures = (await client.ask(request("GET", "/metrics", token=None))).body.decode()
    for door in ("fast", "framework"):
        assert (
            f'kabao_http_requests_total{{door="{door}",method="POST",process="0",'
            f'route="/v1/payments",status="201"}}' in figures
        )


async def test_a_key_is_optional_where_nothing_moves(web: Running) -> None:
    async with web.client() as client:
        reply = await client.ask(request("POST", "/v1/balance-inquiries", GOOD))
    assert (reply.status, reply.json) == (200, {"amount": 5, "key": ""})


# Order


def mixed(count: int) -> tuple[list[bytes], list[str]]:
    """Requests of every kind in turn, and the word each answer must contain."""
    kinds = [
        lambda i: (pay(f"now-{i}"), f"now-{i}"),
        lambda i: (request("GET", f"/v1/things/thing-{i}"), f"thing-{i}"),
        lambda i: (pay(f"future-{i}"), f"future-{i}"),
        lambda i: (pay_chunked(f"chunked-{i}"), f"chunked-{i}"),
        lambda i: (request("POST", f"/v1/things/touch-{i}/touch", b"{}"), f"touch-{i}"),
        lambda i: (pay(f"bad-{i}", b'{"a%d":1}' % i), f"a{i}"),
    ]
    made = [kinds[i % len(kinds)](i) for i in range(count)]
    return [data for data, _ in made], [word for _, word in made]


@pytest.mark.parametrize("together", [1, 5, 1000])
async def test_answers_come_in_the_order_of_requests(web: Running, together: int) -> None:
    requests, words = mixed(60)
    async with web.client() as client:
        for i in range(0, len(requests), together):
            await client.send(b"".join(requests[i : i + together]))
        replies = [await client.read() for _ in requests]
    for reply, word in zip(replies, words, strict=True):
        assert word in reply.body.decode()


async def test_one_request_of_a_connection_at_a_time(web: Running) -> None:
    """A pipelined change must not overtake the one before it."""
    async with web.client() as client:
        await client.send(pay("wait-1") + pay("after-1") + request("GET", "/v1/open", token=None))
        await web.till.called("wait-1")
        assert "after-1" not in web.till.calls
        web.till.waiting.pop("wait-1").set_result(make.Paid(1, "wait-1"))
        keys = [(await client.read()).json["key"] for _ in range(2)]
        assert (await client.read()).json["name"] == "open"
    assert keys == ["wait-1", "after-1"]


async def test_a_fast_request_waits_for_a_slow_one(web: Running) -> None:
    async with web.client() as client:
        await client.send(request("GET", "/v1/things/slow") + pay("after-slow"))
        await until(lambda: "slow" in web.till.waiting)
        assert "after-slow" not in web.till.calls
        web.till.waiting.pop("slow").set_result(make.Paid(1, ""))
        assert (await client.read()).json["name"] == "slow"
        assert (await client.read()).json["key"] == "after-slow"


async def test_thousands_of_pipelined_requests(web: Running) -> None:
    """Answers given at once must not call each other ever deeper."""
    count = 3_000
    async with web.client() as client:
        sending = asyncio.create_task(
            client.send(
                pay("wait-many") + b"".join(pay(f"many-{i}", Pad="x" * 50) for i in range(count))
            )
        )
        await web.till.called("wait-many")
        web.till.waiting.pop("wait-many").set_result(make.Paid(1, "wait-many"))
        keys = [(await client.read()).json["key"] for _ in range(count + 1)]
        await sending
    assert keys == ["wait-many", *(f"many-{i}" for i in range(count))]


async def test_a_client_that_does_not_read_is_not_read_from(web: Running) -> None:
    count = 40_000
    async with web.client() as client:
        sending = asyncio.create_task(
            client.send(b"".join(pay(f"deaf-{i}", b'{"amount":1}') for i in range(count)))
        )
        protocol = web.connection_of(client)
        await until(lambda: protocol.flow.write_paused)
        called = sum(key.startswith("deaf-") for key in web.till.calls)
        assert called < count
        for i in range(count):
            assert (await client.read()).json["key"] == f"deaf-{i}"
        await sending


# Framing


@pytest.mark.parametrize(
    "data",
    [pay("byte"), pay_chunked("byte"), request("POST", "/v1/things", b'{"name":"byte"}')],
    ids=["fast", "chunked", "framework"],
)
async def test_byte_by_byte(web: Running, data: bytes) -> None:
    async with web.client() as client:
        for i in range(len(data)):
            await client.send(data[i : i + 1])
            await asyncio.sleep(0)
        assert b"byte" in (await client.read()).body


async def test_cut_anywhere(web: Running) -> None:
    data = pay("cut-1") + pay_chunked("cut-2") + request("GET", "/v1/things/cut-3")
    async with web.client() as client:
        for i in range(1, len(data)):
            await client.send(data[:i])
            await asyncio.sleep(0)
            await client.send(data[i:])
            for n in (1, 2, 3):
                assert f"cut-{n}" in (await client.read()).body.decode()


async def test_a_trailer_is_no_header(web: Running) -> None:
    data = pay_chunked("trailer", token=None)
    assert data.endswith(b"0\r\n\r\n")
    async with web.client() as client:
        reply = await client.ask(data[:-2] + b"Authorization: Bearer kb_test\r\n\r\n")
        assert reply.status == 401


async def test_expect_continue(web: Running) -> None:
    whole = pay("expect", Expect="100-continue")
    head, body = whole[: -len(GOOD)], whole[-len(GOOD) :]
    async with web.client() as client:
        assert (await client.ask(head)).status == 100
        assert (await client.ask(body)).json["key"] == "expect"


@pytest.mark.parametrize("length", [MAX_BODY - 1, MAX_BODY])
async def test_the_largest_body(web: Running, length: int) -> None:
    async with web.client() as client:
        assert (await client.ask(pay("large", padded(length)))).status == 201
        assert (await client.ask(pay_chunked("large", padded(length)))).status in {201, 413}
        thing = b'{"name":"large"}'
        body = thing + b" " * (length - len(thing))
        assert (await client.ask(request("POST", "/v1/things", body))).status == 201


async def test_a_body_over_the_limit(web: Running) -> None:
    body = padded(MAX_BODY + 1)
    async with web.client() as client:
        for data in (
            pay("over", body),
            make.request("POST", "/v1/things", body),
            pay("over", body) + pay("after"),
        ):
            reply = await client.ask(data)
            assert (reply.status, reply.json["code"]) == (413, "body_too_large")
        assert (await client.read()).json["key"] == "after"
    async with web.client() as client:
        big = make.chunked(body, 50_000)
        asked = request(
            "POST", "/v1/payments", big, transfer_encoding="chunked", Idempotency_Key="over"
        )
        assert (await client.ask(asked)).status == 413
    assert "over" not in web.till.calls


async def test_an_endless_body_is_cut_off(web: Running) -> None:
    async with web.client() as client:
        reply = await client.ask(request("POST", "/v1/payments", Content_Length=str(10**12)))
        assert reply.status == 413
        with pytest.raises(ConnectionError):
            await client.send(b" " * 50_000_000)


# Methods and targets


async def test_other_methods_of_a_hot_path(web: Running) -> None:
    async with web.client() as client:
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            reply = await client.ask(request(method, "/v1/payments"))
            assert (reply.status, reply.json["code"]) == (405, "method_not_allowed")
            assert "POST" in reply.headers["allow"]
        await client.send(request("HEAD", "/v1/payments"))
        assert (await client.read(head=True)).status == 405
        reply = await client.ask(request("OPTIONS", "/v1/payments"))
        assert (reply.status, reply.headers["allow"]) == (204, "OPTIONS, POST")
        assert (await client.ask(pay("still"))).status == 201


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/payments/x/y", "//", "/%00"])
async def test_unknown_paths(web: Running, path: str) -> None:
    async with web.client() as client:
        reply = await client.ask(request("GET", path))
    assert (reply.status, reply.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "data",
    [
        b"this is not http\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + b"a" * 2_048 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nBig: " + b"a" * 32_769 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nBig: " + b"a" * 400_000,
        b"GET / HTTP/1.1\r\n" + b"Many: x\r\n" * 101 + b"\r\n",
        b"POST /v1/payments HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/payments HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/payments HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /ключ HTTP/1.1\r\n\r\n".encode(),
    ],
    ids=lambda data: data[:30].decode("latin-1"),
)
async def test_what_cannot_be_parsed(web: Running, data: bytes) -> None:
    async with web.client() as client:
        reply = await client.ask(data)
        assert (reply.status, reply.json["code"]) == (400, "malformed")
        assert reply.headers["connection"] == "close"
        assert await client.ended()


async def test_rubbish_after_good_requests(web: Running) -> None:
    """The refusal waits its turn, and the good requests are answered."""
    async with web.client() as client:
        await client.send(pay("wait-r") + request("GET", "/v1/open") + b"rubbish\r\n\r\n")
        await web.till.called("wait-r")
        web.till.waiting.pop("wait-r").set_result(make.Paid(1, "wait-r"))
        assert [(await client.read()).status for _ in range(3)] == [201, 200, 400]
        assert await client.ended()


@pytest.mark.parametrize("before", [b"", request("GET", "/v1/open")])
async def test_a_body_that_breaks(web: Running, before: bytes) -> None:
    broken = pay_chunked("broken", b'{"amount":5}')[:-20] + b"zz\r\n"
    async with web.client() as client:
        await client.send(before + broken)
        if before:
            assert (await client.read()).status == 200
        assert (await client.read()).status == 400
        assert await client.ended()
    assert "broken" not in web.till.calls


# The life of a connection


async def test_connection_close(web: Running) -> None:
    async with web.client() as client:
        await client.send(pay("last", Connection="close") + pay("beyond"))
        reply = await client.read()
        assert (reply.json["key"], reply.headers["connection"]) == ("last", "close")
        assert await client.ended()
    async with web.client() as client:
        await client.send(request("GET", "/v1/open", Connection="close") + pay("beyond"))
        assert (await client.read()).status == 200
        assert await client.ended()
    assert "beyond" not in web.till.calls


async def test_http_1_0(web: Running) -> None:
    async with web.client() as client:
        reply = await client.ask(pay("old").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert reply.json["key"] == "old"
        assert await client.ended()


@pytest.mark.parametrize("offered", ["h2c", "websocket"])
async def test_an_upgrade_is_not_taken(web: Running, offered: str) -> None:
    """The request is answered as if nothing had been offered, with its body."""
    more = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": offered, "HTTP2_Settings": "AAA"}
    async with web.client() as client:
        await client.send(pay(f"wait-{offered}"))
        for number in range(20):
            await client.send(
                pay(f"up-{number}", **more)
                + request("GET", "/v1/things/up", **more)
                + pay_chunked(f"chunked-up-{number}", **more)
            )
        await web.till.called(f"wait-{offered}")
        web.till.waiting.pop(f"wait-{offered}").set_result(make.Paid(1, "first"))
        assert (await client.read()).json["key"] == "first"
        for number in range(20):
            assert (await client.read()).json["key"] == f"up-{number}"
            assert (await client.read()).json["name"] == "up"
            assert (await client.read()).json["key"] == f"chunked-up-{number}"
        data = pay("up-bytes", **more)
        for i in range(len(data)):
            await client.send(data[i : i + 1])
            await asyncio.sleep(0)
        assert (await client.read()).json["key"] == "up-bytes"
    assert web.till.calls.count(f"wait-{offered}") == 1


async def test_the_client_leaves_before_its_answer(web: Running) -> None:
    async with web.client() as client:
        await client.send(pay("wait-left"))
        await web.till.called("wait-left")
        protocol = web.connection_of(client)
    await until(lambda: protocol not in web.server.server_state.connections)
    web.till.waiting.pop("wait-left").set_result(make.Paid(1, ""))


async def test_a_future_that_fails_or_is_cancelled(web: Running) -> None:
    async with web.client() as client:
        await client.send(pay("wait-f1") + pay("wait-f2") + pay("wait-f3"))
        await web.till.called("wait-f1")
        web.till.waiting.pop("wait-f1").set_exception(make.DECLINED.error(rule="P-15"))
        reply = await client.read()
        assert (reply.status, reply.json["rule"]) == (422, "P-15")
        await web.till.called("wait-f2")
        web.till.waiting.pop("wait-f2").cancel()
        reply = await client.read()
        assert (reply.status, reply.json["code"]) == (504, "in_doubt")
        await web.till.called("wait-f3")
        web.till.waiting.pop("wait-f3").set_exception(ZeroDivisionError())
        reply = await client.read()
        assert (reply.status, reply.json["code"]) == (500, "internal")


@pytest.mark.parametrize(
    ("sent", "allowed_s"),
    [
        (b"", 75.0),
        (b"POST /v1/payments HTTP/1.1\r\nHost", 10.0),
        (pay("half")[:-1], 30.0),
        (request("POST", "/v1/things", b'{"name":"half"}')[:-1], 30.0),
    ],
    ids=["idle", "head", "body", "framework"],
)
async def test_patience_ends(web: Running, sent: bytes, allowed_s: float) -> None:
    async with web.client() as client:
        assert (await client.ask(pay("first"))).status == 201
        protocol = web.connection_of(client)
        await client.send(sent)
        if sent:
            await until(lambda: protocol._in_head or protocol.cycle.more_body)
        protocol.sweep(protocol._moment + allowed_s)
        assert not protocol.transport.is_closing()
        protocol.sweep(protocol._moment + allowed_s + 0.1)
        assert protocol.transport.is_closing()


async def test_patience_with_who_does_not_read_ends(web: Running) -> None:
    async with web.client() as client:
        sending = asyncio.create_task(client.send(pay("stuck") * 40_000))
        protocol = web.connection_of(client)
        await until(lambda: protocol._stuck_since is not None)
        protocol.sweep(protocol._stuck_since + 30.0)
        assert not protocol.transport.is_closing()
        protocol.sweep(protocol._stuck_since + 30.1)
        assert protocol.transport.is_closing()
        with contextlib.suppress(ConnectionError):
            await sending


async def test_patience_with_who_was_refused_ends(web: Running) -> None:
    async with web.client() as client:
        protocol = web.connection_of(client)
        assert (await client.ask(b"rubbish\r\n\r\n")).status == 400
        protocol.sweep(protocol._moment + 2.0)
        assert not protocol.transport.is_closing()
        await client.send(b"more rubbish")
        protocol.sweep(protocol._moment + 2.1)
        assert protocol.transport.is_closing()


async def test_work_of_ours_is_waited_for(web: Running) -> None:
    async with web.client() as client:
        await client.send(pay("wait-long"))
        await web.till.called("wait-long")
        protocol = web.connection_of(client)
        protocol.sweep(protocol._moment + 1e6)
        web.till.waiting.pop("wait-long").set_result(make.Paid(1, "wait-long"))
        assert (await client.read()).status == 201


async def test_too_many_connections() -> None:
    async with running(max_connections=1) as web, web.client() as first:
        assert (await first.ask(pay())).status == 201
        async with web.client() as second:
            reply = await second.read()
            assert (reply.status, reply.json["code"]) == (503, "unavailable")
            assert await second.ended()


async def test_shutdown_finishes_what_was_begun() -> None:
    async with running() as web, web.client() as busy, web.client() as idle:
        assert (await idle.ask(pay("idle"))).status == 201
        await busy.send(pay("wait-end"))
        await web.till.called("wait-end")
        web.server.stop()
        assert await idle.ended()
        web.till.waiting.pop("wait-end").set_result(make.Paid(1, "wait-end"))
        reply = await busy.read()
        assert (reply.status, reply.headers["connection"]) == (201, "close")
        assert await busy.ended()
