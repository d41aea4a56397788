"""Amount and velocity rules of a programme: at the threshold, just below, just above."""

from __future__ import annotations

from typing import Any

import pytest

from .world import Actors, programme


async def limited(actors: Actors, **limits: Any) -> str:
    """A programme with limits of its own, tighter than the house's."""
    return await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {name.replace("__", "."): value for name, value in limits.items()}},
    )


def refusal(reply: Any) -> tuple[str | None, str | None]:
    return reply["decline_code"], reply["rule"]


@pytest.mark.row("P-10", "R-06")
@pytest.mark.parametrize(
    ("amount", "code"), [(4_999, None), (5_000, None), (5_001, "over_single_limit")]
)
async def test_one_payment(actors: Actors, amount: int, code: str | None) -> None:
    own = await limited(actors, pay__single_max_fen=5_000)
    card = await actors.card(20_000, programme=own)
    assert refusal(await actors.pay(card, amount)) == (code, "P-10" if code else None)
    assert (await actors.inquire(card))["single_limit"] == 5_000


@pytest.mark.row("R-06")
async def test_so_many_payments_a_day(actors: Actors) -> None:
    own = await limited(actors, pay__day_max_count=3)
    card = await actors.card(20_000, programme=own)
    codes = [refusal(await actors.pay(card, 1))[0] for _ in range(5)]
    assert codes == [None, None, None, "over_day_count", "over_day_count"]


@pytest.mark.row("R-06")
@pytest.mark.parametrize(("last", "code"), [(1_999, None), (2_000, None), (2_001, "over_day_sum")])
async def test_so_much_a_day(actors: Actors, last: int, code: str | None) -> None:
    own = await limited(actors, pay__day_max_fen=5_000)
    card = await actors.card(20_000, programme=own)
    await actors.paid(card, 3_000)
    assert refusal(await actors.pay(card, last)) == (code, "R-06" if code else None)


@pytest.mark.row("R-06")
async def test_a_decline_counts_for_nothing_and_a_hold_counts(actors: Actors) -> None:
    own = await limited(actors, pay__day_max_count=2)
    card = await actors.card(1_000, programme=own)
    for _ in range(3):
        assert refusal(await actors.pay(card, 1_001))[0] == "insufficient_funds"
    await actors.held(card, 1)
    await actors.paid(card, 1)
    assert refusal(await actors.pay(card, 1))[0] == "over_day_count"


@pytest.mark.row("R-06", "R-03")
async def test_consecutive_payments_in_a_short_time(actors: Actors) -> None:
    own = await limited(actors, risk__burst__from_count=3, risk__burst__action="decline")
    card = await actors.card(20_000, programme=own)
    codes = [refusal(await actors.pay(card, 1)) for _ in range(4)]
    fired = ("too_many_in_short_time", "R-06")
    assert codes == [(None, None), (None, None), fired, fired]


@pytest.mark.row("R-06")
@pytest.mark.parametrize(
    ("amount", "code"),
    [(6_999, None), (7_000, "sudden_large_amount"), (7_001, "sudden_large_amount")],
)
async def test_a_sudden_large_amount(actors: Actors, amount: int, code: str | None) -> None:
    own = await limited(actors, risk__sudden__from_fen=7_000, risk__sudden__action="decline")
    card = await actors.card(20_000, programme=own)
    assert refusal(await actors.pay(card, amount)) == (code, "R-06" if code else None)


async def test_limits_of_one_programme_are_nobody_elses(actors: Actors) -> None:
    own = await limited(actors, pay__single_max_fen=100)
    tight, free = await actors.card(1_000, programme=own), await actors.card(1_000)
    assert refusal(await actors.pay(tight, 101))[0] == "over_single_limit"
    await actors.paid(free, 101)


@pytest.mark.row("CR-12")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("card.limit.bearer_fen", 100_001),
        ("pin.tries_count", 6),
        ("card.validity.bearer_months", 35),
    ],
)
async def test_the_law_cannot_be_loosened(actors: Actors, name: str, value: int) -> None:
    reply = await actors.operator.post(
        "/v1/programmes",
        {
            "class": "bearer",
            "issuer": actors.world.founded.group,
            "terms": {
                "name_en": "Loose",
                "name_zh": "宽松",
                "carriers": ["electronic"],
                "prefixes": ["77001122", "77001133"],
                "limits": {name: value},
            },
        },
    )
    assert (reply.status, reply.code) == (422, "policy_loosened"), repr(reply)
    assert reply["rule"]


@pytest.mark.row("L-11")
async def test_the_policy_says_how_long_trade_is_kept(actors: Actors) -> None:
    for name, value in (("retention.trade_years", 5), ("custody.live_bp", 10_000)):
        told = await actors.auditor.got("/v1/policy", name=name)
        (rule,) = told["rules"]
        assert (rule["value"], rule["row"]) == (value, "L-11")
