"""Tills for the demo: a floor of them at the POS host, after the day is closed.

They are the sandbox's, which shares no code with the platform: a process of its own,
told on its standard input where it stands.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from kabao.app.demo_door import DemoFile
from kabao.base.errors import UNAVAILABLE

CARDS = 40
"""How many they trade with."""

_FAULTS = {
    "--lost": 8,
    "--late": 3,
    "--duplicate": 5,
    "--reversal-first": 3,
    "--wrong-mac": 2,
    "--garbage": 2,
    "--bent": 20,
}
_CUSTOMERS = 40
_JUDGED = (0, 1)
"""How it ends if it has played: all was equal, or something was not."""


class TillDay(msgspec.Struct, frozen=True):
    """What one till at the POS host knows of its batch, by what it has heard."""

    terminal_no: str
    done: dict[str, int]
    faults: dict[str, int]
    bent: bool
    """Its totals were made wrong, so that it had to upload."""
    settled: bool
    """With totals equal to the host's."""
    defects: list[str] = []


class TillsDay(msgspec.Struct, frozen=True):
    """What the tills at the POS host came to."""

    tills: list[TillDay] = []
    seconds: float = 0

    @property
    def holds(self) -> bool:
        """Whether every batch is settled, and no answer was wrong."""
        return all(till.settled and not till.defects for till in self.tills)

    @property
    def batches(self) -> int:
        """How many are settled."""
        return sum(till.settled for till in self.tills)

    @property
    def uploaded(self) -> int:
        """How many had to be uploaded first."""
        return sum(till.bent for till in self.tills)

    @property
    def faults(self) -> int:
        """How often a line or a till did something wrong, on purpose."""
        return sum(sum(till.faults.values()) for till in self.tills)

    def done(self, what: str) -> int:
        """How often that was done at all tills."""
        return sum(till.done.get(what, 0) for till in self.tills)


async def play_tills(site: DemoFile, seed: int) -> TillsDay:
    """Let every terminal have a cashier's day on a bad line, with the cards of the file.

    Raises `unavailable` if they could not play.
    """
    options = {"--customers": _CUSTOMERS, "--seed": seed, **_FAULTS}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kabao_sandbox", "tills", "-", "--json"),
        *(str(word) for option in options.items() for word in option),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate(msgspec.json.encode(site))
    if child.returncode not in _JUDGED:
        raise UNAVAILABLE.error("The demo's tills could not play.")
    return msgspec.json.decode(said, type=TillsDay)
