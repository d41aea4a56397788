"""Who works off what is due at channels."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from kabao.funding.ops.channels import Channels

AT_ONCE = 8
"""Orders or refunds that one channel is asked about at the same time."""

ALL_AT_ONCE = 48
"""The same of all channels together: our own database serves others too."""

LEASE_S = 60
"""What was taken to be asked about falls due again after this, if nobody comes back."""

LOOK_AGAIN_S = 1.0
"""While a channel is being waited for, what falls due elsewhere is taken up after this."""

Claim = Callable[[Mapping[str, int], int], Awaitable[list[tuple[str, str]]]]
"""Takes what is due, as ids with their channels: of each channel at most so many, and in all."""


class Crew:
    """Works until nothing is due, so much at once at each channel: a slow one holds up nobody."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def work(self, claim: Claim, look: Callable[[str], Awaitable[None]]) -> int:
        """Gives how many were looked at. `look` raises nothing."""
        busy: dict[asyncio.Future[None], str] = {}
        count = 0
        async with asyncio.TaskGroup() as group:
            while True:
                for ident, channel in await claim(*self._room(busy)):
                    busy[group.create_task(_of(look, ident))] = channel
                    count += 1
                if not busy:
                    return count
                done, _ = await asyncio.wait(
                    busy, timeout=LOOK_AGAIN_S, return_when=asyncio.FIRST_COMPLETED
                )
                for one in done:
                    del busy[one]

    def _room(self, busy: Mapping[asyncio.Future[None], str]) -> tuple[dict[str, int], int]:
        used = Counter(busy.values())
        free = {channel.id: AT_ONCE - used[channel.id] for channel in self._channels.all()}
        return {channel: n for channel, n in free.items() if n}, ALL_AT_ONCE - len(busy)


async def _of(look: Callable[[str], Awaitable[None]], ident: str) -> None:
    await look(ident)
