"""Timed work of kiosks: visits that nobody finishes."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.kiosks.ops import Kiosks

LEAVE_EVERY = timedelta(seconds=30)


def register(jobs: Jobs, kiosks: Kiosks) -> None:
    """Give the worker what falls due here."""
    jobs.tick("kiosks.leave_idle", LEAVE_EVERY, kiosks.leave_idle)
