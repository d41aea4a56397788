"""What is shown of runs and breaks, and to whom."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kabao.base.db import Conn
from kabao.base.errors import NOT_FOUND
from kabao.base.ids import from_edge, to_edge
from kabao.base.web.fields import (
    LINE,
)
from kabao.base.web.principal import Principal
from kabao.reconciliation.model.breaks import BREAK, Break, BreakState, Class, Correction
from kabao.reconciliation.model.lines import LineKind
from kabao.reconciliation.model.runs import RUN, Run, RunState
from kabao.reconciliation.ops import Reconciliation

READ, WRITE = "reconciliations:read", "reconciliations:write"

Reason = Annotated[str, Meta(min_length=1, max_length=255, pattern=LINE)]


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One bill against our books. Digests are SHA-256 in hex.

    `theirs` and `ours` are what came less what went, by the bill and by our books, in fen;
    `fees_mfen` what the bill charges, in thousandths of a fen; `expected` what the source has to
    pay out, `received` what it has. `brought_by` handed the bill in; null: it was fetched. The
    same lines and books give the same `result_sha256`.
    """

    id: str
    source: str
    subject: str
    company: str
    day: date
    status: RunState
    lines: int
    books: int
    pairs: int
    breaks: int
    theirs: int
    ours: int
    fees_mfen: int
    expected: int
    received: int | None
    brought_by: str | None
    lines_sha256: str
    books_sha256: str | None
    result_sha256: str | None


class WholeRun(RunView, frozen=True, kw_only=True):
    """A run, with how many breaks there are of each class."""

    classes: dict[str, int]


class BreakView(msgspec.Struct, frozen=True, kw_only=True):
    """A difference. `difference` is what the bill has to our favour beyond our books, in fen.

    `why` is what closed it; `age_days` how long after its day it is looked at.
    """

    id: str
    reconciliation: str
    subject: str
    day: date
    number: int
    class_: Class = msgspec.field(name="class")
    kind: LineKind
    status: BreakState
    line: int | None
    our_no: str
    our_sub_no: str
    their_no: str
    ours: int | None
    theirs: int | None
    our_fee_mfen: int | None
    their_fee_mfen: int | None
    our_status: str | None
    their_status: str | None
    our_day: date | None
    currency: str
    difference: int
    proposed: Correction
    explanation: str
    age_days: int
    why: str | None


def shown(run: Run) -> dict[str, Any]:
    """The fields of a `RunView`."""
    return {
        "id": to_edge(RUN, run.id),
        "source": run.source,
        "subject": run.subject,
        "company": to_edge("com", run.company),
        "day": run.day,
        "status": run.state,
        "lines": run.lines,
        "books": run.books,
        "pairs": run.pairs,
        "breaks": run.breaks,
        "theirs": run.theirs_fen,
        "ours": run.ours_fen,
        "fees_mfen": run.fees_mfen,
        "expected": run.expected_fen,
        "received": run.received_fen,
        "brought_by": run.brought_by,
        "lines_sha256": run.lines_digest.hex(),
        "books_sha256": None if run.books_digest is None else run.books_digest.hex(),
        "result_sha256": None if run.result_digest is None else run.result_digest.hex(),
    }


def break_view(run: Run, found: Break, today: date) -> BreakView:
    """A break of a run; its age is counted to today."""
    return BreakView(
        id=to_edge(BREAK, found.id),
        reconciliation=to_edge(RUN, found.run),
        subject=run.subject,
        day=run.day,
        number=found.no,
        class_=found.cls,
        kind=found.kind,
        status=found.state,
        line=found.source_no,
        our_no=found.our_no,
        our_sub_no=found.our_sub_no,
        their_no=found.their_no,
        ours=found.ours_fen,
        theirs=found.theirs_fen,
        our_fee_mfen=found.ours_fee_mfen,
        their_fee_mfen=found.theirs_fee_mfen,
        our_status=found.ours_status,
        their_status=found.theirs_status,
        our_day=found.ours_day,
        currency=found.currency,
        difference=found.difference_fen,
        proposed=found.proposed,
        explanation=found.explanation,
        age_days=(today - run.day).days,
        why=found.why,
    )


async def visible(
    conn: Conn, principal: Principal, reconciliation: Reconciliation, text: str
) -> Run:
    """A run inside the key's scope. Raises `not_found`."""
    found = await reconciliation.get(conn, from_edge(RUN, text))
    if not principal.covers(found.company):
        raise NOT_FOUND.error("There is no such reconciliation.")
    return found
