"""Payments that go on while things are killed, and a journal of every answer.

The journal is the clients' own: what they sent, under which key, and what they
were told. It is compared with the books afterwards (I-3, I-4).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from .http import RETRY, LostError, Reply, fresh_key
from .site import Site
from .world import Actors, Card

FINAL_WITHIN_S = 300.0
"""Policy `pay.final_within_minutes` (P-17)."""

LOAD = 100_000


class Line(msgspec.Struct):
    """One payment as its client saw it."""

    key: str
    card: int
    amount: int
    capture: bool
    began: float
    sent: int = 0
    body: bytes = b""
    """The answer in the end."""
    first_s: float = 0.0
    """From the first try to that answer."""
    disturbed: bool = False
    """Whether a try ended in 503, 504 or silence."""


class Journal:
    """What all clients did."""

    def __init__(self, cards: list[Card]) -> None:
        self.cards, self.lines = cards, list[Line]()
        self.answered = 0

    def spent(self, card: int) -> int:
        return sum(_approved(line) for line in self.lines if line.card == card)


class _Approved(msgspec.Struct):
    approved_amount: int
    status: str


def _approved(line: Line) -> int:
    answer = msgspec.json.decode(line.body, type=_Approved)
    return answer.approved_amount


async def pay_through(
    site: Site, payments: int, kills: list[Callable[[], bool]], *, clients: int = 16
) -> Journal:
    """Make so many payments with so many kills spread evenly between them.

    A kill that finds nothing to kill is tried again until it does.
    """
    http = site.http()
    actors = Actors(http, site.world)
    journal = Journal([await actors.card(LOAD) for _ in range(40)])
    left = payments
    every = payments / (len(kills) + 1)

    async def client() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await _one(actors, journal)

    async def killer() -> None:
        for n, kill in enumerate(kills, start=1):
            while journal.answered < n * every:  # noqa: ASYNC110 -- counted by others
                await asyncio.sleep(0.001)
            while not kill():  # noqa: ASYNC110 -- what is killed comes back by itself
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(killer())
        for _ in range(clients):
            group.create_task(client())
    await http.close()
    return journal


async def _one(actors: Actors, journal: Journal) -> None:
    chance = secrets.randbelow
    line = Line(
        fresh_key(), chance(len(journal.cards)), 1 + chance(300), bool(chance(8)), time.monotonic()
    )
    journal.lines.append(line)
    body = actors.pay_body(
        journal.cards[line.card], line.amount, capture=line.capture, reference=line.key
    )
    pause_s = 0.01
    while True:
        reply = await _try(actors, body, line)
        if reply is not None and reply.status not in RETRY:
            break
        line.disturbed = True
        assert time.monotonic() - line.began < FINAL_WITHIN_S, "a payment without an end"
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.25)
    assert reply.status == 201, repr(reply)
    line.body, line.first_s = reply.body, time.monotonic() - line.began
    journal.answered += 1


async def _try(actors: Actors, body: Any, line: Line) -> Reply | None:
    line.sent += 1
    try:
        return await actors.merchant.post("/v1/payments", body, key=line.key, patience_s=10)
    except LostError:
        return None


async def judge(site: Site, journal: Journal) -> None:
    """Every answer is in the books, once; nothing else is; and all repeat their answer."""
    site.audit()
    with site.connect() as conn:
        stored = conn.execute(
            "select reference, count(*), min(approved_fen) from payments.payment"
            " where reference = any(%s) group by reference",
            [[line.key for line in journal.lines]],
        ).fetchall()
        in_books = {reference: (count, approved) for reference, count, approved in stored}
        for line in journal.lines:
            assert in_books[line.key] == (1, _approved(line))
        roots = conn.execute(
            "select replace(card::text, '-', ''), principal_fen from ledger.root"
            " where card = any(%s::uuid[])",
            [[card.id.removeprefix("card_") for card in journal.cards]],
        ).fetchall()
    left = dict(roots)
    for n, card in enumerate(journal.cards):
        assert left[card.id.removeprefix("card_")] == LOAD - journal.spent(n)
    await _repeat(site, journal)


async def _repeat(site: Site, journal: Journal) -> None:
    """What was once answered is answered again, byte for byte, by whichever process."""
    http = site.http()
    actors = Actors(http, site.world)
    disturbed = [line for line in journal.lines if line.disturbed]
    for line in disturbed + journal.lines[:: max(1, len(journal.lines) // 200)]:
        body = actors.pay_body(
            journal.cards[line.card], line.amount, capture=line.capture, reference=line.key
        )
        reply = await actors.merchant.insist("/v1/payments", body, line.key)
        assert reply.body == line.body
    await http.close()
