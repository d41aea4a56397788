"""`python -m kabao_sandbox kiosk`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from random import Random  # noqa: TID251 -- seeded, for customers
from typing import Annotated, Any

import httpx
import msgspec
import typer

from kabao_sandbox.kiosk.machine import Faults, Machine, PowerCutError

NOTES = (100, 500, 1_000, 2_000, 5_000, 10_000)
ANSWER_S = 10.0


class ShownCard(msgspec.Struct, frozen=True):
    """What a customer types in."""

    number: str
    pin: str


class KioskSite(msgspec.Struct, frozen=True):
    """Where the kiosk stands: the platform, a merchant's key, the terminal, and who comes."""

    url: str
    key: str
    terminal: str
    cards: list[ShownCard]


class Day(msgspec.Struct):
    """What became of the visits. Amounts in fen."""

    visits: int = 0
    loaded_fen: int = 0
    given_back_fen: int = 0
    cuts: int = 0
    cassette_fen: int = 0
    """What truly lies in the cassette in the end."""


class HttpDoor:
    """The platform over HTTP."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def post(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        answer = await self._client.post(path, json=body, headers={"Idempotency-Key": key})
        return answer.status_code, answer.json()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        answer = await self._client.get(path)
        return answer.status_code, answer.json()


def kiosk_command(
    site: Annotated[
        Path,
        typer.Argument(dir_okay=False, exists=True, help="JSON: url, key, terminal, cards."),
    ],
    journal: Annotated[Path, typer.Argument(dir_okay=False, help="The machine's disk.")],
    *,
    visits: Annotated[int, typer.Option(min=1, max=10_000, help="Customers who come.")] = 20,
    jam: Annotated[float, typer.Option(min=0, max=100, help="% of notes given back.")] = 0,
    forgotten: Annotated[
        float, typer.Option(min=0, max=50, help="% of notes that fall as the power goes.")
    ] = 0,
    cut: Annotated[
        float, typer.Option(min=0, max=50, help="% of notes after which the power goes.")
    ] = 0,
    duplicate: Annotated[float, typer.Option(min=0, max=50, help="% of reports sent twice.")] = 0,
    unheard: Annotated[float, typer.Option(min=0, max=50, help="% of answers lost.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed plays the same day.")] = 1,
) -> None:
    """Let customers load their cards at a kiosk with banknotes; prints what became of them.

    What a power cut leaves is a case on the platform, for people to credit.
    """
    faults = Faults(
        jam=jam,
        cut_before_journal=forgotten,
        cut_before_report=cut,
        duplicate=duplicate,
        unheard=unheard,
    )
    where = msgspec.json.decode(site.read_bytes(), type=KioskSite)
    day = asyncio.run(_play(where, journal, faults, visits, seed))
    typer.echo(msgspec.json.encode(day).decode())


async def _play(site: KioskSite, journal: Path, faults: Faults, visits: int, seed: int) -> Day:
    headers = {"Authorization": f"Bearer {site.key}"}
    chance, day = Random(seed), Day()  # noqa: S311 -- customers
    async with httpx.AsyncClient(
        base_url=site.url, headers=headers, timeout=ANSWER_S, trust_env=False
    ) as client:
        door = HttpDoor(client)
        machine = Machine(door, site.terminal, journal, _now, faults=faults, seed=seed)
        await machine.power_on()
        for _ in range(visits):
            card = chance.choice(site.cards)
            shown = {"type": "card_number", "number": card.number, "pin": card.pin}
            notes = [chance.choice(NOTES) for _ in range(chance.randint(1, 4))]
            day.visits += 1
            try:
                visit = await machine.visit(shown, notes)
            except PowerCutError:
                await machine.power_on()
                continue
            day.loaded_fen += visit.loaded_fen
            day.given_back_fen += visit.given_back_fen
    day.cuts, day.cassette_fen = machine.cuts, sum(machine.cassette.elements())
    return day


def _now() -> str:
    return datetime.now(UTC).isoformat()  # noqa: TID251 -- a machine's own clock
