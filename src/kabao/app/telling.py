"""What tells the outside: endpoints, the relay from the outbox, the sender."""

from __future__ import annotations

from secrets import SystemRandom
from typing import TYPE_CHECKING

from kabao.adapters.webhooks.courier import HttpCourier
from kabao.base.jobs import Jobs
from kabao.notices.jobs import register
from kabao.notices.ops import Endpoints, Reading, Relay, Sender, Whose

if TYPE_CHECKING:
    from kabao.app.composition import Kabao


class Telling:
    """Notices, wired."""

    def __init__(self, kabao: Kabao) -> None:
        """Build it on what `Kabao` has built so far."""
        private = kabao.settings.webhooks_private
        db, ids, clock, vault = kabao.db, kabao.ids, kabao.clock, kabao.vault
        self.endpoints = Endpoints(vault, kabao.policy, ids, clock, kabao.days, private=private)
        whose = Whose(kabao.ledger, kabao.org, kabao.cards)
        self.relay = Relay(db, whose, ids, clock)
        self.reading = Reading(whose, kabao.cards, self.endpoints, clock)
        self._courier = HttpCourier(private=private)
        chance = SystemRandom().random
        self.sender = Sender(
            db, self._courier, self.endpoints, kabao.cases, vault, ids, clock, chance
        )

    def add_jobs(self, jobs: Jobs) -> None:
        """What a worker does: relay, send, tidy up."""
        register(jobs, self.relay, self.sender)

    async def stop(self) -> None:
        """Stop sending, and close what is open."""
        await self.sender.stop()
        await self._courier.close()
