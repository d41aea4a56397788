"""The client journal: what was asked, and what was answered to it.

One JSON object a line, written when the outcome is final. The auditor reads
it next to the books: what was acknowledged must be there once, and what is
there must have been asked for. No number, PIN or name is ever in it.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from kabao.base.clock import rfc3339

UNKNOWN = "unknown"
"""The status of what got no answer in all its time."""
REFUSED = "refused"
"""The status of what got a clear no (4xx)."""

_encode = msgspec.json.Encoder().encode


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation, as the client knows it."""

    key: str
    """Its Idempotency-Key."""
    verb: str
    """`pay`, `hold`, `capture`, `void`, `refund`, `reverse`, `topup`, …"""
    status: str
    """As the platform answered it; `refused`, or `unknown`."""
    sent_at: str
    acknowledged_at: str | None = None
    amount: int = 0
    """Fen asked for."""
    approved: int | None = None
    """Fen that moved, by the answer; None when there was none."""
    id: str | None = None
    """What the platform calls it, where the answer says so."""
    of: str | None = None
    """The payment or top-up it comes after, such as a refund's."""
    card: str | None = None
    store: str | None = None
    code: str | None = None
    """Why it was declined or refused."""
    original: str | None = None
    """The key of what it reverses."""
    attempts: int = 1
    label: str | None = None
    """What kind of dishonest act it is part of."""


class Journal:
    """Appends entries to a file; nothing of it stays in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self._file: IO[bytes] = path.open("wb", buffering=1 << 16)

    def write(self, entry: Entry) -> None:
        """One more line."""
        self.entries += 1
        self._file.write(_encode(entry) + b"\n")

    def flush(self) -> None:
        """Everything is in the file from here on."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def at(us: int) -> str:
    """A moment as it stands in the journal."""
    return rfc3339(us)
