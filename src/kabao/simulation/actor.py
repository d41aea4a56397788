"""What every act needs: verbs, the clock's time, and what a holder believes."""

from __future__ import annotations

import asyncio

from kabao.base.clock import US_PER_S, Clock
from kabao.simulation.chain import Chain, Held, Shop, Wallet
from kabao.simulation.tally import Tally
from kabao.simulation.verbs import Verbs

NAP_S = 0.25
"""The longest sleep: the clock may jump meanwhile."""

LAST_CALL_S = 23.4 * 3_600
"""What waits for later does not wait longer than this, so that a day can end."""


class Actor:
    """The base of everybody who acts."""

    def __init__(self, verbs: Verbs, clock: Clock, rate: float) -> None:
        self.verbs, self.clock, self.rate = verbs, clock, rate
        self.day_start_us = 0

    @property
    def chain(self) -> Chain:
        """The chain of stores."""
        return self.verbs.chain

    @property
    def tally(self) -> Tally:
        """Where it is counted."""
        return self.verbs.tally

    def shop(self, index: int) -> Shop:
        """A store."""
        return self.chain.shops[index]

    def wallet(self, index: int) -> Wallet:
        """Somebody's wallet."""
        return self.chain.wallets[index]

    async def until(self, us: int) -> None:
        """Wait until the simulated clock says so."""
        # A clock that jumps tells nobody: it has to be looked at again and again.
        while (left_us := us - self.clock.now_us()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(NAP_S, left_us / US_PER_S / self.rate))

    async def wait(self, seconds: float) -> None:
        """Let simulated time pass, but not beyond the day's last call."""
        last_call_us = self.day_start_us + int(LAST_CALL_S * US_PER_S)
        await self.until(min(self.clock.now_us() + int(seconds * US_PER_S), last_call_us))

    # What a holder believes

    def contest(self, card: Held) -> None:
        """From now until the evening its holder is not alone with it."""
        card.contested, card.sure = True, False

    def saw(self, card: Held, available: int | None, change: int | None = None) -> None:
        """An answer told what is on a card.

        Args:
            card: which one.
            available: what the answer says; None when it says nothing.
            change: by how much it should differ from the answer before; None
                when that is not known. An open hold may run out in between.
        """
        if available is None:
            card.sure = card.sure and change == 0
            return
        if card.sure and change is not None and available != card.available + change:
            self.tally.defect(
                f"{card.id}: {available} fen after a change of {change}, "
                f"but {card.available} before it"
            )
        card.available = available
        card.sure = change is not None and not card.holds and not card.contested
