"""The verbs of notices."""

from __future__ import annotations

from kabao.notices.ops.backlog import Backlog
from kabao.notices.ops.endpoints import DELIVERY, ENDPOINT, Endpoints, Made
from kabao.notices.ops.reading import Reading
from kabao.notices.ops.relay import Relay, Whose
from kabao.notices.ops.sender import Sender
from kabao.notices.ops.templates import TEMPLATE, TEXT, Templates
from kabao.notices.ops.texter import Texter

__all__ = [
    "DELIVERY",
    "ENDPOINT",
    "TEMPLATE",
    "TEXT",
    "Backlog",
    "Endpoints",
    "Made",
    "Reading",
    "Relay",
    "Sender",
    "Templates",
    "Texter",
    "Whose",
]
