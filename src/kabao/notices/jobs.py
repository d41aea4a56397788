"""Timed work of notices: relay, send, tidy up."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.notices.ops import Relay, Sender

EVERY = timedelta(milliseconds=250)
TEND_EVERY = timedelta(seconds=30)


def register(jobs: Jobs, relay: Relay, sender: Sender) -> None:
    """Give the worker what falls due here. A round of the sender only starts what is due,
    so workers take turns at it and share the sending.
    """
    jobs.tick("notices.relay", EVERY, relay.round)
    jobs.tick("notices.send", EVERY, sender.round)
    jobs.tick("notices.tend", TEND_EVERY, sender.tend)
