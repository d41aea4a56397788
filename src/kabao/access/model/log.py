r"""The audit log: its rows, and the digest that chains them.

    line   = JSON array, UTF-8, no spaces:
             [seq, at in whole µs since 1970 UTC, company, actor, via, verb, subject,
              reason, approval, outcome, code, address, request_id]
    digest = SHA-256(digest of the row before | line); the first follows 32 zero bytes
    seal   = MAC under a vault key of the digest

Absent ids are null, absent texts "". With the digests anybody finds a changed,
moved or missing row; with the seals also one whose finder rewrote all digests
after it. A cut tail is found as long as `audit_head` was not set back to match:
so its digest should be kept outside now and then (`AuditLog.head`).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

import msgspec

from kabao.base.clock import to_us

GENESIS = bytes(32)
"""What the first row is chained to."""

MAX_REASON = 255
MAX_SUBJECT = 80


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be logged. `subject` is an id as at the edge (`card_…`), never personal data.

    `company` is whose it concerns; the actor's own unless given. `code` is the
    error code of a refusal.
    """

    verb: str
    subject: str = ""
    reason: str = ""
    approval: str | None = None
    outcome: Outcome = Outcome.DONE
    code: str = ""
    company: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """A row of the log. `actor` is an operator, `via` what they came with (key or own id)."""

    seq: int
    at: datetime
    company: str | None
    actor: str | None
    via: str | None
    verb: str
    subject: str
    reason: str
    approval: str | None
    outcome: Outcome
    code: str
    address: str
    request_id: str
    digest: bytes = b""
    seal: bytes = b""


class Finding(msgspec.Struct, frozen=True):
    """Something wrong with the log, and at which row."""

    seq: int
    what: str


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are wanted; None means any."""

    actor: str | None = None
    subject: str | None = None
    verb: str | None = None
    approval: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_encode = msgspec.json.Encoder().encode


def line(entry: Entry) -> bytes:
    """The canonical form of a row."""
    return _encode(
        [
            entry.seq,
            to_us(entry.at),
            entry.company,
            entry.actor,
            entry.via,
            entry.verb,
            entry.subject,
            entry.reason,
            entry.approval,
            entry.outcome,
            entry.code,
            entry.address,
            entry.request_id,
        ]
    )


def chain(previous: bytes, entry: Entry) -> bytes:
    """The digest of a row."""
    return hashlib.sha256(previous + line(entry)).digest()
