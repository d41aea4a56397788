"""Timed work of tenders: safe to repeat."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.tenders.ops import Tenders


def register(jobs: Jobs, tenders: Tenders) -> None:
    """Give the worker what falls due here."""
    jobs.tick("tenders.sweep", timedelta(seconds=2), tenders.sweep)
    jobs.tick("tenders.settle", timedelta(minutes=1), tenders.settle)
