"""Timed work of payouts and deposits: safe to repeat, and to be killed anywhere."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.clearing.ops import Deposits, Paying

SEND_EVERY, RETURNS_EVERY = timedelta(seconds=5), timedelta(minutes=10)
LATE_EVERY = timedelta(hours=1)


def register(jobs: Jobs, paying: Paying, deposits: Deposits) -> None:
    """Give the worker what falls due here."""
    jobs.tick("clearing.pay_out", SEND_EVERY, paying.look)
    jobs.tick("clearing.look_for_returns", RETURNS_EVERY, paying.look_for_returns)
    jobs.tick("clearing.look_for_late_deposits", LATE_EVERY, deposits.look_for_late)
