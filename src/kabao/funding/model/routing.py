"""Which channel a sum is collected through, and why not through the others. Pure.

A channel is *passed over* for a reason, each with the row of its rule, or it is ranked: what
succeeds well before what does not, then by priority, then by what a collection costs, fee
and expected failure together. The record keeps every channel with the figures it was
judged by, so that each choice can be explained afterwards (S-14).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from kabao.base.errors import Code
from kabao.funding.model.channels import Channel, Terms
from kabao.funding.model.collections import (
    CHANNEL_LIMIT,
    CHANNEL_NOT_AVAILABLE,
    CHANNEL_NOT_CONFIGURED,
    SOURCE_NOT_ALLOWED,
    Ask,
)
from kabao.funding.model.health import PPM, Circuit

MFEN = 1_000
"""Thousandths of a fen: fees are small, and are compared exactly."""


class PassedOver(StrEnum):
    """Why a channel was not taken."""

    NOT_NAMED = "not_named"  # the caller named another one
    PAUSED = "paused"
    UNUSABLE = "unusable"  # its account is of no use here, so nothing can speak with it
    OTHER_PURPOSE = "other_purpose"
    OTHER_SCENE = "other_scene"
    CREDIT_NOT_BARRED = "credit_not_barred"  # credit is to be barred, and it cannot do that
    FOREIGN_OFF = "foreign_off"  # the programme takes no cards of Visa and MasterCard
    CROSS_BORDER = "cross_border"  # more than such a card may pay at once
    TRIED = "tried"  # it failed for this collection already
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    DAILY_LIMIT = "daily_limit"
    CIRCUIT_OPEN = "circuit_open"
    NOT_BANK_DIRECT = "not_bank_direct"  # a large sum, and a bank takes it directly
    PROBE_DUE = "probe_due"  # another one's breaker needs a probe
    FAILS_OFTEN = "fails_often"  # another one succeeds better
    PRIORITY = "priority"  # another one comes first
    COST = "cost"  # another one costs less


ROWS = {
    PassedOver.NOT_NAMED: "S-07",
    PassedOver.PAUSED: "S-09",
    PassedOver.UNUSABLE: "S-09",
    PassedOver.OTHER_PURPOSE: "S-09",
    PassedOver.OTHER_SCENE: "S-07",
    PassedOver.CREDIT_NOT_BARRED: "ruling 16",
    PassedOver.FOREIGN_OFF: "T-11",
    PassedOver.CROSS_BORDER: "T-14",
    PassedOver.TRIED: "S-16",
    PassedOver.TOO_SMALL: "S-09",
    PassedOver.TOO_LARGE: "S-09",
    PassedOver.DAILY_LIMIT: "S-09",
    PassedOver.CIRCUIT_OPEN: "T-22",
    PassedOver.NOT_BANK_DIRECT: "T-13",
    PassedOver.PROBE_DUE: "T-22",
    PassedOver.FAILS_OFTEN: "S-16",
    PassedOver.PRIORITY: "T-12",
    PassedOver.COST: "S-14",
}
"""The requirement behind each."""

assert set(ROWS) == set(PassedOver)


def fee_mfen(terms: Terms, amount_fen: int) -> int:
    """What a channel takes of a collection, in thousandths of a fen, rounded half up."""
    mfen = (amount_fen * MFEN * terms.fee_ppm + PPM // 2) // PPM
    mfen = max(mfen, terms.fee_min_fen * MFEN)
    return mfen if terms.fee_max_fen is None else min(mfen, terms.fee_max_fen * MFEN)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, and how it stands at this moment."""

    channel: Channel
    usable: bool
    """Whether there is an adapter that can speak with it."""
    bars_credit: bool
    """Whether it can be told to bar credit."""
    foreign: bool
    """Whether its payers' cards are Visa's and MasterCard's."""
    bank_direct: bool
    """Whether a bank takes the money without a third party between (T-09)."""
    limit_fen: int | None
    """Of the day, as it is now; None: there is none."""
    used_fen: int
    """Of the day, so far."""
    success: int
    """The estimated share of its calls that succeed, in millionths."""
    circuit: Circuit
    may_probe: bool
    """Whether its breaker would let one call through."""

    @property
    def id(self) -> str:
        """Of the channel."""
        return self.channel.id

    @property
    def left_fen(self) -> int | None:
        """Of the day's limit; None: there is no limit."""
        return None if self.limit_fen is None else max(self.limit_fen - self.used_fen, 0)


class RouteRule(msgspec.Struct, frozen=True):
    """What the choice is judged by."""

    large_from_fen: int
    """From here banks are asked directly (T-13)."""
    low_bp: int
    """Channels below this success rate come last."""
    failure_cost_fen: int
    """What a failed attempt costs us, besides the fee of the one that succeeds."""
    foreign_max_fen: int | None
    """The most that a card of Visa or MasterCard may pay at once; None: they may not at all."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the record: one channel, its figures, and what became of it."""

    channel: str
    name: str
    passed_over: PassedOver | None
    """None: it was taken."""
    rule: str | None
    fee_mfen: int
    cost_mfen: int
    """Fee and expected failure together, in thousandths of a fen."""
    success: int
    circuit: Circuit
    left_fen: int | None
    """Of the day's limit, before this collection."""
    priority: int
    probe: bool = False
    """It was taken because its breaker needed a probe."""


class Chosen(msgspec.Struct, frozen=True):
    """The record of a choice."""

    id: str
    collection: str
    channel: str | None
    amount_fen: int
    lines: list[Judged]
    created_at: datetime


class RefusedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a choice that came to nothing: nothing was collected, nobody was asked."""

    id: str
    company: str
    store: str | None
    programme: str
    scene: str
    amount_fen: int
    code: str
    rule: str
    lines: list[Judged]
    created_at: datetime


class Ranked(msgspec.Struct, frozen=True):
    """Channels to try in this order, and the others with their reasons."""

    order: tuple[Candidate, ...]
    passed: tuple[Judged, ...]


def rank(
    ask: Ask, candidates: Sequence[Candidate], tried: Collection[str], rule: RouteRule
) -> Ranked:
    """Channels in the order in which to try them.

    A channel that waits for its probe comes first: otherwise it would never be well again.
    """
    reasons = {one.id: _unfit(ask, one, tried, rule) for one in candidates}
    fit = [one for one in candidates if reasons[one.id] is None]
    if ask.amount_fen >= rule.large_from_fen and any(one.bank_direct for one in fit):
        reasons |= {o.id: PassedOver.NOT_BANK_DIRECT for o in fit if not o.bank_direct}
        fit = [one for one in fit if one.bank_direct]
    fit.sort(key=lambda one: _key(ask, one, rule))
    passed = [
        judged(ask, one, rule, reason)
        for one in candidates
        if (reason := reasons[one.id]) is not None
    ]
    return Ranked(tuple(fit), tuple(passed))


def record(
    ask: Ask,
    ranked: Ranked,
    taken: Candidate | None,
    lost: Mapping[str, PassedOver],
    rule: RouteRule,
) -> tuple[Judged, ...]:
    """Every channel with its figures, the taken one first.

    Args:
        ask: what a channel was wanted for.
        ranked: the order they were tried in.
        taken: the first that had room, if one had.
        lost: ranked before it, but somebody else took the last of their limit or their probe.
        rule: what they were judged by.
    """
    lines: list[Judged] = []
    for one in ranked.order:
        if taken is not None and one.id == taken.id:
            line = judged(ask, one, rule, None)
            lines.insert(0, replace(line, probe=one.circuit is not Circuit.CLOSED))
        elif one.id in lost:
            lines.append(judged(ask, one, rule, lost[one.id]))
        else:
            assert taken is not None, "what had room is taken"
            lines.append(judged(ask, one, rule, _worse(one, taken, rule)))
    return (*lines, *ranked.passed)


def refusal(lines: Sequence[Judged]) -> tuple[Code, str]:
    """Why there is no channel: the code, and the row of the rule.

    Of all reasons the one that is nearest to a yes: what only has to be waited for before
    what another amount would mend, before what nothing mends.
    """
    reasons = {line.passed_over for line in lines if line.passed_over is not None}
    for reason, refused in _NEAREST:
        if reason in reasons:
            return refused, ROWS[reason]
    return CHANNEL_NOT_CONFIGURED, "S-07"


_NEAREST = (
    (PassedOver.TRIED, CHANNEL_NOT_AVAILABLE),
    (PassedOver.CIRCUIT_OPEN, CHANNEL_NOT_AVAILABLE),
    (PassedOver.DAILY_LIMIT, CHANNEL_LIMIT),
    (PassedOver.TOO_LARGE, CHANNEL_LIMIT),
    (PassedOver.TOO_SMALL, CHANNEL_LIMIT),
    (PassedOver.CREDIT_NOT_BARRED, SOURCE_NOT_ALLOWED),
    (PassedOver.CROSS_BORDER, SOURCE_NOT_ALLOWED),
    (PassedOver.FOREIGN_OFF, SOURCE_NOT_ALLOWED),
    (PassedOver.PAUSED, CHANNEL_NOT_AVAILABLE),
    (PassedOver.UNUSABLE, CHANNEL_NOT_AVAILABLE),
)


def judged(ask: Ask, one: Candidate, rule: RouteRule, passed_over: PassedOver | None) -> Judged:
    """The line of a channel."""
    return Judged(
        channel=one.id,
        name=one.channel.name,
        passed_over=passed_over,
        rule=None if passed_over is None else ROWS[passed_over],
        fee_mfen=fee_mfen(one.channel, ask.amount_fen),
        cost_mfen=cost_mfen(ask, one, rule),
        success=one.success,
        circuit=one.circuit,
        left_fen=one.left_fen,
        priority=one.channel.priority,
    )


def cost_mfen(ask: Ask, one: Candidate, rule: RouteRule) -> int:
    """What collecting through a channel is expected to cost, in thousandths of a fen."""
    failing = rule.failure_cost_fen * MFEN * (PPM - one.success) // PPM
    return fee_mfen(one.channel, ask.amount_fen) + failing


def _unfit(ask: Ask, one: Candidate, tried: Collection[str], rule: RouteRule) -> PassedOver | None:
    """Why a channel cannot take it; the first reason of all."""
    channel, amount, left = one.channel, ask.amount_fen, one.left_fen
    foreign_fen = rule.foreign_max_fen
    reasons = (
        (ask.channel is not None and not channel.called(ask.channel), PassedOver.NOT_NAMED),
        (ask.scene not in channel.scenes, PassedOver.OTHER_SCENE),
        (not channel.serves(ask.purpose, ask.scene), PassedOver.OTHER_PURPOSE),
        (not one.usable, PassedOver.UNUSABLE),
        (ask.no_credit and not one.bars_credit, PassedOver.CREDIT_NOT_BARRED),
        (one.foreign and foreign_fen is None, PassedOver.FOREIGN_OFF),
        (one.foreign and amount > (foreign_fen or 0), PassedOver.CROSS_BORDER),
        (not channel.active, PassedOver.PAUSED),
        (one.id in tried, PassedOver.TRIED),
        (amount < channel.min_fen, PassedOver.TOO_SMALL),
        (channel.max_fen is not None and amount > channel.max_fen, PassedOver.TOO_LARGE),
        (left is not None and amount > left, PassedOver.DAILY_LIMIT),
        (one.circuit is not Circuit.CLOSED and not one.may_probe, PassedOver.CIRCUIT_OPEN),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _fails_often(one: Candidate, rule: RouteRule) -> bool:
    return one.success < rule.low_bp * 100


def _key(ask: Ask, one: Candidate, rule: RouteRule) -> tuple[bool, bool, int, int, str]:
    return (
        one.circuit is Circuit.CLOSED,  # a probe is due
        _fails_often(one, rule),
        one.channel.priority,
        cost_mfen(ask, one, rule),
        one.id,
    )


def _worse(one: Candidate, taken: Candidate, rule: RouteRule) -> PassedOver:
    """Why one that could have taken it comes after the one that does."""
    if taken.circuit is not Circuit.CLOSED and one.circuit is Circuit.CLOSED:
        return PassedOver.PROBE_DUE
    if _fails_often(one, rule) and not _fails_often(taken, rule):
        return PassedOver.FAILS_OFTEN
    return PassedOver.PRIORITY if one.channel.priority > taken.channel.priority else PassedOver.COST
