"""docs/recipes/till.py, as the guide for till makers shows it, on a line that is cut."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .line import Line
from .site import KABAO, Site
from .test_offline_sales import offline
from .test_till_offline import platform_key
from .world import Actors

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "till.py"


@pytest.fixture
def line(site: Site) -> Iterator[Line]:
    with Line(site.port, site.journal) as made:
        yield made


class Program:
    """The recipe's till, spoken to like its cashier would."""

    def __init__(self, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RECIPE), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.greeting = self.read()

    def read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the till has ended"
        return line.rstrip("\n")

    def say(self, text: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self.read()

    def slip(self) -> str:
        """What is printed, to its last line."""
        lines = [self.read()]
        while "不开具发票" not in lines[-1]:
            lines.append(self.read())
        return "\n".join(lines)

    def end(self) -> None:
        self._process.communicate(timeout=30)


@pytest.mark.row("P-12", "P-20")
async def test_the_recipe_sells_without_a_line(
    actors: Actors, site: Site, line: Line, tmp_path: Path
) -> None:
    card = await actors.card(10_000, programme=await offline(actors))
    made = await actors.operator.made(
        "/v1/terminals", {"store": site.world.north.id, "model": "X1"}
    )
    settings = tmp_path / "settings.json"
    settings.write_text(
        json.dumps(
            {
                "store": site.world.north.id,
                "terminal": made["id"],
                "store_name": "江汉路店",
                "terminal_no": "T0000001",
                "hosts": [line.url],
                "api_key": site.world.keys["merchant"],
                "platform_key": platform_key(site).hex(),
                "machine_key": "11" * 32,
                "folder": str(tmp_path),
                "patience_s": 0.1,
                "reversal_s": 0.1,
            }
        )
    )
    till = Program(settings)
    assert till.greeting == "settled 0, uploaded 0: 0 0 0"
    assert till.say(f"sale 1000 {card.barcode}") == "YES: 1000, 9000 left"
    assert till.say("quiet") == "settled 0, uploaded 0: 0 0 0"
    line.then = "cut"
    assert till.say(f"sale 1234 {card.barcode}") == "YES, offline: 1234"
    slip = till.slip()
    for part in ("江汉路店", "未联机", f"**** {card.number[-4:]}", "12.34元", "脱机流水号"):
        assert part in slip
    assert card.number not in slip
    assert till.say(f"sale 1 {card.barcode}") == "NO: declined, card_sold_before"
    line.then = "ok"
    assert till.say("quiet") == "settled 1, uploaded 1: 1234 0 0"
    till.end()
    assert (await actors.see(card))["balance"] == 10_000 - 1_000 - 1_234


def test_the_console_shows_the_report(site: Site) -> None:
    run = subprocess.run(
        [KABAO, "offline-sales", "--first", "2000-01-01", "--last", "2099-12-31"],
        env=site._environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "stores bear" in run.stdout.splitlines()[-1]
