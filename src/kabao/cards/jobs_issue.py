"""What goes on in the background of issuing: batches are made, secrets wiped."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.db import Database
from kabao.base.jobs import Jobs
from kabao.cards.ops import Cards

BATCHES_EVERY = timedelta(seconds=5)
WIPE_EVERY = timedelta(minutes=5)


def register(jobs: Jobs, db: Database, cards: Cards) -> None:
    """The ticks of issuing. Each may run twice, or come late."""

    async def wipe() -> None:
        async with db.transaction() as conn:
            await cards.wipe_secrets(conn)

    jobs.tick("cards.run_batches", BATCHES_EVERY, cards.run_unfinished)
    jobs.tick("cards.wipe_secrets", WIPE_EVERY, wipe)
