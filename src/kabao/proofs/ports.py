"""The port to whoever carries text messages."""

from __future__ import annotations

from typing import Protocol

from kabao.base.db import Conn
from kabao.proofs.model import Sms


class SmsSender(Protocol):
    """Takes a text over in the caller's transaction, to be sent once that has committed.

    Nothing outside is called here: an implementation stores the text and a job
    or an adapter carries it to the gateway.
    """

    async def send(self, conn: Conn, sms: Sms) -> None:
        """Store a text for sending."""
        ...
