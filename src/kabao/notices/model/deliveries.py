"""Deliveries: one event for one endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code

NOT_REPLAYABLE = code(
    "delivery_is_waiting", Kind.CONFLICT, "The delivery is on its way; it needs no replay."
)

SECRET_PREFIX = "whsec_"  # noqa: S105 -- what a secret begins with, as the standard says
SECRET_BYTES = 32


class DeliveryState(StrEnum):
    """What became of it."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as stored. `no` is its place in its lane."""

    id: str
    endpoint: str
    lane: str
    no: int
    event: str
    type: str
    body: str
    state: DeliveryState
    attempts: int
    last_status: int | None
    last_error: str | None
    last_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


class Outcome(StrEnum):
    """How a send went, in one word that tells nothing about our network."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # an answer that is not 2xx
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    ADDRESS_REFUSED = "address_refused"
    BROKEN = "broken"  # TLS, or an answer that is no HTTP
    NOT_SENT = "not_sent"  # we were too busy: nobody was asked, so nobody has failed


class Reply(msgspec.Struct, frozen=True):
    """What came of a send; `status` when there was an answer."""

    outcome: Outcome
    status: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.outcome is Outcome.DELIVERED

    @property
    def not_sent(self) -> bool:
        """Whether the receiver was never asked."""
        return self.outcome is Outcome.NOT_SENT

    @property
    def gone(self) -> bool:
        """Whether the receiver says that it will never want any (410)."""
        return self.status == 410


def shown_secret(raw: bytes) -> str:
    """A secret as its owner gets it."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signed_headers(secrets: Sequence[bytes], ident: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`.

    Args:
        secrets: raw; each makes a signature, so that an old one may still be in use.
        ident: the event's id.
        at_s: the moment of sending, in seconds since the epoch.
        body: as it is sent, byte for byte.
    """
    signed = f"{ident}.{at_s}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": ident,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }
