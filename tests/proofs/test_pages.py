"""Tokens of payment pages: bound to what the page says, and good once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.app.world import World, made, world

PAGE = {"amount": 1_234, "currency": "CNY", "order": "order-1", "session": "s-1"}


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def issued(w: World) -> str:
    return str((await made(w.merchant.post("/v1/page-tokens", PAGE)))["token"])


async def spend(w: World, token: str, **other: Any) -> int:
    answer = await w.merchant.post("/v1/page-tokens/spend", PAGE | {"token": token} | other)
    if answer.status_code != 200:
        assert answer.status_code == 422
        assert (answer.json()["code"], answer.json()["rule"]) == ("page_token_refused", "R-07")
    return answer.status_code


@pytest.mark.row("R-07")
async def test_a_token_is_good_once(w: World) -> None:
    token = await issued(w)
    assert await spend(w, token) == 200
    assert await spend(w, token) == 422
    assert await issued(w) != token


@pytest.mark.row("R-07")
async def test_of_twenty_at_once_one_succeeds(w: World) -> None:
    token = await issued(w)
    answers = await asyncio.gather(*(spend(w, token) for _ in range(20)))
    assert sorted(answers) == [200] + [422] * 19


async def test_a_repeated_request_is_answered_alike(w: World) -> None:
    token = await issued(w)
    body = PAGE | {"token": token}
    first = await made(w.merchant.post("/v1/page-tokens/spend", body, key="one"))
    assert await made(w.merchant.post("/v1/page-tokens/spend", body, key="one")) == first


@pytest.mark.row("R-07")
async def test_it_is_of_this_page_and_nobody_elses(w: World) -> None:
    token = await issued(w)
    for other in ({"amount": 1_233}, {"order": "order-2"}, {"session": "s-2"}):
        assert await spend(w, token, **other) == 422
    last = "0" if token[-1] != "0" else "1"
    for wrong in (token[:-1], token[:-1] + last, token + "0", token[4:], "pgt_", "x", "￿"):
        assert await spend(w, wrong) == 422
    assert await spend(w, token) == 200, "none of these used it up"
    body = PAGE | {"token": await issued(w)}
    other_company = await w.by("other-operator").post("/v1/page-tokens/spend", body)
    assert other_company.status_code == 403


async def test_it_grows_old_and_is_forgotten(w: World) -> None:
    token, other = await issued(w), await issued(w)
    w.clock.advance(timedelta(seconds=899))
    assert await spend(w, token) == 200
    w.clock.advance(timedelta(seconds=1))
    assert await spend(w, other) == 422
    w.clock.advance(timedelta(days=2))
    async with w.kabao.db.transaction() as conn:
        assert await w.kabao.proofs.purge(conn) >= 2
