"""A kiosk of the sandbox at a platform of processes: what it says it loaded is on the cards."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from .site import Site
from .world import Actors


@pytest.mark.row("T-03")
async def test_a_kiosk_has_a_bad_day(actors: Actors, site: Site, tmp_path: Path) -> None:
    """Cards and what waits for people come to the notes that truly lie in the cassette."""
    store = site.world.north.id
    kiosk = {"store": store, "model": "K1", "kind": "kiosk"}
    terminal = (await actors.operator.made("/v1/terminals", kiosk))["id"]
    cards = [await actors.card() for _ in range(5)]
    shown = [{"number": card.number, "pin": card.pin} for card in cards]
    where = {
        "url": f"http://127.0.0.1:{site.port}",
        "key": site.world.keys["merchant"],
        "terminal": terminal,
        "cards": shown,
    }
    (tmp_path / "site.json").write_text(json.dumps(where))
    faults = ("--jam", "10", "--cut", "10", "--duplicate", "30", "--unheard", "20")
    command = (sys.executable, "-m", "kabao_sandbox", "kiosk", "site.json", "journal")
    process = await asyncio.create_subprocess_exec(
        *command, *faults, "--visits", "25", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    day = json.loads(out)
    assert day["cuts"] > 0
    visits = (await actors.operator.got("/v1/kiosk-sessions", terminal=terminal, limit=200))["data"]
    rest = sum(visit["rest"] for visit in visits)
    onto = sum([(await actors.see(card))["balance"] for card in cards])
    assert onto == sum(visit["credited"] for visit in visits) >= day["loaded_fen"] > 0
    assert onto + rest == day["cassette_fen"]
    kiosk = await actors.operator.got(f"/v1/kiosks/{terminal}")
    assert kiosk["amount"] == day["cassette_fen"]
