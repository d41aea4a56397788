"""Timed work of disputes: days that were missed."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.disputes.ops import Disputes

LATE_EVERY = timedelta(minutes=10)


def register(jobs: Jobs, disputes: Disputes) -> None:
    """Give the worker what falls due here."""
    jobs.tick("disputes.tell_late", LATE_EVERY, disputes.tell_late)
