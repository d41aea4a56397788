"""Runs: one bill of one source and day, taken, matched, and what followed. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

import msgspec

from kabao.base.errors import Code, KabaoError, Kind, code
from kabao.reconciliation.model.breaks import Break
from kabao.reconciliation.model.lines import BILL_KNOWN, RULE, SpoiltBillError

RUN = "rec"
"""Prefix at the edge."""

MFEN_PER_FEN = 1_000

RUN_NOT_FINISHED = code("run_not_finished", Kind.CONFLICT, "This reconciliation is not finished.")
RUN_SETTLED = code("run_settled", Kind.CONFLICT, "What was paid out for this was booked before.")
BILL_DECIDED = code(
    "bill_decided_already",
    Kind.CONFLICT,
    "Something was decided on another bill of that day, which stays.",
)
BILL_FETCHED = code(
    "bill_fetched_already",
    Kind.CONFLICT,
    "The source's own bill of that day is here; one that is brought does not take its place.",
)
SOURCE_UNKNOWN = code("source_unknown", Kind.INVALID, "Nobody reconciles such a source here.")


class RunState(StrEnum):
    """How far a run has come. Each step is one transaction, or safe to repeat."""

    TAKEN = "taken"  # its lines are here
    MATCHED = "matched"  # pairs and breaks are here: the result stands
    FINISHED = "finished"  # whoever had to be told was told
    REPLACED = "replaced"  # another bill of that day came


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One bill against our books."""

    id: str
    source: str
    """Of which kind: `channel`, `bank`, `terminal`, `legacy`."""
    subject: str
    """Edge id of what the bill is of, such as the channel."""
    company: str
    day: date
    state: RunState
    lines_digest: bytes
    """SHA-256 of what was taken."""
    books_digest: bytes | None = None
    result_digest: bytes | None = None
    """SHA-256 of its result, see `head`; None until it is matched."""
    lines: int = 0
    books: int = 0
    pairs: int = 0
    breaks: int = 0
    theirs_fen: int = 0
    ours_fen: int = 0
    """What came less what went, by each side."""
    fees_mfen: int = 0
    """What the source charged."""
    received_fen: int | None = None
    """What the source has paid out for it; None: two persons have not said yet."""
    brought_by: str | None = None
    """Who handed the bill in; None: it was fetched from the source."""

    @property
    def fee_fen(self) -> int:
        """What the source charged for all of it, rounded half up."""
        return (self.fees_mfen + MFEN_PER_FEN // 2) // MFEN_PER_FEN

    @property
    def expected_fen(self) -> int:
        """What the source has to pay out for it."""
        return self.theirs_fen - self.fee_fen


class KnownBillError(SpoiltBillError):
    """These very lines stand already: as the bill of this day, or of another one."""

    def __init__(self, day: date, run: Run | None) -> None:
        super().__init__(f"it was taken as the bill of {day}", None, BILL_KNOWN)
        self.run = run
        """The run that is this very bill of this very day, if that is what is known."""


class BillStaysError(KabaoError):
    """The bill that stands for a day is not replaced by another one."""

    def __init__(self, code: Code, run: Run, digest: bytes) -> None:
        super().__init__(code, "", rule=RULE)
        self.run = run
        """That stays."""
        self.digest = digest
        """Of the lines that were refused."""


class OpenPayouts(msgspec.Struct, frozen=True, kw_only=True):
    """Payouts of one source that differ from what its bills say, summed."""

    source: str
    subject: str
    count: int
    amount_fen: int
    """By how much, whichever way."""
    oldest: date


def head(run: Run) -> bytes:
    """What was compared, as the first line of a run's result.

    A result is canonical bytes, a JSON document to a line: this one, then each break in
    order. The same lines and the same books give the same bytes.
    """
    return _line(
        {
            "source": run.source,
            "subject": run.subject,
            "day": run.day,
            "lines": run.lines,
            "lines_sha256": run.lines_digest.hex(),
            "books": run.books,
            "books_sha256": (run.books_digest or b"").hex(),
            "pairs": run.pairs,
            "breaks": run.breaks,
            "theirs_fen": run.theirs_fen,
            "ours_fen": run.ours_fen,
            "fees_mfen": run.fees_mfen,
        }
    )


_LATER = frozenset({"id", "run", "state", "why"})
"""Of a break: names, and what becomes of it afterwards. No part of the result."""


def entry(found: Break) -> bytes:
    """A break, as a line of a run's result."""
    fields = msgspec.structs.asdict(found)
    return _line({name: value for name, value in fields.items() if name not in _LATER})


def _line(document: dict[str, object]) -> bytes:
    return msgspec.json.encode(document, order="sorted") + b"\n"
