"""满赠 through the doors: two people agree to a rule, top-ups are given what it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .http import Caller
from .world import Actors, programme

CAMPAIGN = {
    "name": "满100送20",
    "from_amount": 10_000,
    "give": 2_000,
    "starts_on": "2020-01-01",
    "ends_on": "2099-12-31",
    "budget": 1_000_000,
    "reason": "double eleven",
}


def approver(actors: Actors) -> Caller:
    return actors.http.at(actors.world.keys["approver"])


async def campaign(actors: Actors, of: str, **more: Any) -> str:
    """A rule of a programme, agreed to; its id."""
    asked = await actors.operator.made("/v1/bonus-rules", CAMPAIGN | {"programme": of} | more)
    done = await approver(actors).made(f"/v1/approvals/{asked['id']}/approve", {})
    ident: str = done["result"]["bonus_rule"]
    return ident


@pytest.mark.row("A-11")
async def test_a_rule_gives_once_two_people_have_agreed(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    asked = await actors.operator.made("/v1/bonus-rules", CAMPAIGN | {"programme": own})
    assert asked["status"] == "pending" if "status" in asked else asked["state"] == "pending"
    card = await actors.card(programme=own)
    assert (await actors.load(card, 10_000))["bonus"] == 0
    alone = await actors.operator.post(f"/v1/approvals/{asked['id']}/approve", {})
    assert alone.status == 403
    done = await approver(actors).made(f"/v1/approvals/{asked['id']}/approve", {})
    topup = await actors.load(card, 10_000)
    assert (topup["amount"], topup["bonus"], topup["balance_after"]) == (10_000, 2_000, 22_000)
    rule = await actors.operator.got(f"/v1/bonus-rules/{done['result']['bonus_rule']}")
    assert (rule["used"], rule["state"], rule["give"]) == (2_000, "running", 2_000)
    listed = await actors.operator.got("/v1/bonus-rules", programme=own)
    assert listed["data"] == [rule]


@pytest.mark.row("A-11", "T-20")
async def test_bonus_is_kept_apart_and_part_of_the_lot(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    await campaign(actors, own)
    card = await actors.card(programme=own)
    await actors.load(card, 20_000)
    (lot,) = (await actors.auditor.got("/v1/ledger/lots", card=card.id))["data"]
    assert (lot["principal"], lot["bonus"], lot["price"]) == (20_000, 2_000, 20_000)
    seen = await actors.see(card)
    assert (seen["balance"], seen["available"]) == (22_000, 22_000)


@pytest.mark.row("A-11")
async def test_a_budget_is_exact_however_many_load_at_once(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    rule = await campaign(actors, own, budget=9_000)
    cards = [await actors.card(programme=own) for _ in range(8)]
    topups = await asyncio.gather(*(actors.load(card, 10_000) for card in cards))
    assert sorted(topup["bonus"] for topup in topups) == [0, 0, 0, 1_000, *[2_000] * 4]
    assert (await actors.operator.got(f"/v1/bonus-rules/{rule}"))["used"] == 9_000


@pytest.mark.row("A-11")
async def test_a_cap_for_each_card(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    await campaign(actors, own, card_max=3_000, period="day")
    card, other = await actors.card(programme=own), await actors.card(programme=own)
    given = [(await actors.load(card, 10_000))["bonus"] for _ in range(3)]
    assert given == [2_000, 1_000, 0]
    assert (await actors.load(other, 10_000))["bonus"] == 2_000


@pytest.mark.row("A-11", "CR-12")
async def test_what_is_given_counts_towards_the_limit(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    await campaign(actors, own)
    card = await actors.card(70_000, programme=own)
    over = await actors.merchant.post("/v1/topups", actors.topup_body(card, 26_001))
    assert (over.status, over.code) == (422, "over_balance_limit")
    assert (await actors.load(card, 26_000))["balance_after"] == 70_000 + 2_000 + 28_000


@pytest.mark.row("A-11", "CR-24")
async def test_a_void_takes_the_bonus_back(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    rule = await campaign(actors, own, budget=2_000)
    card = await actors.card(programme=own)
    topup = await actors.load(card, 10_000)
    hold = await actors.held(card, 1)
    refused = await actors.unload(topup)
    assert (refused.status, refused.code) == (422, "topup_already_spent")
    await actors.act(hold, "void")
    voided = await actors.unload(topup)
    assert (voided.status, voided["status"], voided["balance_after"]) == (200, "voided", 0)
    assert (await actors.operator.got(f"/v1/bonus-rules/{rule}"))["used"] == 0
    assert (await actors.load(card, 10_000))["bonus"] == 2_000


@pytest.mark.row("A-11")
async def test_an_ended_rule_gives_nothing(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    rule = await campaign(actors, own)
    ended = await actors.operator.made(f"/v1/bonus-rules/{rule}/end", {})
    assert ended["state"] == "ended"
    again = await actors.operator.post(f"/v1/bonus-rules/{rule}/end", {})
    assert (again.status, again.code) == (409, "bonus_rule_ended")
    card = await actors.card(programme=own)
    assert (await actors.load(card, 10_000))["bonus"] == 0


@pytest.mark.row("A-11")
async def test_a_repeated_request_is_given_once(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    rule = await campaign(actors, own)
    card = await actors.card(programme=own)
    body = actors.topup_body(card, 10_000)
    first = await actors.merchant.post("/v1/topups", body, key="same-bonus")
    again = await actors.merchant.post("/v1/topups", body, key="same-bonus")
    assert (first.status, again.body) == (201, first.body)
    assert (await actors.operator.got(f"/v1/bonus-rules/{rule}"))["used"] == 2_000


async def test_a_rule_that_makes_no_sense(actors: Actors) -> None:
    own = await programme(actors.operator, actors.world.founded.group)
    for more, field in (
        ({"give_bp": 100}, "give"),
        ({"budget": 1_999}, "budget"),
        ({"ends_on": "2019-12-31"}, "ends_on"),
    ):
        body = CAMPAIGN | {"programme": own} | more
        reply = await actors.operator.post("/v1/bonus-rules", body)
        assert (reply.status, reply.code, reply["field"]) == (422, "bonus_rule_invalid", field)


@pytest.mark.row("S-09", "CR-10")
async def test_caps_of_a_day(actors: Actors) -> None:
    limits = {"topup.day_card_max_fen": 1_000, "topup.day_payer_max_fen": 1_500}
    own = await programme(actors.operator, actors.world.founded.group, terms={"limits": limits})
    person = await actors.person()
    cards = [await actors.card(programme=own) for _ in range(2)]
    for card, amount, rule in (
        (cards[0], 999, None),
        (cards[0], 2, "S-09"),
        (cards[0], 1, None),
        (cards[1], 501, "CR-10"),
        (cards[1], 500, None),
    ):
        body = actors.topup_body(card, amount, payer=person)
        reply = await actors.merchant.post("/v1/topups", body)
        assert (reply.status, reply.json.get("rule")) == (422 if rule else 201, rule), repr(reply)
    nobody = await actors.merchant.post("/v1/topups", actors.topup_body(cards[1], 500))
    assert nobody.status == 201
