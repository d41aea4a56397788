"""Timed work of risk: judge what is new, every second."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.risk.ops import Risk

WATCH_EVERY = timedelta(seconds=1)


def register(jobs: Jobs, risk: Risk) -> None:
    """Give the worker what falls due here."""
    jobs.tick("risk.watch", WATCH_EVERY, risk.round)
