"""One request at the fast door, in the shape uvicorn's state machine expects."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from kabao.base.web.answers import Answer
from kabao.base.web.doors import Entry


class _Unheard:
    """Stands in for the event that wakes an ASGI application: nobody waits for it."""

    def set(self) -> None:
        """Wake nobody."""


class FastCycle:
    """One request at the fast door, from its headers to its answer."""

    __slots__ = (
        "active",
        "answer",
        "began",
        "body",
        "disconnected",
        "entry",
        "keep_alive",
        "key",
        "more_body",
        "request_id",
        "response_complete",
        "token",
    )

    message_event = _Unheard()

    def __init__(self, request_id: str, began: float, *, keep_alive: bool) -> None:
        self.request_id, self.began, self.keep_alive = request_id, began, keep_alive
        self.entry: Entry | None = None
        self.token: str | None = None
        self.key: str | None = None
        self.body: bytes | bytearray = b""
        self.answer: Answer | None = None
        """Decided before the body came: refused."""
        self.more_body = True
        self.active = False
        self.disconnected = False
        self.response_complete = False


class Flow(FlowControl):
    """Reading goes on only while there is room: for answers and for requests."""

    def __init__(self, transport: asyncio.Transport, waiting: deque[Any]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Go on reading, unless answers or requests are piling up."""
        if not self.write_paused and not self._waiting:
            super().resume_reading()
