"""Over TLS: version 1.3 and nothing older, and certificates for stores where they are asked for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kabao.base.db import Database
from tests.base.web.test_server import Certificates

from .clocked import Clocked, clocked, served
from .http import Http, LostError


@pytest.fixture
async def at(db: Database, tmp_path: Path) -> AsyncIterator[Clocked]:
    async with clocked(db, tmp_path) as made:
        yield made


@pytest.mark.row("B-14", "P-24", "K-04")
async def test_payments_over_tls_1_3(at: Clocked, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    actors = at.actors
    card = await actors.card(1_000)
    trusting = ssl.create_default_context(cafile=str(certificates.ca))
    async with served(at.kabao, certificates.issue("server")) as port:
        actors.http = Http(port, tls=trusting)
        paid = await actors.pay(card, 100)
        assert (paid.status, paid["balance_after"]) == (201, 900)
        assert paid.headers["strict-transport-security"].startswith("max-age=")
        assert actors.http.tls_versions() == {"TLSv1.3"}
        await actors.http.close()
        old = ssl.create_default_context(cafile=str(certificates.ca))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        for wrong in (
            Http(port, tls=old),
            Http(port),
            Http(port, tls=ssl.create_default_context()),
        ):
            actors.http = wrong
            with pytest.raises(LostError):
                await actors.pay(card, 100)
    actors.http = Http(at.port)
    assert await actors.balance(card) == (900, 900)
    await actors.http.close()


@pytest.mark.row("R-07", "B-14")
async def test_a_store_without_a_certificate_stays_outside(at: Clocked, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server, client = certificates.issue("server"), certificates.issue("client")
    strict = type(server)(server.certificate, server.key, certificates.ca)
    actors = at.actors
    card = await actors.card(1_000)
    async with served(at.kabao, strict) as port:
        anonymous = ssl.create_default_context(cafile=str(certificates.ca))
        actors.http = Http(port, tls=anonymous)
        with pytest.raises(LostError):
            await actors.pay(card, 100)
        known = ssl.create_default_context(cafile=str(certificates.ca))
        known.load_cert_chain(client.certificate, client.key)
        actors.http = Http(port, tls=known)
        assert (await actors.pay(card, 100))["balance_after"] == 900
        await actors.http.close()
