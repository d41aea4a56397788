"""What of cards takes two people: payloads of the requests, and who executes them.

`app` registers them: `approvals.register_executor(kind, executor, payload=…)`
for every line of `executors(cards)`. An executor runs in the approving
transaction; the cards of a bulk issue are then made by a job (`run_batch`).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kabao.access.model import Approval, Executor
from kabao.base.db import Conn
from kabao.base.ids import from_edge, to_edge
from kabao.cards.claims import By
from kabao.cards.model import LINE, Carrier, NewBatch, ProgrammeState, Terms
from kabao.cards.ops import Cards
from kabao.cards.ops.batches import ISSUE_ACTION
from kabao.cards.ops.programmes import CHANGE_ACTION

BATCH, PROGRAMME = "bat", "prg"
"""Prefixes of the ids at the edge; payloads are shown to the second person as they are."""

Reference = Annotated[str, Meta(max_length=120, pattern=LINE)]


class BulkIssue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bulk issue that waits for the second person."""

    programme: str
    carrier: Carrier
    count: int
    reference: Reference = ""


class BatchOpened(msgspec.Struct, frozen=True):
    """The batch that an approved bulk issue became."""

    batch: str
    count: int


class ProgrammeChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A changed programme that waits for the second person."""

    programme: str
    version: int
    terms: Terms | None = None
    state: ProgrammeState | None = None


class ProgrammeChanged(msgspec.Struct, frozen=True):
    """The version that an approved change became."""

    programme: str
    version: int
    state: ProgrammeState


def executors(cards: Cards) -> list[tuple[str, Executor, type[msgspec.Struct]]]:
    """Kind, executor and payload of every request of this slice."""

    async def bulk_issue(conn: Conn, asked: BulkIssue, approval: Approval) -> BatchOpened:
        new = NewBatch(
            programme=from_edge(PROGRAMME, asked.programme),
            carrier=asked.carrier,
            count=asked.count,
            reference=asked.reference,
        )
        batch = await cards.open_batch(conn, new, _by(approval))
        return BatchOpened(to_edge(BATCH, batch.id), batch.requested)

    async def change(conn: Conn, asked: ProgrammeChange, approval: Approval) -> ProgrammeChanged:
        changed = await cards.change_programme(
            conn,
            from_edge(PROGRAMME, asked.programme),
            version=asked.version,
            terms=asked.terms,
            state=asked.state,
            by=_by(approval),
        )
        return ProgrammeChanged(asked.programme, changed.version, changed.state)

    return [(ISSUE_ACTION, bulk_issue, BulkIssue), (CHANGE_ACTION, change, ProgrammeChange)]


def _by(approval: Approval) -> By:
    """In the maker's name, with the second person's agreement."""
    return By(actor=approval.maker, company=approval.company, approval=approval.id)
