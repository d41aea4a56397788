"""The parties of the outside world, as they are started by hand."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from typer.testing import CliRunner

from kabao_sandbox.__main__ import app
from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import moment
from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.command import serve
from kabao_sandbox.wechat.server import Wechat


@pytest.mark.parametrize("name", PARTIES)
def test_each_party_tells_how_it_is_started(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "/faults" in done.output and f"kabao_sandbox {name}" in done.output


async def test_a_party_serves_until_it_is_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    party = Wechat(moment.real, Chance(1))
    running = asyncio.create_task(serve(party, 0, 0, Chance(2)))
    said = ""
    async with asyncio.timeout(20):
        while "desk" not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().out
    door, desk = re.findall(r"http://\S+", said)
    door = door.rstrip(",")
    async with httpx.AsyncClient(trust_env=False) as asks:
        assert (await asks.get(f"{desk}/account")).json()["url"] == door
        stranger = await asks.get(f"{door}/v3/bill/tradebill")
        assert stranger.status_code == 401
        assert (await asks.get(f"{desk}/nowhere")).status_code == 404
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with httpx.AsyncClient(trust_env=False) as asks:
        with pytest.raises(httpx.ConnectError):
            await asks.get(door)
