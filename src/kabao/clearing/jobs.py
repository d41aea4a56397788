"""Timed work of clearing: safe to repeat, and to be killed anywhere."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.clearing.ops import Accounts, Clearing


def register(jobs: Jobs, clearing: Clearing, accounts: Accounts) -> None:
    """Give the worker what falls due here."""
    jobs.tick("clearing.turn", timedelta(seconds=20), clearing.tick)
    jobs.tick("clearing.calendar", timedelta(hours=12), clearing.alarm)
    jobs.tick("clearing.forget_proposals", timedelta(minutes=5), accounts.forget_proposals)
