"""What the clock does to cards: validity runs out, loss reports lapse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from kabao.base.db import Conn, Database
from kabao.base.jobs import Jobs
from kabao.cards.ops.life import DUE_AT_ONCE, Life
from kabao.cards.ops.own_cards import OwnCards

EVERY = timedelta(seconds=30)
WATCH_EVERY = timedelta(seconds=60)


def register(jobs: Jobs, db: Database, life: Life) -> None:
    """The ticks of this slice. Each may run twice, or come late: payments look at
    the root's own `valid_until`, and who waits for a lapse waits seconds more.
    """
    jobs.tick("cards.expire", EVERY, _until_done(db, life.expire_due))
    jobs.tick("cards.lapse_losses", EVERY, _until_done(db, life.lapse_due))


def register_watch(jobs: Jobs, own_cards: OwnCards) -> None:
    """The tick that looks at what cashiers do to own cards."""
    jobs.tick("cards.watch_own_cards", WATCH_EVERY, own_cards.watch)


def _until_done(
    db: Database, some: Callable[[Conn], Awaitable[int]]
) -> Callable[[], Awaitable[None]]:
    """Work off what is due, a transaction at a time, until little is left."""

    async def run() -> None:
        while True:
            async with db.transaction() as conn:
                if await some(conn) < DUE_AT_ONCE:
                    return

    return run
