"""The port to whoever carries a delivery."""

from __future__ import annotations

from collections.abc import Mapping
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
        """One POST, over within `timeout_s` seconds in all."""
        ...
