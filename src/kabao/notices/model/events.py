"""Events as the outside sees them: which there are, which fields, and who may see them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec

from kabao.access.model import Scope
from kabao.base.clock import rfc3339, to_us
from kabao.base.ids import is_id, to_edge
from kabao.base.outbox import Written

READ_BY = {
    "card": "cards:read",
    "case": "cases:read",
    "collection": "collections:read",
    "dispute": "disputes:read",
    "payment": "payments:read",
    "payment_order": "payments:read",
    "refund": "payments:read",
    "suspense": "payments:read",
    "switch": "switches:read",
    "terminal": "merchants:read",
    "topup": "topups:read",
    "webhook": "webhook-endpoints:read",
}
"""What events that are told are about, with the verb that sees such things at their own
doors; those of other things stay inside.
"""
NOUNS = frozenset(READ_BY)
READ_VERBS = frozenset(READ_BY.values())

HIDDEN = frozenset({"payment.flagged", "card.batch_issued"})
"""Events about these that stay inside: what is watched, what a factory made."""

IDS = {
    "batch": "bat",
    "card": "card",
    "case": "case",
    "collection": "col",
    "company": "com",
    "dispute": "dsp",
    "holder": "cus",
    "issuer": "com",
    "other_card": "card",
    "party": "cus",
    "payer": "cus",
    "payment": "pay",
    "payment_order": "pmo",
    "programme": "prg",
    "refund": "ref",
    "replaced_by": "ter",
    "seller": "com",
    "store": "sto",
    "terminal": "ter",
    "topup": "top",
}
"""Fields that name something, with the prefix of its id."""

PLAIN = frozenset(
    {
        "amount",
        "at",
        "balance",
        "balance_after",
        "available",
        "basis",
        "bonus",
        "captured",
        "carrier",
        "channel",
        "code",
        "currency",
        "failure",
        "from",
        "kind",
        "principal",
        "reason",
        "refunded",
        "rule",
        "scope",
        "state",
        "status",
        "subject",
        "switch",
        "to",
        "verb",
    }
)
"""Other fields that are told. What is in neither list is not: a new field is not
public until somebody has looked at it.
"""


class Envelope(msgspec.Struct, frozen=True):
    """An event as it is delivered and listed.

    `id` is the same in every delivery and list. `sequence` numbers the events of
    `stream`, the value of one card, from 1, also when the card is replaced; numbers
    are missing where an event is not for the reader. Both are null for what no card
    has to do with.
    """

    id: str
    type: str
    version: int
    occurred_at: str
    stream: str | None
    sequence: int | None
    data: dict[str, Any]


class Place(Protocol):
    """A store, as far as a scope asks."""

    @property
    def company(self) -> str:
        """The company it belongs to."""
        ...


class About(msgspec.Struct, frozen=True):
    """Whose an event is: ids of the store where it happened and of its company, and of
    the company whose card or affair it is.
    """

    store: str | None = None
    store_company: str | None = None
    company: str | None = None

    def within(self, scope: Scope) -> bool:
        """Whether somebody of that scope may see it. What is nobody's is the whole group's."""
        if self.store is not None and self.store_company is not None:
            in_store = scope.stores is None or self.store in scope.stores
            if in_store and _sees(scope, self.store_company):
                return True
        if scope.stores is not None:
            return False
        if self.company is not None:
            return _sees(scope, self.company)
        return scope.companies is None and self.store is None

    def wholly_within(self, scope: Scope) -> bool:
        """Whether its company and, for certain stores, its store are in that scope: as of cases."""
        if scope.stores is not None and self.store not in scope.stores:
            return False
        return scope.companies is None or self.company in scope.companies


def may_see(kind: str, whose: About, scope: Scope, verbs: Collection[str]) -> bool:
    """Whether somebody of that scope, with those verbs, may see an event of this type.

    Nobody is told by an event what the thing's own door would not show.
    """
    noun = kind.partition(".")[0]
    if READ_BY[noun] not in verbs:
        return False
    return whose.wholly_within(scope) if noun == "case" else whose.within(scope)


def _sees(scope: Scope, company: str) -> bool:
    return scope.companies is None or company in scope.companies


def is_told(kind: str) -> bool:
    """Whether events of this type leave the house."""
    return kind.partition(".")[0] in NOUNS and kind not in HIDDEN


def wanted(kind: str, types: tuple[str, ...] | None) -> bool:
    """Whether an event is among the types asked for: `payment.captured`, `card.*`; None is all."""
    return types is None or kind in types or f"{kind.partition('.')[0]}.*" in types


def event_id(event: Written) -> str:
    """The same id for the same event, whoever reads it."""
    named = f":{event.n}" if event.root is None else f"{event.root}:{event.root_seq}"
    return f"evt_{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def named(event: Written, field: str) -> str | None:
    """The id in a field of an event, however the slice wrote it."""
    value = event.payload.get(field) if isinstance(event.payload, dict) else None
    if not isinstance(value, str):
        return None
    ident = value.rpartition("_")[2]
    return ident if is_id(ident) else None


def lane_of(event: Written) -> str:
    """What an event must be told in order with: its card's value, else what it is about."""
    return event.root or named(event, event.type.partition(".")[0]) or "0" * 32


def about(
    event: Written,
    store_of: Callable[[str], Place | None],
    issuers: Mapping[str, str],
    issuer_of: Callable[[str], str | None],
) -> About:
    """Whose an event is.

    Args:
        event: as read.
        store_of: a store by id.
        issuers: the issuer of each card value, by root.
        issuer_of: the issuer of a programme, by id.
    """
    store, programme = named(event, "store"), named(event, "programme")
    place = None if store is None else store_of(store)
    company = named(event, "company")
    if event.root is not None:
        company = issuers.get(event.root, company)
    elif company is None and programme is not None:
        company = issuer_of(programme)
    if company is None and place is not None:
        company = place.company
    return About(store, None if place is None else place.company, company)


def envelope(event: Written) -> Envelope:
    """An event for the outside."""
    return Envelope(
        id=event_id(event),
        type=event.type,
        version=event.version,
        occurred_at=rfc3339(to_us(event.recorded_at)),
        stream=None if event.root is None else to_edge("acc", event.root),
        sequence=event.root_seq,
        data=_public(event.payload),
    )


def _public(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        return {}
    shown: dict[str, Any] = {}
    for field, value in payload.items():
        if field in IDS:
            shown[field] = to_edge(IDS[field], value) if _bare(value) else value
        elif field in PLAIN and not isinstance(value, dict | list):
            shown[field] = value
    return shown


def _bare(value: Any) -> bool:
    """Whether this is an id without its prefix."""
    return isinstance(value, str) and is_id(value)
