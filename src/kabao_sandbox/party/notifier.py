"""Notifications: sent until they are taken, and sometimes not as they should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from kabao_sandbox.party.chance import Chance
from kabao_sandbox.party.faults import Faults

PAUSES_S = (0.05, 0.2, 1, 5, 15, 15, 30, 180, 600)
"""Between attempts; real parties go on for a day."""

ANSWER_S = 5.0


@dataclass(frozen=True)
class Message:
    """A notification, as it is sent."""

    url: str
    headers: dict[str, str]
    body: bytes


Make = Callable[..., Message]
"""Signs a notification anew each time: `make(forged=…, wrong_amount=…)`."""


class Notifier:
    """Sends what a party has to tell its merchant."""

    def __init__(self, taken: Callable[[int, bytes], bool], chance: Chance) -> None:
        """`taken` says whether an answer, by status and body, was what the party wants."""
        self._taken, self._chance = taken, chance
        self._client = httpx.AsyncClient(timeout=ANSWER_S, trust_env=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = self.delivered = 0

    def tell(self, make: Make, faults: Faults) -> None:
        """Begin to tell, and go on in the background."""
        task = asyncio.create_task(self._tell(make, faults))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Until all is told."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Tell no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _tell(self, make: Make, faults: Faults) -> None:
        await asyncio.sleep(faults.delay_notice_ms / 1000)
        if self._hits(faults.forge):
            await self._send(make(forged=True))
        if self._hits(faults.wrong_amount):
            await self._send(make(wrong_amount=True))
        lost = self._hits(faults.lose_notice)
        for pause_s in PAUSES_S:
            if not lost and await self._send(make()):
                break
            lost = False
            await asyncio.sleep(pause_s)
        else:
            return
        self.delivered += 1
        for _ in range(faults.duplicate):
            await self._send(make())

    def _hits(self, percent: float) -> bool:
        return self._chance.uniform(0, 100) < percent

    async def _send(self, message: Message) -> bool:
        self.sent += 1
        try:
            answer = await self._client.post(
                message.url, headers=message.headers, content=message.body
            )
        except httpx.HTTPError:
            return False
        return self._taken(answer.status_code, answer.content)
