"""Saying a code through the HTTP door."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kabao.base.clock import FixedClock
from kabao.base.db import Database
from kabao.base.ids import to_edge
from kabao.base.web.application import Web
from kabao.base.web.metrics import Figures, Traffic
from kabao.base.web.principal import Principal
from kabao.proofs import http

from .make import PURPOSE, World, other


class Ring:
    """One key that may, one that may not."""

    def cached(self, token: str) -> Principal | None:
        verbs = {"may": frozenset({"codes:write"}), "may-not": frozenset[str]()}.get(token)
        return None if verbs is None else Principal("0" * 32, "x", "0" * 32, None, None, verbs)

    async def principal(self, token: str) -> Principal | None:
        return self.cached(token)


@pytest.fixture
def world(db: Database, tmp_path: Path, clock: FixedClock) -> World:
    return World(db, tmp_path, clock)


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    traffic = Traffic()
    web = Web(
        routes=http.ROUTES,
        keys=Ring(),
        provided={"proofs": world.proofs},
        checks={},
        traffic=traffic,
        figures=Figures(traffic),
        version="0",
    )
    transport = httpx.ASGITransport(app=web)
    async with httpx.AsyncClient(transport=transport, base_url="http://kabao") as made:
        yield made


async def say(client: httpx.AsyncClient, ident: str, code: str, key: str = "may") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return await client.post(f"/v1/codes/{ident}/check", json={"code": code}, headers=headers)


@pytest.mark.row("B-08", "B-24", "R-01", "ATK-3")
async def test_a_code_is_said(client: httpx.AsyncClient, world: World) -> None:
    ident, digits = await world.send()
    code = to_edge("otp", ident)
    wrong = await say(client, code, other(digits))
    assert (wrong.status_code, wrong.json()["code"], wrong.json()["rule"]) == (
        422,
        "code_refused",
        "ATK-3",
    )
    right = await say(client, code, digits)
    assert right.status_code == 200
    assert (right.json()["proof"], right.json()["purpose"]) == (code, PURPOSE)
    again = await say(client, code, digits)
    assert again.json()["code"] == "code_refused"
    async with world.db.transaction() as conn:
        await world.proofs.spend(conn, ident, PURPOSE, "card_0123")


async def test_who_may_say_a_code(client: httpx.AsyncClient, world: World) -> None:
    ident, digits = await world.send()
    code = to_edge("otp", ident)
    assert (await say(client, code, digits, "may-not")).status_code == 403
    assert (await say(client, code, digits, "nobody")).status_code == 401
    for unknown in ("card_x", to_edge("otp", "0" * 32)):
        assert (await say(client, unknown, digits)).json()["rule"] == "ATK-3"
    assert (await say(client, code, "12a456")).status_code == 422
    assert (await say(client, code, digits)).status_code == 200
