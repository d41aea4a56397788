"""Timed work of reconciliation: safe to repeat, and to be killed anywhere."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.reconciliation.ops import ChannelBills, Reconciliation


def register(jobs: Jobs, reconciliation: Reconciliation, bills: ChannelBills) -> None:
    """Give the worker what falls due here."""
    jobs.tick("reconciliation.fetch", timedelta(minutes=1), bills.due)
    jobs.tick("reconciliation.resume", timedelta(minutes=10), reconciliation.resume)
