"""What a guesser learns: nothing. One answer for every card that is not accepted.

Unknown card, wrong PIN, locked PIN (with the right one!) and never-activated
card must be the same in status, body and time at every HTTP door (ATK-1, ATK-3).
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from .http import Reply
from .site import Site
from .world import Actors, Card

TRIES = 3
"""Policy `pin.tries_count`."""

ROUNDS = 60
GAP_S = 0.005


async def never_issued(actors: Actors, card: Card) -> dict[str, Any]:
    # The same prefix, 19 digits, a right check digit: just nobody's.
    body = card.number[:8] + card.number[8:-1][::-1]
    return card.by_number | {"number": body + _check_digit(body)}


async def wrong_pin(actors: Actors, card: Card) -> dict[str, Any]:
    return card.guessed


async def locked(actors: Actors, card: Card) -> dict[str, Any]:
    for _ in range(TRIES):
        await actors.pay(card.guessed, 1)
    return card.by_number  # the right PIN


async def locked_and_wrong(actors: Actors, card: Card) -> dict[str, Any]:
    await locked(actors, card)
    return card.guessed


async def never_activated(actors: Actors, card: Card) -> dict[str, Any]:
    sleeping = await actors.card(programme=actors.world.inactive)
    return sleeping.by_number


async def never_activated_and_wrong(actors: Actors, card: Card) -> dict[str, Any]:
    sleeping = await actors.card(programme=actors.world.inactive)
    return sleeping.guessed


async def replaced(actors: Actors, card: Card) -> dict[str, Any]:
    claim = {"type": "possession", "source": card.by_number}
    issued = await actors.operator.made(
        f"/v1/cards/{card.id}/replace",
        {"claim": claim, "carrier": "electronic", "reason": "secret_seen"},
    )
    actors.keep(issued)
    return card.by_number


async def copied_track(actors: Actors, card: Card) -> dict[str, Any]:
    return {"type": "track", "track2": card.track2[:-1] + str((int(card.track2[-1]) + 1) % 10)}


async def garbage_track(actors: Actors, card: Card) -> dict[str, Any]:
    return {"type": "track", "track2": "no track at all"}


async def foreign_id(actors: Actors, card: Card) -> dict[str, Any]:
    return {"type": "card", "id": "card_" + "a" * 32}


async def somebody_elses(actors: Actors, card: Card) -> dict[str, Any]:
    return (await actors.card(1_000)).by_number


CASES = [
    never_issued,
    wrong_pin,
    locked,
    locked_and_wrong,
    never_activated,
    never_activated_and_wrong,
    replaced,
    copied_track,
    garbage_track,
    foreign_id,
]


def _check_digit(body: str) -> str:
    """Luhn."""
    total = 0
    for place, sign in enumerate(reversed(body)):
        digit = int(sign) * (2 if place % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return str(-total % 10)


def alike(reply: Reply) -> tuple[int, dict[str, str], str]:
    """An answer without what differs between any two: ids and times."""
    body = re.sub(r'"(pay|pmo|req|tnd)_[0-9a-f]+"', '"ID"', reply.body.decode())
    body = re.sub(r'"\d{4}-\d\d-\d\dT[^"]+"', '"TIME"', body)
    headers = {k: v for k, v in reply.headers.items() if k not in {"x-request-id", "date"}}
    return reply.status, headers, body


async def pay(actors: Actors, source: dict[str, Any]) -> Reply:
    return await actors.pay(source, 1)


async def hold(actors: Actors, source: dict[str, Any]) -> Reply:
    return await actors.pay(source, 1, capture=False, accept_partial=True)


async def inquire(actors: Actors, source: dict[str, Any]) -> Reply:
    return await actors.inquire(source)


async def top_up(actors: Actors, source: dict[str, Any]) -> Reply:
    north = actors.world.north
    body = {"source": source, "amount": 1, "currency": "CNY", "channel": "cash"}
    return await actors.merchant.post("/v1/topups", body | {"store": north.id})


async def top_up_too_much(actors: Actors, source: dict[str, Any]) -> Reply:
    north = actors.world.north
    body = {"source": source, "amount": 600_000, "currency": "CNY", "channel": "cash"}
    return await actors.merchant.post("/v1/topups", body | {"store": north.id})


async def top_up_elsewhere(actors: Actors, source: dict[str, Any]) -> Reply:
    body = {"source": source, "amount": 1, "currency": "CNY", "channel": "cash"}
    return await actors.stranger.post("/v1/topups", body | {"store": actors.world.outside.id})


async def pay_elsewhere(actors: Actors, source: dict[str, Any]) -> Reply:
    body = {"source": source, "amount": 1, "currency": "CNY", "store": actors.world.outside.id}
    return await actors.stranger.post("/v1/payments", body)


async def tender(actors: Actors, source: dict[str, Any]) -> Reply:
    """A part of a sale; the other part is there already."""
    body = actors.pay_body(source, 2)
    shown = {"type": "card", "source": body.pop("source"), "amount": 1}
    first = {"type": "cash", "amount": 1}
    body |= {"tenders": [first, shown]}
    return await actors.merchant.post("/v1/payment-orders", body)


Door = Callable[[Actors, dict[str, Any]], Awaitable[Reply]]


@pytest.mark.row("P-10", "P-02")
@pytest.mark.parametrize(
    "door",
    [pay, hold, tender, inquire, top_up, top_up_too_much, top_up_elsewhere, pay_elsewhere],
)
async def test_every_refusal_of_a_card_is_one_answer(actors: Actors, door: Door) -> None:
    answers: dict[Any, list[str]] = {}
    for case in CASES:
        if case is foreign_id and door is not pay:
            continue
        source = await case(actors, await actors.card(1_000))
        reply = await door(actors, source)
        status, headers, body = alike(reply)
        answers.setdefault((status, tuple(sorted(headers.items())), body), []).append(case.__name__)
    assert len(answers) == 1, answers
    ((status, _, body),) = answers
    assert status == (422 if door not in {pay, hold, tender, pay_elsewhere} else 201), body


@pytest.mark.row("P-10")
async def test_what_was_answered_stays_hidden_when_it_is_read_again(actors: Actors) -> None:
    card = await actors.card(1_000)
    shown = []
    for case in (never_issued, wrong_pin):
        reply = await actors.pay(await case(actors, card), 1)
        seen = await actors.merchant.get(f"/v1/payments/{reply['id']}")
        assert seen.json == reply.json
        shown.append(alike(seen))
    assert shown[0] == shown[1]


@pytest.mark.row("P-10")
@pytest.mark.parametrize("door", [pay, hold, tender, inquire, top_up, top_up_too_much])
async def test_every_refusal_costs_one_commit(actors: Actors, site: Site, door: Door) -> None:
    """What takes no commit is faster, on every disk: an unknown card would stand out."""
    for case in CASES:
        source = await case(actors, await actors.card(1_000))
        before = operations(site)
        await door(actors, source)
        assert operations(site) == before + 1, (door.__name__, case.__name__)


@pytest.mark.row("P-10")
async def test_every_refused_claim_costs_one_commit(actors: Actors, site: Site) -> None:
    """A claim names its card and shows another, none, or a wrong PIN: all alike."""
    answers = set()
    for case in (never_issued, wrong_pin, locked, locked_and_wrong, somebody_elses, copied_track):
        card = await actors.card(1_000)
        claim = {"type": "possession", "source": await case(actors, card)}
        before = operations(site)
        reply = await actors.operator.post(f"/v1/cards/{card.id}/report-loss", {"claim": claim})
        assert operations(site) == before + 1, case.__name__
        answers.add((reply.status, reply.code, reply["rule"]))
    assert answers == {(422, "secret_not_accepted", "R-01")}


def operations(site: Site) -> int:
    """How many operations were ever kept; each is stored in the commit of its answer."""
    with site.connect() as conn:
        row = conn.execute("select count(*) from ledger.operation").fetchone()
    assert row is not None
    return int(row[0])


async def test_time_tells_nothing(actors: Actors) -> None:
    """The medians of the kinds of refusal lie within 5 ms of each other."""
    cards = [await actors.card(1_000) for _ in range(ROUNDS // 2)]
    sleeping = [await actors.card(programme=actors.world.inactive) for _ in range(ROUNDS // 2)]
    held = await actors.card(1_000)
    await locked(actors, held)
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {}
    nobody = [await never_issued(actors, card) for card in cards]
    kinds["unknown"] = lambda n: nobody[n % len(nobody)]
    kinds["wrong PIN"] = lambda n: cards[n % len(cards)].guessed
    kinds["locked"] = lambda n: held.by_number
    kinds["never activated"] = lambda n: sleeping[n % len(sleeping)].by_number
    doors: list[Door] = [pay, tender, inquire, top_up]
    for door in doors:
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for n in range(ROUNDS):
            for kind, source in kinds.items():
                began = time.perf_counter()
                await door(actors, source(n))
                times[kind].append(time.perf_counter() - began)
        medians = {kind: statistics.median(each) for kind, each in times.items()}
        assert max(medians.values()) - min(medians.values()) < GAP_S, (door.__name__, medians)


# Counting


@pytest.mark.row("B-09", "R-01")
async def test_the_pin_locks_at_exactly_so_many_tries(actors: Actors) -> None:
    card = await actors.card(1_000)
    for _ in range(TRIES - 1):
        assert (await actors.pay(card.guessed, 1))["decline_code"] == "card_not_accepted"
    assert (await actors.pay(card, 1))["status"] == "captured"
    for _ in range(TRIES):
        await actors.pay(card.guessed, 1)
    for source in (card.by_number, card.by_number | {"pin": card.guessed["pin"]}):
        assert (await actors.pay(source, 1))["decline_code"] == "card_not_accepted"
    # A stolen number locks nobody out of the carrier itself? It does: one lock for the card.
    assert (await actors.pay(card.by_barcode, 1))["decline_code"] == "card_not_accepted"
    assert (await actors.see(card))["balance"] == 999


@pytest.mark.row("R-01")
async def test_every_door_counts_into_the_same_counter(actors: Actors) -> None:
    card = await actors.card(1_000)
    await actors.inquire(card.guessed)
    await top_up(actors, card.guessed)
    await actors.pay(card.guessed, 1)
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"
    assert (await actors.inquire(card)).code == "card_not_accepted"


@pytest.mark.row("R-01")
async def test_the_right_secret_forgives_at_every_door(actors: Actors) -> None:
    card = await actors.card(1_000)
    for door in (pay, inquire, top_up):
        for _ in range(TRIES - 1):
            await door(actors, card.guessed)
        assert (await door(actors, card.by_number)).status in {200, 201}
    assert (await actors.pay(card, 1))["status"] == "captured"


async def test_a_replay_counts_once(actors: Actors) -> None:
    """The same request again is the first answer again, not another guess."""
    card = await actors.card(1_000)
    first = await actors.pay(card.guessed, 1, key=f"guess-{card.id}")
    for _ in range(2 * TRIES):
        assert (await actors.pay(card.guessed, 1, key=f"guess-{card.id}")).body == first.body
    assert (await actors.pay(card, 1))["status"] == "captured"
