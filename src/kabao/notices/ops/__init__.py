"""The verbs of notices."""

from __future__ import annotations

from kabao.notices.ops.endpoints import DELIVERY, ENDPOINT, Endpoints, Made
from kabao.notices.ops.reading import Reading
from kabao.notices.ops.relay import Relay, Whose
from kabao.notices.ops.sender import Sender

__all__ = ["DELIVERY", "ENDPOINT", "Endpoints", "Made", "Reading", "Relay", "Sender", "Whose"]
