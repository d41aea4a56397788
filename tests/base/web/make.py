"""A small application over both doors, and a client that speaks raw HTTP/1.1."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
import psycopg
from litestar import Request, Response, get, post
from msgspec import Meta

from kabao.base.errors import Code, Kind
from kabao.base.web.answers import Answer, answer
from kabao.base.web.application import Web
from kabao.base.web.binding import PUBLIC
from kabao.base.web.fields import Amount, Currency, Metadata, RequestBody, ShortText, Text
from kabao.base.web.hot import HotCall, HotRoute
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from kabao.base.web.principal import Principal, requires
from kabao.base.web.server import Server, Tls, listen

COMPANY = "0190a5b4c3d27e8f90a1000000000001"
TOKEN = "kb_test"
SECRET = "6222021234567890123"

DECLINED = Code("test_declined", Kind.REFUSED, "A rule of the test says no.")

ALL = Principal(
    "0190a5b4c3d27e8f90a1000000000002",
    "test",
    COMPANY,
    None,
    None,
    frozenset({"pay:write", "things:read", "things:write"}),
)
READER = msgspec.structs.replace(ALL, verbs=frozenset({"things:read"}))


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something has come about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for is in the code under test
            await asyncio.sleep(0)


class Keys:
    """A key ring: `kb_test` is in memory, `kb_cold` only in the database."""

    def cached(self, token: str) -> Principal | None:
        return {TOKEN: ALL, "kb_reader": READER}.get(token)

    async def principal(self, token: str) -> Principal | None:
        await asyncio.sleep(0)
        return ALL if token == "kb_cold" else None


class Pay(RequestBody, frozen=True):
    amount: Amount
    currency: Currency = "CNY"
    reference: ShortText | None = None
    metadata: Metadata = {}  # noqa: RUF012  # msgspec copies it
    note: Text = ""


class Paid(msgspec.Struct, frozen=True):
    amount: int
    key: str


class Till:
    """The core of the hot routes; keys say how it is to behave."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.waiting: dict[str, asyncio.Future[Paid]] = {}

    def pay(self, call: HotCall[Pay]) -> Answer | asyncio.Future[Any]:
        self.calls.append(call.key)
        paid = Paid(call.data.amount, call.key)
        if call.key.startswith("refuse"):
            raise DECLINED.error("Not today.", rule="P-15", field="amount")
        if call.key.startswith("defect"):
            raise ZeroDivisionError("core")
        if call.key.startswith("wait"):
            self.waiting[call.key] = asyncio.get_running_loop().create_future()
            return self.waiting[call.key]
        if call.key.startswith("future"):
            future: asyncio.Future[Paid] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, paid)
            return future
        return answer(paid, 201)

    def inquire(self, call: HotCall[Pay]) -> Answer:
        return answer(Paid(call.data.amount, call.key))

    async def called(self, key: str) -> None:
        """Returns once the core was called with this key."""
        await until(lambda: key in self.calls)


class Thing(RequestBody, frozen=True):
    name: ShortText
    size: Annotated[int, Meta(ge=1, le=10)] = 1


class ThingView(msgspec.Struct, frozen=True):
    name: str
    size: int
    till: str = ""


@post("/v1/things", guards=[requires("things:write")])
async def make_thing(data: Thing, principal: Principal) -> ThingView:
    """Make a thing."""
    return ThingView(data.name, data.size, principal.name)


@post("/v1/things/{thing:str}/touch", guards=[requires("things:write")], status_code=200)
async def touch_thing(thing: str, request: Request[Any, Any, Any]) -> ThingView:
    """Touch a thing: a POST without a body."""
    return ThingView(thing, len(request.headers))


@get("/v1/things", guards=[requires("things:read")])
async def list_things(
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
    name: str | None = None,
    state: list[str] | None = None,
) -> Page[ThingView]:
    """List things."""
    return Page([ThingView(name or "", limit, ",".join(state or []))], cursor)


@get("/v1/things/{thing:str}", guards=[requires("things:read")])
async def get_thing(thing: str, till: Till, size: int = 1) -> Response[ThingView]:
    """Get a thing; some names make trouble."""
    if thing == "gone":
        raise psycopg.OperationalError("the server closed the connection")
    if thing == "defect":
        cause = psycopg.errors.UniqueViolation(f"Key (number)=({SECRET}) already exists")
        raise RuntimeError("made for the test") from cause
    if thing == "slow":
        till.waiting["slow"] = asyncio.get_running_loop().create_future()
        await till.waiting["slow"]
    return Response(ThingView(thing, size))


@get("/v1/open", opt=PUBLIC)
async def open_to_all() -> ThingView:
    """Needs no key."""
    return ThingView("open", 1)


ROUTES = [make_thing, touch_thing, list_things, get_thing, open_to_all]


def hot(till: Till) -> list[HotRoute]:
    return [
        HotRoute(
            "POST",
            "/v1/payments",
            till.pay,
            show=lambda paid: answer(paid, 201),
            takes=Pay,
            gives=Paid,
            verb="pay:write",
            status=201,
            name="pay",
            summary="Pay.",
            tag="payments",
        ),
        HotRoute(
            "POST",
            "/v1/balance-inquiries",
            till.inquire,
            takes=Pay,
            gives=Paid,
            verb="pay:write",
            keyed=False,
            name="inquire",
            summary="Ask for a balance.",
            tag="payments",
        ),
    ]


def web(till: Till, **changed: Any) -> Web:
    traffic = Traffic()
    arguments: dict[str, Any] = {
        "routes": ROUTES,
        "hot": hot(till),
        "keys": Keys(),
        "provided": {"till": till},
        "checks": {},
        "traffic": traffic,
        "figures": Figures(traffic),
        "version": "0",
    }
    return Web(**{**arguments, **changed})


class Running:
    """A server in this process, its application and its till."""

    def __init__(self, server: Server, web: Web, till: Till, port: int) -> None:
        self.server, self.web, self.till, self.port = server, web, till, port

    @contextlib.asynccontextmanager
    async def client(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def connection_of(self, client: Client) -> Any:
        """The protocol that serves a client."""
        name = client.writer.get_extra_info("sockname")
        return next(c for c in self.server.server_state.connections if c.client == name)


@contextlib.asynccontextmanager
async def running(tls: Tls | None = None, **changed: Any) -> AsyncIterator[Running]:
    till = Till()
    made = web(till, **changed)
    server = Server(made, tls=tls, signals=False)
    sock = listen("127.0.0.1", 0)
    port = sock.getsockname()[1]
    serving = asyncio.create_task(server.serve_on(sock))
    await until(lambda: server.started)
    try:
        yield Running(server, made, till, port)
    finally:
        server.stop()
        await serving


class Reply:
    """One answer as it came."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read(self, *, head: bool = False) -> Reply:
        async with asyncio.timeout(5):
            raw = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = raw.decode().split("\r\n")[:-2]
            status = int(first.split(" ")[1])
            headers = {}
            for line in lines:
                name, _, value = line.partition(": ")
                assert name.lower() not in headers, f"{name} came twice"
                headers[name.lower()] = value
            length = 0 if head or status in {100, 204} else int(headers["content-length"])
            return Reply(status, headers, await self.reader.readexactly(length))

    async def ask(self, data: bytes) -> Reply:
        await self.send(data)
        return await self.read()

    async def ended(self) -> bool:
        """Whether the server closes; waits for it."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


def request(
    method: str, path: str, body: bytes | None = None, *, token: str | None = TOKEN, **more: str
) -> bytes:
    """The bytes of a request; `more` are headers, with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None and "transfer_encoding" not in more:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def pay(key: str | None = "k", body: bytes = b'{"amount":5}', **more: str) -> bytes:
    if key is not None:
        more["Idempotency_Key"] = key
    return request("POST", "/v1/payments", body, **more)


def chunked(data: bytes, size: int = 7) -> bytes:
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def pay_chunked(key: str | None = "k", body: bytes = b'{"amount":5}', **more: str) -> bytes:
    """The same request, not plain: the framework's door takes it."""
    if key is not None:
        more["Idempotency_Key"] = key
    return request("POST", "/v1/payments", chunked(body), transfer_encoding="chunked", **more)
