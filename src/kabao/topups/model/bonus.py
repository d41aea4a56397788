"""满赠: what a top-up is given on top, by rules that are data. Pure. Amounts in fen, dates are
business days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec

from kabao.base.errors import Kind, code

BONUS_RULE = "bon"
"""Prefix at the edge."""

BONUS_RULE_INVALID = code(
    "bonus_rule_invalid", Kind.INVALID, "A bonus rule like this cannot be kept."
)
BONUS_RULE_ENDED = code("bonus_rule_ended", Kind.CONFLICT, "The bonus rule has ended.")

FULL_BP = 10_000


class Period(StrEnum):
    """How long what one card was given counts towards its cap."""

    DAY = "day"
    MONTH = "month"
    CAMPAIGN = "campaign"


class RuleState(StrEnum):
    """An ended rule gives nothing any more; what it gave stays given."""

    RUNNING = "running"
    ENDED = "ended"


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule gives: `give_fen` or `give_bp` of the amount, from an amount on."""

    name: str
    from_fen: int
    give_fen: int | None = None
    give_bp: int | None = None
    """Ten-thousandths of what is paid, rounded down."""
    topup_max_fen: int | None = None
    """The most for one top-up."""
    card_max_fen: int | None = None
    """The most for one card in a `period`."""
    period: Period = Period.CAMPAIGN
    starts_on: date
    ends_on: date
    """Its last day."""
    budget_fen: int
    """The most it gives at all."""


class BonusRule(Terms, frozen=True, kw_only=True):
    """A rule of a programme as it stands."""

    id: str
    programme: str
    state: RuleState
    used_fen: int
    """Of the budget: given or promised, less what was taken back."""
    approval: str
    created_at: datetime
    ended_at: datetime | None


class Grant(msgspec.Struct, frozen=True):
    """What one top-up is given, and by which rule."""

    topup: str
    rule: str
    root: str
    amount_fen: int
    day: date


class Returned(msgspec.Struct, frozen=True):
    """So much of a top-up's bonus was taken back, or never given."""

    topup: str
    fen: int


def check_terms(terms: Terms) -> None:
    """Whether a rule makes sense. Raises `bonus_rule_invalid`."""
    if (terms.give_fen is None) == (terms.give_bp is None):
        raise BONUS_RULE_INVALID.error("Say an amount or a rate.", field="give")
    if terms.ends_on < terms.starts_on:
        raise BONUS_RULE_INVALID.error("It ends before it starts.", field="ends_on")
    most = bonus_of(terms, terms.from_fen)
    if most < 1:
        raise BONUS_RULE_INVALID.error("It gives nothing.", field="give")
    if terms.budget_fen < most:
        raise BONUS_RULE_INVALID.error("Its budget is spent before it begins.", field="budget")


def bonus_of(terms: Terms, amount_fen: int) -> int:
    """What a rule gives for an amount, before the caps on card and budget."""
    if amount_fen < terms.from_fen:
        return 0
    given = terms.give_fen
    if given is None:
        assert terms.give_bp is not None, "a rule gives an amount or a rate"
        given = amount_fen * terms.give_bp // FULL_BP
    return given if terms.topup_max_fen is None else min(given, terms.topup_max_fen)


def period_from(rule: Terms, day: date) -> date:
    """The first day of the period that a day is in."""
    match rule.period:
        case Period.DAY:
            return day
        case Period.MONTH:
            return max(day.replace(day=1), rule.starts_on)
        case Period.CAMPAIGN:
            return rule.starts_on


def best(
    rules: Iterable[BonusRule], amount_fen: int, day: date, had: Mapping[str, int]
) -> tuple[BonusRule, int] | None:
    """The rule that gives the most for a top-up, and how much; of equals the oldest.

    A cap or a budget that is not enough for the whole bonus gives what is left of it.

    Args:
        rules: a programme's, as they stand under their lock.
        amount_fen: what is paid.
        day: the business day.
        had: what the card has had by each rule in its period.
    """
    found: tuple[BonusRule, int] | None = None
    for rule in sorted(rules, key=lambda rule: rule.id):
        if rule.state != RuleState.RUNNING or not rule.starts_on <= day <= rule.ends_on:
            continue
        given = min(bonus_of(rule, amount_fen), rule.budget_fen - rule.used_fen)
        if rule.card_max_fen is not None:
            given = min(given, rule.card_max_fen - had.get(rule.id, 0))
        if given > (found[1] if found is not None else 0):
            found = rule, given
    return found
