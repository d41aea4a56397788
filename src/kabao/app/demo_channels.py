"""Top-ups of the demo through every payment channel, with the sandbox as the world outside.

The channels are processes of their own: they speak the real protocols over sockets, with
keys of their own, and share no code with the platform. Payers pay at their desks.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import msgspec

from kabao.app.channel_world import Party, World
from kabao.app.demo_http import Office
from kabao.base.tasks import pause
from kabao.simulation.chain import Chain, Held, Keys
from kabao.simulation.setup import NEWS_S

CARDS = 8
"""How many are loaded, in turn."""

EACH = 12
"""Top-ups through every channel."""

AMOUNT_FEN = 1_000

FAULTS = {"lose_notice": 10, "duplicate": 1, "forge": 10, "delay_ms": 5}
"""What goes wrong outside meanwhile: notices that come late, twice, or from somebody else."""

FINAL_S, LOOK_S = 30.0, 0.02

FINAL = frozenset({"confirmed", "failed", "expired", "refunded"})


class ChannelDay(msgspec.Struct, frozen=True):
    """What one channel came to. Amounts in fen, the fee in thousandths of one."""

    kind: str
    name: str
    asked: int
    confirmed: int
    amount: int
    fee_mfen: int
    cycle: str
    median_ms: float
    """From the payer's payment to the loaded card."""
    slowest_ms: float


class ChannelsDay(msgspec.Struct, frozen=True):
    """What the channels came to."""

    channels: list[ChannelDay] = []
    desk: str = ""
    """A page that leads to everybody who was played."""

    @property
    def holds(self) -> bool:
        """Whether whatever was paid outside has reached its card."""
        return all(channel.confirmed == channel.asked for channel in self.channels)


async def play_channels(
    http: str, keys: Keys, chain: Chain, cards: list[Held], world: World
) -> ChannelsDay:
    """Add every channel of the world, and load the cards through each, on bad lines.

    The channels are the group's; the store is a subsidiary's, which has none of its own.
    """
    async with httpx.AsyncClient(timeout=FINAL_S) as client:
        payers = _Payers(client, Office(client, http, keys), chain.shops[0].id)
        for party in world.parties:
            await payers.add(chain.company, party)
        await pause(NEWS_S)
        (await client.put(f"{world.desk}/faults", json=FAULTS)).raise_for_status()
        days = [await payers.play(party, cards) for party in world.parties]
        (await client.put(f"{world.desk}/faults", json={})).raise_for_status()
    return ChannelsDay(days, world.desk)


class _Payers:
    """People who top up, at the platform's API and at the channels' desks."""

    def __init__(self, client: httpx.AsyncClient, office: Office, store: str) -> None:
        self._client, self._office, self._store = client, office, store

    async def add(self, company: str, party: Party) -> None:
        """Make a party one of the company's channels."""
        body = {
            "company": company,
            "name": party.party,
            "kind": party.party,
            "account": party.account,
            "scenes": party.scenes,
            "fee_ppm": party.fee_ppm,
            "cycle": party.cycle,
            "reason": "demo",
        }
        await self._office.agreed("channels", body)

    async def play(self, party: Party, cards: list[Held]) -> ChannelDay:
        """Top-ups through one channel, all at once."""
        waits = await asyncio.gather(
            *(self._top_up(party, cards[n % len(cards)]) for n in range(EACH))
        )
        arrived = sorted(ms for ms in waits if ms is not None)
        return ChannelDay(
            kind=party.party,
            name=party.name,
            asked=len(waits),
            confirmed=len(arrived),
            amount=len(arrived) * AMOUNT_FEN,
            fee_mfen=len(arrived) * AMOUNT_FEN * party.fee_ppm // 1_000,
            cycle=party.cycle,
            median_ms=arrived[len(arrived) // 2] if arrived else 0.0,
            slowest_ms=arrived[-1] if arrived else 0.0,
        )

    async def _top_up(self, party: Party, card: Held) -> float | None:
        """Milliseconds from the payment until the card has it; None if it never had."""
        body: dict[str, Any] = {
            "card": card.id,
            "amount": AMOUNT_FEN,
            "currency": "CNY",
            "channel": party.party,
            "scene": party.scenes[0],
            "store": self._store,
        }
        if "terminal" in party.scenes:
            body["slip"] = await self._desk(party, "sales", _sale(party))
        elif "code" in party.scenes:
            body |= {"scene": "code", "payer_code": (await self._desk(party, "codes", {}))["code"]}
        begun = time.monotonic()
        topup = await self._office.post("topups", body)
        if topup["status"] == "pending" and body["scene"] != "code":
            begun = await self._pay(party, topup)
        while topup["status"] not in FINAL:
            if time.monotonic() - begun > FINAL_S:
                return None
            await pause(LOOK_S)
            topup = await self._office.get(f"topups/{topup['id']}")
        loaded = topup["status"] == "confirmed"
        return round((time.monotonic() - begun) * 1_000, 1) if loaded else None

    async def _pay(self, party: Party, topup: dict[str, Any]) -> float:
        """Do what the payer is shown; when that was."""
        action = topup["next_action"]
        match action["type"]:
            case "account":
                to = {"to": action["text"], "amount": AMOUNT_FEN, "name": "和悦顾客"}
                begun = time.monotonic()
                await self._desk(party, "transfers", to)
                return begun
            case "form":
                await self._client.post(action["text"], data=action["fields"])
        found = await self._office.get(f"collections/{topup['collection']}")
        number = found["orders"][-1]["id"].removeprefix("fund_")
        begun = time.monotonic()
        await self._desk(party, f"orders/{number}/pay", {})
        return begun

    async def _desk(self, party: Party, path: str, body: dict[str, Any]) -> Any:
        answer = await self._client.post(f"{party.desk}/{path}", json=body)
        answer.raise_for_status()
        return answer.json()


def _sale(party: Party) -> dict[str, Any]:
    """A card in the acquirer's terminal."""
    return {"terminal": party.account["terminals"][0], "amount": AMOUNT_FEN}
