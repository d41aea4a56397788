"""Which channel is taken: rules in their order, and laws over any set of channels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kabao.funding.model.answers import Scene
from kabao.funding.model.channels import Channel, ChannelState, Terms
from kabao.funding.model.collections import (
    CHANNEL_LIMIT,
    CHANNEL_NOT_AVAILABLE,
    CHANNEL_NOT_CONFIGURED,
    SOURCE_NOT_ALLOWED,
    Ask,
)
from kabao.funding.model.health import PPM, Circuit
from kabao.funding.model.routing import (
    ROWS,
    Candidate,
    Judged,
    PassedOver,
    RouteRule,
    cost_mfen,
    fee_mfen,
    rank,
    record,
    refusal,
)

RULE = RouteRule(large_from_fen=200_000, low_bp=9000, failure_cost_fen=500, foreign_max_fen=None)
ASK = Ask(
    purpose="topup",
    subject="top_1",
    company="1" * 32,
    programme="2" * 32,
    amount_fen=10_000,
    scene=Scene.QR,
)
A, B, C = "a" * 32, "b" * 32, "c" * 32


def channel(ident: str = A, **more: Any) -> Candidate:
    """A candidate; what is not its own is its channel's."""
    live: dict[str, Any] = {
        "usable": True,
        "bars_credit": True,
        "foreign": False,
        "bank_direct": False,
        "limit_fen": None,
        "used_fen": 0,
        "success": 990_000,
        "circuit": Circuit.CLOSED,
        "may_probe": False,
    }
    live |= {name: more.pop(name) for name in list(more) if name in live}
    row: dict[str, Any] = {
        "id": ident,
        "name": f"name-{ident[0]}",
        "kind": "alipay",
        "company": ASK.company,
        "scenes": (Scene.QR,),
        "fee_ppm": 6000,
        "max_fen": 500_000,
        "state": ChannelState.ACTIVE,
        "revision": 1,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Candidate(channel=Channel(**row | more), **live)


def choose(
    *candidates: Candidate, ask: Ask = ASK, tried: tuple[str, ...] = (), rule: RouteRule = RULE
) -> tuple[Judged, ...]:
    ranked = rank(ask, candidates, tried, rule)
    return record(ask, ranked, ranked.order[0] if ranked.order else None, {}, rule)


def reasons(lines: tuple[Judged, ...]) -> dict[str, PassedOver | None]:
    return {line.channel: line.passed_over for line in lines}


# --- fees -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "amount_fen", "mfen"),
    [
        ({"fee_ppm": 6000}, 10_000, 60_000),
        ({"fee_ppm": 5500}, 1, 6),  # 5.5, rounded half up
        ({"fee_ppm": 5499}, 1, 5),
        ({"fee_ppm": 0}, 10_000, 0),
        ({"fee_ppm": 6000, "fee_min_fen": 100}, 10_000, 100_000),
        ({"fee_ppm": 6000, "fee_min_fen": 100}, 16_667, 100_002),
        ({"fee_ppm": 6000, "fee_max_fen": 2_000}, 10_000_000, 2_000_000),
    ],
)
def test_fees_are_exact(terms: dict[str, Any], amount_fen: int, mfen: int) -> None:
    made = Terms(name="a", kind="alipay", scenes=(Scene.QR,), **terms)
    assert fee_mfen(made, amount_fen) == mfen


# --- who cannot take it -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "asked", "reason"),
    [
        ({}, {"channel": "name-b"}, PassedOver.NOT_NAMED),
        ({}, {"channel": "name-a"}, None),
        ({}, {"channel": "alipay"}, None),
        ({"purposes": ("order",)}, {}, PassedOver.OTHER_PURPOSE),
        ({"scenes": (Scene.PAGE,)}, {}, PassedOver.OTHER_SCENE),
        ({"usable": False}, {}, PassedOver.UNUSABLE),
        ({"bars_credit": False}, {"no_credit": True}, PassedOver.CREDIT_NOT_BARRED),
        ({"state": ChannelState.PAUSED}, {}, PassedOver.PAUSED),
        ({"min_fen": 10_001}, {}, PassedOver.TOO_SMALL),
        ({"max_fen": 9_999}, {}, PassedOver.TOO_LARGE),
        ({"limit_fen": 10_000, "used_fen": 1}, {}, PassedOver.DAILY_LIMIT),
        ({"limit_fen": 10_000, "used_fen": 20_000}, {}, PassedOver.DAILY_LIMIT),
        ({"circuit": Circuit.OPEN}, {}, PassedOver.CIRCUIT_OPEN),
        ({"circuit": Circuit.HALF_OPEN}, {}, PassedOver.CIRCUIT_OPEN),
        ({"min_fen": 10_000}, {}, None),
        ({"max_fen": 10_000}, {}, None),
        ({"limit_fen": 10_000}, {}, None),
        ({"purposes": ("topup",)}, {}, None),
        ({"bars_credit": False}, {}, None),
        ({"circuit": Circuit.HALF_OPEN, "may_probe": True}, {}, None),
    ],
)
def test_why_a_channel_cannot_take_it(
    more: dict[str, Any], asked: dict[str, Any], reason: PassedOver | None
) -> None:
    lines = choose(channel(**more), ask=replace(ASK, **asked))
    assert reasons(lines) == {A: reason}
    assert lines[0].rule == (None if reason is None else ROWS[reason])


def test_what_was_tried_is_not_tried_again() -> None:
    lines = choose(channel(A), channel(B), tried=(A,))
    assert reasons(lines) == {B: None, A: PassedOver.TRIED}


# --- who takes it -----------------------------------------------------------------------


def test_the_cheaper_one() -> None:
    lines = choose(channel(A), channel(B, fee_ppm=5999))
    assert reasons(lines) == {B: None, A: PassedOver.COST}


def test_what_fails_more_costs_more() -> None:
    """0.6 % of 100 yuan is 60 fen; failing one time in ten costs 50 fen."""
    flaky = channel(A, fee_ppm=5500, success=905_000)
    sound = channel(B, fee_ppm=6000, success=999_000)
    assert cost_mfen(ASK, flaky, RULE) == 55_000 + 47_500
    assert reasons(choose(flaky, sound)) == {B: None, A: PassedOver.COST}


def test_priority_before_cost_and_health_before_priority() -> None:
    first = channel(A, fee_ppm=9000, priority=1)
    second = channel(B, priority=2)
    assert reasons(choose(first, second)) == {A: None, B: PassedOver.PRIORITY}
    failing = replace(first, success=899_999)
    assert reasons(choose(failing, second)) == {B: None, A: PassedOver.FAILS_OFTEN}
    assert reasons(choose(replace(first, success=900_000), second))[A] is None


@pytest.mark.parametrize(("amount_fen", "bank"), [(199_999, False), (200_000, True)])
def test_large_sums_go_to_the_bank(amount_fen: int, *, bank: bool) -> None:
    third, direct = channel(A), channel(B, fee_ppm=9000, bank_direct=True, priority=200)
    lines = choose(third, direct, ask=replace(ASK, amount_fen=amount_fen))
    expected = {B: None, A: PassedOver.NOT_BANK_DIRECT} if bank else {A: None}
    assert expected.items() <= reasons(lines).items()


def test_large_sums_go_elsewhere_when_no_bank_can() -> None:
    direct = channel(B, bank_direct=True, circuit=Circuit.OPEN)
    lines = choose(channel(A), direct, ask=replace(ASK, amount_fen=200_000))
    assert reasons(lines) == {A: None, B: PassedOver.CIRCUIT_OPEN}


def test_a_due_probe_comes_first() -> None:
    ill = channel(A, success=100_000, circuit=Circuit.HALF_OPEN, may_probe=True)
    lines = choose(ill, channel(B))
    assert reasons(lines) == {A: None, B: PassedOver.PROBE_DUE}
    assert lines[0].probe and not lines[1].probe


def test_what_somebody_else_took_meanwhile_is_told() -> None:
    one, other = channel(A, limit_fen=10_000), channel(B, fee_ppm=7000)
    ranked = rank(ASK, [one, other], (), RULE)
    lines = record(ASK, ranked, other, {A: PassedOver.DAILY_LIMIT}, RULE)
    assert reasons(lines) == {B: None, A: PassedOver.DAILY_LIMIT}


# --- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "asked", "code", "row"),
    [
        ([], {}, CHANNEL_NOT_CONFIGURED, "S-07"),
        ([channel(scenes=())], {}, CHANNEL_NOT_CONFIGURED, "S-07"),
        ([channel(max_fen=1)], {}, CHANNEL_LIMIT, "S-09"),
        ([channel(max_fen=1), channel(B, circuit=Circuit.OPEN)], {}, CHANNEL_NOT_AVAILABLE, "T-22"),
        ([channel(bars_credit=False)], {"no_credit": True}, SOURCE_NOT_ALLOWED, "ruling 16"),
        ([channel(state=ChannelState.PAUSED)], {}, CHANNEL_NOT_AVAILABLE, "S-09"),
    ],
)
def test_why_there_is_none(
    candidates: list[Candidate], asked: dict[str, Any], code: object, row: str
) -> None:
    assert refusal(choose(*candidates, ask=replace(ASK, **asked))) == (code, row)


def test_all_were_tried() -> None:
    assert refusal(choose(channel(), tried=(A,))) == (CHANNEL_NOT_AVAILABLE, "S-16")


@pytest.mark.parametrize(
    ("most", "amount", "reason"),
    [
        (None, 1, PassedOver.FOREIGN_OFF),
        (0, 1, PassedOver.CROSS_BORDER),
        (9_999, 10_000, PassedOver.CROSS_BORDER),
        (10_000, 10_000, None),
    ],
)
def test_cards_of_the_schemes_are_chosen_where_they_may_pay(
    most: int | None, amount: int, reason: PassedOver | None
) -> None:
    """The other one is dearer, so it is taken only where the schemes may not."""
    rule, ask = replace(RULE, foreign_max_fen=most), replace(ASK, amount_fen=amount)
    lines = choose(channel(A, foreign=True), channel(B, priority=200), ask=ask, rule=rule)
    by_id = {line.channel: line.passed_over for line in lines}
    assert by_id == {A: reason, B: None if reason else PassedOver.PRIORITY}
    (alone,) = choose(channel(A, foreign=True), ask=ask, rule=rule)
    if reason is not None:
        assert refusal([alone]) == (SOURCE_NOT_ALLOWED, alone.rule)


# --- laws -------------------------------------------------------------------------------

scenes = st.lists(st.sampled_from(Scene), unique=True).map(tuple)


@st.composite
def channels(draw: st.DrawFn) -> list[Candidate]:
    return [
        channel(
            f"{n:032x}",
            state=draw(st.sampled_from(ChannelState)),
            scenes=draw(scenes),
            bars_credit=draw(st.booleans()),
            bank_direct=draw(st.booleans()),
            fee_ppm=draw(st.integers(0, 30_000)),
            fee_min_fen=draw(st.integers(0, 100)),
            fee_max_fen=draw(st.none() | st.just(5_000)),
            max_fen=draw(st.integers(1, 500_000)),
            limit_fen=draw(st.none() | st.integers(0, 1_000_000)),
            used_fen=draw(st.integers(0, 1_000_000)),
            priority=draw(st.integers(1, 3)),
            success=draw(st.integers(0, PPM)),
            circuit=draw(st.sampled_from(Circuit)),
            may_probe=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 8)))
    ]


asks = st.builds(
    lambda amount_fen, scene, no_credit: replace(
        ASK, amount_fen=amount_fen, scene=scene, no_credit=no_credit
    ),
    st.integers(1, 500_000),
    st.sampled_from(Scene),
    st.booleans(),
)


def taken(lines: tuple[Judged, ...]) -> Judged | None:
    found = [line for line in lines if line.passed_over is None]
    assert len(found) <= 1 and found == list(lines[: len(found)])
    return found[0] if found else None


@given(asks, channels())
def test_everything_is_explained_and_no_limit_is_passed(
    ask: Ask, candidates: list[Candidate]
) -> None:
    lines = choose(*candidates, ask=ask)
    assert sorted(line.channel for line in lines) == [one.id for one in candidates]
    found = taken(lines)
    assert all(line.rule for line in lines if line is not found)
    if found is None:
        refusal(lines)
        return
    one = next(c for c in candidates if c.id == found.channel)
    channel = one.channel
    assert channel.active and ask.scene in channel.scenes
    assert channel.max_fen is None or ask.amount_fen <= channel.max_fen
    assert one.limit_fen is None or one.used_fen + ask.amount_fen <= one.limit_fen
    assert one.bars_credit or not ask.no_credit
    assert one.circuit is Circuit.CLOSED or (one.may_probe and found.probe)


@given(asks, channels(), st.randoms())
def test_the_order_of_the_channels_does_not_matter(
    ask: Ask, candidates: list[Candidate], chance: Any
) -> None:
    shuffled = candidates[:]
    chance.shuffle(shuffled)
    assert taken(choose(*candidates, ask=ask)) == taken(choose(*shuffled, ask=ask))


@given(asks, channels(), st.integers(1, 10_000))
def test_a_lower_fee_never_loses(ask: Ask, candidates: list[Candidate], less: int) -> None:
    found = taken(choose(*candidates, ask=ask))
    if found is None:
        return
    cheaper = [
        replace(one, channel=replace(one.channel, fee_ppm=max(one.channel.fee_ppm - less, 0)))
        if one.id == found.channel
        else one
        for one in candidates
    ]
    again = taken(choose(*cheaper, ask=ask))
    assert again is not None and again.channel == found.channel


@given(asks, channels())
def test_trying_one_after_the_other_ends(ask: Ask, candidates: list[Candidate]) -> None:
    tried: list[str] = []
    while (found := taken(choose(*candidates, ask=ask, tried=tuple(tried)))) is not None:
        assert found.channel not in tried
        tried.append(found.channel)
    assert len(tried) <= len(candidates)
