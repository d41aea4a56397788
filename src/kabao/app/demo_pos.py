"""Master keys for the demo's tills, so that a script can go on selling over ISO 8583."""

from __future__ import annotations

import secrets

from kabao.app.composition import Kabao, composed
from kabao.app.settings import Settings
from kabao.base.ids import from_edge
from kabao.simulation.chain import Chain
from kabao.vault.model import TerminalCipher

COMPONENT_BYTES = 16


async def injected(settings: Settings, chain: Chain) -> dict[str, str]:
    """A fresh master key for every till, in hex, by terminal id.

    In a shop two persons enter a component each and nobody ever sees the whole key;
    here the script that plays them shows it, and only a demo's.
    """
    async with composed(settings) as kabao:
        return {
            till.terminal: await _inject(kabao, from_edge("ter", till.terminal))
            for shop in chain.shops
            for till in shop.tills
        }


async def _inject(kabao: Kabao, terminal: str) -> str:
    halves = secrets.token_bytes(COMPONENT_BYTES), secrets.token_bytes(COMPONENT_BYTES)
    persons = kabao.ids.new(), kabao.ids.new()
    async with kabao.db.transaction() as conn:
        keys = kabao.merchants.keys
        entry = await keys.begin(
            conn, terminal, TerminalCipher.TDES, halves[0].hex(), person=persons[0]
        )
        await keys.complete(conn, entry.id, halves[1].hex(), person=persons[1])
    return bytes(a ^ b for a, b in zip(*halves, strict=True)).hex()
