"""The courier of webhooks: to public addresses only, in time, and never off the road."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from httpcore import AnyIOBackend, AsyncNetworkStream, ConnectError

from kabao.adapters.webhooks.courier import HttpCourier
from kabao.adapters.webhooks.guard import Guarded, Resolve, SystemNames
from kabao.base.clock import RealClock, from_us
from kabao.notices.model.deliveries import Outcome, Reply
from tests.notices.receiver import Receiver, receiving

pytestmark = pytest.mark.row("ATK-9")

HEADERS = {"content-type": "application/json"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


class Names:
    """A name server that may change its mind."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


async def post(
    url: str, resolve: Resolve | None = None, *, private: bool = False, timeout_s: float = 2.0
) -> Reply:
    async with HttpCourier(private=private, resolve=resolve) as courier:
        return await courier.post(url, HEADERS, b"{}", timeout_s)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"]
)
async def test_nothing_is_sent_to_ourselves(receiver: Receiver, host: str) -> None:
    reply = await post(f"http://{host}:{receiver.port}/")
    assert reply.outcome in {Outcome.ADDRESS_REFUSED, Outcome.UNREACHABLE}
    assert receiver.got == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["fd00::1"],
    ],
)
async def test_a_name_that_leads_inside_is_refused(
    receiver: Receiver, addresses: list[str]
) -> None:
    reply = await post(f"http://receiver.example:{receiver.port}/", Names(addresses))
    assert reply == Reply(Outcome.ADDRESS_REFUSED)
    assert receiver.got == []


class Nowhere(AnyIOBackend):
    """A network on which nobody answers, which remembers whom we wanted."""

    def __init__(self) -> None:
        self.wanted: list[str] = []

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> AsyncNetworkStream:
        self.wanted.append(host)
        raise ConnectError


async def test_what_was_judged_is_connected_to() -> None:
    """A name that is public when it is looked at and leads inside a moment later (rebinding)."""
    names, nowhere = Names(["8.8.8.8", "1.1.1.1"], ["127.0.0.1"]), Nowhere()
    with pytest.raises(ConnectError):
        await Guarded(names, private=False, inner=nowhere).connect_tcp("receiver.example", 443)
    assert nowhere.wanted == ["8.8.8.8", "1.1.1.1"]
    assert names.asked == 1


async def test_each_connection_is_judged_anew(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"])
    url = f"http://receiver.example:{receiver.port}/hooks"
    async with HttpCourier(private=True, resolve=names) as courier:
        for _ in range(3):
            assert (await courier.post(url, HEADERS, b"{}", 2.0)).delivered
        assert names.asked == 1, "while a connection is kept it is the one that was judged"
    assert receiver.got[0].headers["host"] == f"receiver.example:{receiver.port}"


async def test_what_an_answer_means(receiver: Receiver) -> None:
    for status, outcome in ((200, Outcome.DELIVERED), (204, Outcome.DELIVERED)):
        receiver.answer = lambda _, status=status: (status, 0.0)
        assert await post(receiver.url, private=True) == Reply(outcome, status)
    for status in (301, 307, 400, 401, 410, 429, 500, 503):
        receiver.answer = lambda _, status=status: (status, 0.0)
        assert await post(receiver.url, private=True) == Reply(Outcome.REFUSED, status)


async def test_who_waits_for_a_connection_of_ours_has_not_failed(receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, 5.0)
    async with HttpCourier(private=True, connections=1) as courier, receiving() as other:
        slow = asyncio.create_task(courier.post(receiver.url, HEADERS, b"{}", 2.0))
        await receiver.until(lambda _: True)
        assert await courier.post(other.url, HEADERS, b"{}", 0.2) == Reply(Outcome.NOT_SENT)
        assert await slow == Reply(Outcome.TIMED_OUT)
        assert (await courier.post(other.url, HEADERS, b"{}", 2.0)).delivered


async def test_a_slow_name_takes_one_thread() -> None:
    answered, asked = threading.Event(), list[str]()

    def slow(host: str, port: int) -> list[str]:
        del port
        asked.append(host)
        if host == "slow.example":
            answered.wait(5)
        return ["8.8.8.8"]

    names = SystemNames(slow)
    waiting = [asyncio.create_task(names("slow.example", 443)) for _ in range(100)]
    assert await asyncio.wait_for(names("other.example", 443), 2) == ["8.8.8.8"]
    waiting[0].cancel()
    answered.set()
    assert await asyncio.gather(*waiting[1:]) == [["8.8.8.8"]] * 99
    assert asked.count("slow.example") == 1
    names.close()


async def test_whoever_is_slow_is_left(receiver: Receiver) -> None:
    receiver.answer = lambda _: (200, 5.0)
    assert await post(receiver.url, private=True, timeout_s=0.2) == Reply(Outcome.TIMED_OUT)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"", Outcome.BROKEN),
        (b"SSH-2.0-x\r\n", Outcome.BROKEN),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", Outcome.BROKEN),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", Outcome.BROKEN),
    ],
)
async def test_what_is_no_answer(answer: bytes, outcome: Outcome) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await post(f"http://127.0.0.1:{port}/", private=True) == Reply(outcome)


async def test_an_endless_answer_is_not_read() -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await writer.drain()
                written += 0x10000
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reply = await post(f"http://127.0.0.1:{port}/", private=True)
        assert reply == Reply(Outcome.DELIVERED, 200)
    assert written < 20 << 20


async def test_nobody_there() -> None:
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
    assert await post(f"http://127.0.0.1:{port}/", private=True) == Reply(Outcome.UNREACHABLE)
    assert (await post("https://nobody.invalid/")).outcome is Outcome.UNREACHABLE


async def test_a_certificate_is_checked_for_the_name(tmp_path: Path) -> None:
    """The address is ours to choose; whether it is theirs the certificate says."""
    server_tls, client_tls = certified("receiver.example", tmp_path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 x\r\n\r\n")
        await writer.drain()
        writer.close()

    here = Names(["127.0.0.1"])
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]

        async def ask(host: str, tls: ssl.SSLContext | None) -> Reply:
            async with HttpCourier(private=True, resolve=here, tls=tls) as courier:
                return await courier.post(f"https://{host}:{port}/", HEADERS, b"{}", 2.0)

        assert (await ask("receiver.example", client_tls)).delivered
        assert (await ask("elsewhere.example", client_tls)).outcome is Outcome.UNREACHABLE
        assert (await ask("receiver.example", None)).outcome is Outcome.UNREACHABLE


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server with a certificate for a name, and a client that trusts it."""
    key, at = ec.generate_private_key(ec.SECP256R1()), from_us(RealClock().now_us())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, secret)
    return server, ssl.create_default_context(cafile=str(pem))
