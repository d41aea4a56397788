"""Timed work of funding: safe to repeat, and to be killed anywhere."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.funding.ops import Funding


def register(jobs: Jobs, funding: Funding) -> None:
    """Give the worker what falls due here."""
    jobs.tick("funding.look", timedelta(seconds=1), funding.look)
    jobs.tick("funding.send_refunds", timedelta(seconds=1), funding.send_refunds)
    jobs.tick("funding.settle_shares", timedelta(seconds=1), funding.settle_shares)
    jobs.tick("funding.forget_minutes", timedelta(hours=1), funding.forget_minutes)
    jobs.tick("funding.receive", timedelta(minutes=1), funding.receive)
    jobs.tick("funding.forget_nonces", timedelta(minutes=10), funding.forget_nonces)
    jobs.tick("funding.forget_offers", timedelta(hours=1), funding.channels.forget_offers)
