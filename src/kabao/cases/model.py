"""Cases, their states, and by when somebody must look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code
from kabao.policy import names
from kabao.policy.model import Rules

CASE_RESOLVED = code("case_resolved", Kind.CONFLICT, "The case is resolved already.")
CASE_TAKEN = code("case_taken", Kind.CONFLICT, "Somebody else is at this case.")
CASE_NOTES_FULL = code("case_notes_full", Kind.CONFLICT, "The case has as many notes as it may.")

Fact = str | int

MAX_FACTS = 30
MAX_FACT = 255
MAX_KEY = 200
MAX_NOTES = 200
_KIND = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
_SUBJECT = re.compile(r"[a-z]+_[0-9a-zA-Z_.-]{1,72}")


class CaseState(StrEnum):
    """How far somebody has come with it."""

    OPEN = "open"
    TAKEN = "taken"
    RESOLVED = "resolved"


class NewCase(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice found that a person must look at.

    `kind` is dotted words, the slice's name first. `subject` is an edge id.
    `facts` hold no secrets and nothing of a person. Of one `kind` and `key`
    there is one case: opened again, it counts an occurrence.
    """

    kind: str
    subject: str
    company: str
    store: str | None = None
    facts: Mapping[str, Fact] = {}
    key: str

    def check(self) -> None:
        """A defect of ours, not of a caller: cases are opened by slices."""
        assert _KIND.fullmatch(self.kind) and len(self.kind) <= 80, "a kind is dotted words"
        assert _SUBJECT.fullmatch(self.subject), "a subject is an edge id"
        assert 0 < len(self.key) <= MAX_KEY, "a key is short"
        assert len(self.facts) <= MAX_FACTS, "facts are few"
        assert all(isinstance(f, int) or len(f) <= MAX_FACT for f in self.facts.values())


class Case(msgspec.Struct, frozen=True):
    """A case as stored. Whoever took or resolved it is named as it was then."""

    id: str
    kind: str
    key: str
    subject: str
    company: str
    store: str | None
    facts: dict[str, Fact]
    state: CaseState
    occurrences: int
    opened_at: datetime
    last_at: datetime
    due_at: datetime
    taken_by: str | None = None
    taken_name: str | None = None
    taken_at: datetime | None = None
    resolved_by: str | None = None
    resolved_name: str | None = None
    resolved_at: datetime | None = None
    outcome: str | None = None

    def overdue(self, at: datetime) -> bool:
        """Whether nobody has taken it in time (S-17)."""
        return self.state is CaseState.OPEN and at > self.due_at


class Note(msgspec.Struct, frozen=True):
    """What somebody wrote down about a case."""

    case: str
    n: int
    by: str
    name: str
    text: str
    at: datetime


class Told(msgspec.Struct, frozen=True):
    """What the events `case.opened` and `case.resolved` tell."""

    case: str
    kind: str
    subject: str
    company: str
    store: str | None


def response_time(rules: Rules, kind: str) -> timedelta:
    """How soon somebody must take a case of this kind (S-17).

    `case.response_per_kind` holds `"kind minutes"`; other kinds have
    `case.response_minutes`.
    """
    for line in rules.texts(names.CASE_RESPONSE_PER_KIND):
        named, _, minutes = line.partition(" ")
        if named == kind:
            return timedelta(minutes=int(minutes))
    return timedelta(minutes=rules.int(names.CASE_RESPONSE_MINUTES))
