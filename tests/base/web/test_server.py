"""The listening socket, TLS, figures of several processes."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import signal
import socket
import ssl
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kabao.base.errors import SETTING, KabaoError
from kabao.base.web.metrics import BOUNDS_S, Figures, Traffic
from kabao.base.web.server import Server, Tls, listen

from . import make
from .make import pay, running

DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Certificates:
    """An authority, and a certificate for 127.0.0.1 and for a client by it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._write("ca", self._key, self._sign(self._name, self._key, authority=True))

    def issue(self, name: str) -> Tls:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(name, key, self._sign(subject, key, authority=False))
        return Tls(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(DAY)
            .not_valid_after(DAY + datetime.timedelta(days=36_500))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _write(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> None:
        (self.folder / f"{name}.pem").write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def client(self, own: Tls | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def test_both_doors_over_tls(certificates: Certificates) -> None:
    async with (
        running(tls=certificates.issue("server")) as web,
        web.client(certificates.client()) as client,
    ):
        for data in (pay("tls"), make.pay_chunked("tls")):
            reply = await client.ask(data)
            assert reply.json["key"] == "tls"
            assert reply.headers["strict-transport-security"].startswith("max-age=")
        tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        reply = await client.ask(b"rubbish\r\n\r\n")
        assert reply.status == 400


async def test_older_tls_is_refused(certificates: Certificates) -> None:
    context = certificates.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running(tls=certificates.issue("server")) as web:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with web.client(context):
                pass


async def test_mutual_tls(certificates: Certificates) -> None:
    server = msgspec.structs.replace(certificates.issue("server"), client_ca=certificates.ca)
    async with running(tls=server) as web:
        known = certificates.client(certificates.issue("store"))
        async with web.client(known) as client:
            assert (await client.ask(pay("mutual"))).status == 201
        async with web.client(certificates.client()) as client:
            with pytest.raises((ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)):
                await client.ask(pay("mutual"))


def test_unusable_tls_files(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    for tls in (Tls(wrong, wrong), Tls(tmp_path / "missing.pem", wrong)):
        with pytest.raises(KabaoError) as refused:
            tls.context()
        assert refused.value.code is SETTING


def test_a_port_in_use() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(KabaoError) as refused:
            listen("127.0.0.1", port)
    assert refused.value.code is SETTING
    assert str(port) in refused.value.detail


async def test_an_inherited_socket() -> None:
    """What a child process makes of the descriptor serves as well, without delay."""
    first = listen("127.0.0.1", 0)
    inherited = socket.socket(fileno=os.dup(first.fileno()))
    first.close()
    server = Server(make.web(make.Till()), signals=False)
    port = inherited.getsockname()[1]
    serving = asyncio.create_task(server.serve_on(inherited))
    await make.until(lambda: server.started)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reply = await make.Client(reader, writer).ask(pay("inherited"))
    assert reply.status == 201
    (connection,) = server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    writer.close()
    server.stop()
    await serving


async def test_a_signal_ends_it_well() -> None:
    """The process is not killed by the signal it was asked to stop with."""
    server = Server(make.web(make.Till()))
    serving = asyncio.create_task(server.serve_on(listen("127.0.0.1", 0)))
    await make.until(lambda: server.started)
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


# Figures


def figures(folder: Path, process: str) -> tuple[Traffic, Figures]:
    traffic = Traffic()
    return traffic, Figures(traffic, process=process, folder=folder)


def test_siblings_are_reported(tmp_path: Path) -> None:
    here, own = figures(tmp_path, "0")
    there, sibling = figures(tmp_path, "1")
    here.meter("fast", "POST", "/v1/payments").count(201, 0.002)
    there.meter("fast", "POST", "/v1/payments").count(201, 0.002)
    sibling.leave()
    here.meter("fast", "POST", "/v1/payments").count(201, 100.0)
    own.leave()
    text = own.render().decode()
    for process, count in ((0, 2.0), (1, 1.0)):
        assert (
            f'kabao_http_requests_total{{door="fast",method="POST",process="{process}",'
            f'route="/v1/payments",status="201"}} {count}'
        ) in text
    assert text.count("# TYPE kabao_http_requests_total counter") == 1
    assert "kabao_http_request_seconds_sum" in text
    assert "process_resident_memory_bytes" in text


def test_the_dead_and_the_broken_are_left_out(tmp_path: Path) -> None:
    _, own = figures(tmp_path, "0")
    there, sibling = figures(tmp_path, "1")
    there.meter("fast", "POST", "/x").count(201, 0.1)
    sibling.leave()
    left = tmp_path / "1.json"
    left.write_bytes(left.read_bytes().replace(b'"pid":%d' % os.getpid(), b'"pid":%d' % 2**22))
    (tmp_path / "2.json").write_text("{")
    assert 'route="/x"' not in own.render().decode()


def test_buckets_add_up() -> None:
    traffic = Traffic()
    meter = traffic.meter("fast", "POST", "/x")
    for seconds in (*BOUNDS_S, 0.0, 99.0):
        meter.count(200, seconds)
    (_, histogram) = traffic.collect()
    buckets = {s.labels["le"]: s.value for s in histogram.samples if s.name.endswith("_bucket")}
    assert buckets["0.001"] == 2  # its bound belongs to a bucket
    assert buckets["+Inf"] == len(BOUNDS_S) + 2
