"""Every party at once, as the demo starts them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from kabao_sandbox.parties import PARTIES
from kabao_sandbox.party import moment
from kabao_sandbox.world import World, serve


async def is_there(asks: httpx.AsyncClient, url: str) -> bool:
    try:
        await asks.get(url)
    except httpx.ConnectError:
        return False
    return True


async def test_the_world_is_told_in_a_file_and_every_party_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, clock = tmp_path / "world.json", moment.Turned()
    running = asyncio.create_task(serve(World(clock, 1), 0, file))
    said = ""
    async with asyncio.timeout(60):
        while "accounts in" not in said:
            await asyncio.sleep(0.01)
            said += capsys.readouterr().out
    told = json.loads(file.read_text())
    assert file.stat().st_mode & 0o077 == 0  # keys are in it
    assert [one["party"] for one in told["parties"]] == list(PARTIES)
    async with httpx.AsyncClient(trust_env=False) as asks:
        page = (await asks.get(told["desk"])).text
        assert (await asks.get(f"{told['desk']}/world")).json() == told
        assert (await asks.get(f"{told['desk']}/nowhere")).status_code == 404
        assert (await asks.put(f"{told['desk']}/faults", json={"lose": 101})).status_code == 400
        await asks.put(f"{told['desk']}/faults", json={"duplicate": 2})
        for one in told["parties"]:
            assert one["desk"] in page and one["name"] in page
            assert (await asks.get(f"{one['desk']}/account")).json() == one["account"]
            assert (await asks.get(f"{one['desk']}/faults")).json()["duplicate"] == 2
            assert one["url"] in said
        for name in ("sms", "wechat_account"):
            assert told[name]["desk"] in page
            assert (await asks.get(told[name]["desk"])).status_code == 200
            assert (await asks.get(told[name]["url"])).status_code < 500
        one = told["parties"][0]
        at = datetime(2026, 11, 22, 10, tzinfo=moment.CHINA)
        assert (await asks.put(f"{told['desk']}/clock", json="noon")).status_code == 400
        stood = await asks.put(f"{told['desk']}/clock", json=int(at.timestamp()) * moment.US)
        assert stood.status_code == 204 and clock() == int(at.timestamp()) * moment.US
        await asks.put(f"{told['desk']}/clock/run", json=int(at.timestamp()) * moment.US)
        assert 0 <= clock() - int(at.timestamp()) * moment.US < 60 * moment.US
        await asks.put(f"{one['desk']}/faults", json={"down_s": 3600})
        async with asyncio.timeout(10):
            while await is_there(asks, one["url"]):  # noqa: ASYNC110 -- another server
                await asyncio.sleep(0.01)
            await asks.put(f"{one['desk']}/faults", json={})
            while not await is_there(asks, one["url"]):  # noqa: ASYNC110 -- another server
                await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
