"""Timed work of notices: relay, send, tidy up."""

from __future__ import annotations

from datetime import timedelta

from kabao.base.jobs import Jobs
from kabao.notices.ops import Relay, Sender, Texter

EVERY = timedelta(milliseconds=250)
TEND_EVERY = timedelta(seconds=30)
TEXT_EVERY = timedelta(seconds=1)


def register(jobs: Jobs, relay: Relay, sender: Sender, texter: Texter) -> None:
    """Give the worker what falls due here. A round of the sender only starts what is due,
    so workers take turns at it and share the sending.
    """
    jobs.tick("notices.relay", EVERY, relay.round)
    jobs.tick("notices.send", EVERY, sender.round)
    jobs.tick("notices.tend", TEND_EVERY, sender.tend)
    jobs.tick("notices.codes", TEXT_EVERY, texter.send_codes)
    jobs.tick("notices.text", TEXT_EVERY, texter.round)
    jobs.tick("notices.forget_texts", TEND_EVERY, texter.tend)
