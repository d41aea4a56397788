"""Timed work of access: safe to repeat."""

from __future__ import annotations

from datetime import timedelta

from kabao.access.ops import Access
from kabao.base.db import Database
from kabao.base.jobs import Jobs


def register(jobs: Jobs, db: Database, access: Access) -> None:
    """Give the worker what falls due here."""

    async def expire() -> None:
        async with db.transaction() as conn:
            await access.approvals.expire(conn)

    async def purge() -> None:
        async with db.transaction() as conn:
            await access.sessions.purge(conn)

    jobs.tick("access.expire_approvals", timedelta(minutes=1), expire)
    jobs.tick("access.purge_sessions", timedelta(minutes=10), purge)
