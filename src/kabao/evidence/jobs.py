"""Timed work of evidence: sign what is new, twice a second."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.evidence.ops import Evidence

SIGN_EVERY = timedelta(milliseconds=500)


def register(jobs: Jobs, evidence: Evidence) -> None:
    """Give the worker what falls due here."""
    jobs.tick("evidence.sign", SIGN_EVERY, evidence.sign)
