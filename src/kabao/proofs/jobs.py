"""Timed work of proofs: forget what is over."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.db import Database
from kabao.base.jobs import Jobs
from kabao.proofs.ops import Proofs


def register(jobs: Jobs, db: Database, proofs: Proofs) -> None:
    """Give the worker what falls due here."""

    async def purge() -> None:
        async with db.transaction() as conn:
            await proofs.purge(conn)

    jobs.tick("proofs.purge", timedelta(minutes=10), purge)
