"""The gate: how many breaks a day may be closed with (T-21). Pure."""

from __future__ import annotations

from datetime import date

import msgspec

_BP = 10_000


class GateRule(msgspec.Struct, frozen=True):
    """A day is kept open by a part with more than `bp` ten-thousandths of its lines broken,
    from `from_count` breaks on: one break among ten lines says nothing of a channel.
    """

    bp: int
    from_count: int

    def keeps_open(self, breaks: int, lines: int) -> bool:
        """Whether so many open breaks are too many."""
        return breaks >= max(self.from_count, 1) and breaks * _BP > self.bp * lines


ZERO = GateRule(0, 1)
"""Our own books: nothing may differ."""


class Part(msgspec.Struct, frozen=True):
    """One source's bill of a day, as far as it has come."""

    source: str
    subject: str
    company: str
    day: date
    run: str | None = None
    finished: bool = False
    lines: int = 0
    open: int = 0
    """Breaks that are open; what is only of another day is no reason to trust nobody."""


class OpenPart(msgspec.Struct, frozen=True):
    """A part that keeps a day from its hard close."""

    source: str
    subject: str
    reason: str
    """`not_there`, `not_matched` or `too_many_breaks`."""
    breaks: int
    rate: float | None
    """Open breaks to lines; None where nothing is matched yet."""


def judged(part: Part, rule: GateRule) -> OpenPart | None:
    """What keeps a part open; None: nothing."""
    if part.run is None:
        return OpenPart(part.source, part.subject, "not_there", 0, None)
    if not part.finished:
        return OpenPart(part.source, part.subject, "not_matched", part.open, None)
    if rule.keeps_open(part.open, part.lines):
        rate = part.open / max(part.lines, 1)
        return OpenPart(part.source, part.subject, "too_many_breaks", part.open, rate)
    return None
