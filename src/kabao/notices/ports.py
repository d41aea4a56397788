"""The ports to whoever carries a delivery, and a text to a phone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from kabao.notices.model.deliveries import Reply


class Courier(Protocol):
    """Posts to addresses that strangers chose.

    It connects to public addresses only, judged when it connects; follows no
    redirect, reads no more of an answer than it needs, and never raises for
    whatever the other side does.
    """

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """One POST, over within `timeout_s` seconds from when we had room for it.

        `Reply.not_sent` when we had none: the receiver was not asked.
        """
        ...


class Handed(StrEnum):
    """What a gateway made of a text or message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # it will never take this one
    UNREACHABLE = "unreachable"  # it certainly did not get it
    UNKNOWN = "unknown"  # it may have gone out


class Phones(Protocol):
    """A gateway that sends texts to phones. Never raises for what the other side does."""

    async def send(self, phone: str, text: str, reference: str) -> Handed:
        """One text. `phone` and `text` are personal; `reference` is ours, or empty."""
        ...


class Followers(Protocol):
    """A WeChat official account that sends template messages. Never raises as `Phones`."""

    async def send(
        self, openid: str, template: str, fields: Mapping[str, str], reference: str
    ) -> Handed:
        """One message. `openid` and `fields` are personal; `reference` is ours, at most 32 long."""
        ...
