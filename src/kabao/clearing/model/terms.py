"""Settlement rules: what was agreed, from when on, in which version."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from kabao.base.errors import INVALID
from kabao.clearing.model.canonical import canonical, digest
from kabao.policy.choices import FeeReturn, SettledCash

WORKDAYS_MAX = 30
MINIMUM_MAX_FEN = 100_000_000


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an issuer settles with stores. How fees are rounded stands in their plans."""

    workdays: int
    """T+n: how many workdays after the window's day it pays (C-03)."""
    minimum_fen: int
    """Less is not paid, and goes into the next run."""
    cash: SettledCash
    fees_on_refunds: FeeReturn
    carry_negative: bool
    """Whether a store that owes waits for its next settlement, or its company pays."""

    def check(self) -> None:
        """Raises `invalid` for what nobody can have meant."""
        if not 0 <= self.workdays <= WORKDAYS_MAX:
            raise INVALID.error(f"0 to {WORKDAYS_MAX} workdays.", field="workdays")
        if not 0 <= self.minimum_fen <= MINIMUM_MAX_FEN:
            raise INVALID.error("Not a sum that is waited for.", field="minimum")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One version of somebody's terms. It is never changed; a later one follows it."""

    id: str
    company: str | None
    """The issuer that pays; None: all that have no terms of their own."""
    version: int
    effective_from: date
    terms: Terms
    digest: bytes
    reason: str
    created_at: datetime


def digest_of(terms: Terms) -> bytes:
    """What two persons agreed to, 32 bytes."""
    return digest(canonical(terms))


def terms_on(rules: Iterable[Rule], company: str, day: date, default: Terms) -> Terms:
    """An issuer's terms on a day: its own, else those of all, else the policy's."""
    begun = [rule for rule in rules if rule.effective_from <= day]
    for whose in (company, None):
        own = [rule for rule in begun if rule.company == whose]
        if own:
            return max(own, key=lambda rule: (rule.effective_from, rule.version)).terms
    return default
