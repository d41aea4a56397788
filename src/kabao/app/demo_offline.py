"""A till of the demo whose line goes dead: it sells on what it was granted, and hands it in.

It is `kabao.till` as a till maker would run it, with its own disk, on the API. Its line
is cut where it begins, so that nobody waits for time-outs.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec

from kabao.app.composition import composed
from kabao.app.settings import Settings
from kabao.base.clock import RealClock, now
from kabao.simulation.chain import Held, Shop
from kabao.till import Journal, Outcome, Queue, QueueEntry, Till, UnreachableError, Wire
from kabao.till import Settings as TillSettings
from kabao.till.model import Entry
from kabao.till.wire import Reply

CARDS = 6
"""How many shop there before the line dies, and come again."""

BEFORE_FEN, WITHOUT_FEN, OVER_FEN = 500, 3_000, 5_001
"""A purchase before, one without a line, and one that no policy grants."""


_MACHINE_KEY = bytes(32)
"""Of no use but to a till whose disk is a folder for a minute."""


class OfflineHour(msgspec.Struct, frozen=True):
    """What a till without a line sold, and what became of it when it was back. In fen."""

    sold: int = 0
    sold_fen: int = 0
    declined: int = 0
    """By the till itself: over a cap, or a card it had sold to."""
    paid_fen: int = 0
    lost_fen: int = 0
    refused_fen: int = 0

    @property
    def holds(self) -> bool:
        """Whether every fen handed out was paid by a card or lost by its issuer."""
        return self.sold_fen == self.paid_fen + self.lost_fen and not self.refused_fen


class _Line(Wire):
    """A wire that somebody cuts."""

    dead = False

    def ask(self, method: str, path: str, body: bytes = b"", key: str | None = None) -> Reply:
        if self.dead:
            raise UnreachableError
        return super().ask(method, path, body, key)


async def play_offline(
    settings: Settings, http: str, key: str, shops: list[Shop], cards: list[Held]
) -> OfflineHour:
    """Let the first till of the first shop lose its line. `key`: the merchant's.

    While it is dead, the first card is emptied at the second shop's till: what that
    card cannot pay any more is its issuer's loss.
    """
    async with composed(settings) as kabao:
        signer = kabao.vault.public_key()
    with tempfile.TemporaryDirectory() as folder:
        return await asyncio.to_thread(_play, Path(folder), http, key, signer, shops, cards)


def _play(
    folder: Path, http: str, key: str, signer: bytes, shops: list[Shop], cards: list[Held]
) -> OfflineHour:
    here, line = _till(folder, "here", http, key, signer, shops[0])
    there, _ = _till(folder, "there", http, key, signer, shops[1])
    for card in cards:
        _sell(here, card, BEFORE_FEN)
    here.fetch_terms()
    line.dead = True
    outcomes = [_sell(here, cards[0], OVER_FEN)]
    outcomes += [_sell(here, card, WITHOUT_FEN) for card in cards]
    outcomes.append(_sell(here, cards[0], BEFORE_FEN))
    left_fen = there.inquire(_barcode(cards[0]))["available"]
    _sell(there, cards[0], left_fen - WITHOUT_FEN // 2)
    line.dead = False
    here.settle()
    told = here.upload()
    sold = outcomes.count(Outcome.OFFLINE)
    return OfflineHour(
        sold,
        sold * WITHOUT_FEN,
        outcomes.count(Outcome.DECLINED),
        sum(each.paid for each in told),
        sum(each.lost for each in told),
        sum(each.refused for each in told),
    )


def _till(
    folder: Path, name: str, http: str, key: str, signer: bytes, shop: Shop
) -> tuple[Till, _Line]:
    """A till with a disk of its own, and its line."""
    clock = RealClock()
    journal: Journal[Entry] = Journal(folder / f"{name}.journal", _MACHINE_KEY, Entry)
    queue: Journal[QueueEntry] = Journal(folder / f"{name}.queue", _MACHINE_KEY, QueueEntry)
    line = _Line([http], key)
    own = TillSettings(shop.id, shop.tills[0].terminal, patience_s=2.0, platform_keys=(signer,))
    return Till(own, line, journal, Queue(queue, lambda: now(clock))), line


def _sell(till: Till, card: Held, amount_fen: int) -> Outcome:
    return till.sale(amount_fen, _barcode(card), reference="demo").outcome


def _barcode(card: Held) -> dict[str, str]:
    return {"type": "barcode", "data": card.barcode}
