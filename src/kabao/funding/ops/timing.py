"""How long a channel took."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def timed(asked: Awaitable[T]) -> tuple[T, int]:
    """What came, and after how many ms. Real time: a simulated clock may stand still."""
    begun = time.monotonic()
    said = await asked
    return said, int((time.monotonic() - begun) * 1000)
