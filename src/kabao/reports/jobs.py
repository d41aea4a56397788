"""Timed work of reports: what closed days came to is kept."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.reports.ops import Reports

EVERY = timedelta(seconds=30)


def register(jobs: Jobs, reports: Reports) -> None:
    """Give the worker what falls due here."""
    jobs.tick("reports.keep", EVERY, reports.keep_due)
