"""Everybody at once, over two server processes: exactly what can happen does, once.

F-7, F-8, F-21, ATK-3, ATK-4. The counts of `make test` are small; those of
`reliability.md` run with `make proof`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, TypeVar

import pytest

from .http import Reply, fresh_key
from .site import Site
from .world import Actors, Card, programme

CLIENTS = 64
TRIES = 3

T = TypeVar("T")


def full(count: int) -> Any:
    """A count for `make proof` alone."""
    return pytest.param(count, marks=pytest.mark.proof)


async def together(asks: Iterable[Awaitable[T]], clients: int = CLIENTS) -> list[T]:
    """At once, as far as so many clients can."""
    turns = asyncio.Semaphore(clients)

    async def one(ask: Awaitable[T]) -> T:
        async with turns:
            return await ask

    return await asyncio.gather(*(one(ask) for ask in asks))


@pytest.fixture(autouse=True)
async def spread(actors: Actors, site: Site) -> None:
    """Half of the connections at each server process."""
    await site.spread(actors.http, CLIENTS)


@pytest.fixture(scope="module", autouse=True)
def audited(site: Site) -> Iterator[None]:
    """Whatever raced, the books hold, and every client was told the truth."""
    yield
    site.audit()


def both(replies: Iterable[Reply]) -> bool:
    return len({reply.process for reply in replies}) == 2


# One card, many hands


@pytest.mark.row("P-01", "P-02", "T-17")
@pytest.mark.parametrize(
    ("load", "amount"), [(100_000, 700), pytest.param(100_000, 7, marks=pytest.mark.proof)]
)
async def test_exactly_the_affordable_number_succeeds(
    actors: Actors, site: Site, load: int, amount: int
) -> None:
    card = await actors.card(load)
    affordable = load // amount
    replies = await together(actors.pay(card, amount) for _ in range(affordable + 2 * CLIENTS))
    assert both(replies)
    captured = [r for r in replies if r["status"] == "captured"]
    declined = [r for r in replies if r["status"] == "declined"]
    assert len(captured) == affordable
    assert len(captured) + len(declined) == len(replies)
    assert {r["decline_code"] for r in declined} == {"insufficient_funds"}
    left = load - affordable * amount
    assert await actors.balance(card) == (left, left)
    # Every balance that was told was there once.
    told = sorted(r["balance_after"] for r in captured)
    assert told == [left + n * amount for n in range(affordable)]


@pytest.mark.parametrize("rounds", [30, full(1_000)])
async def test_no_wrong_pin_is_counted_twice_and_none_is_lost(actors: Actors, rounds: int) -> None:
    for n in range(rounds):
        card = await actors.card(100)
        count = TRIES - 1 + n % 2
        replies = await together(actors.pay(card.guessed, 1) for _ in range(count))
        assert {r["decline_code"] for r in replies} == {"card_not_accepted"}
        right = await actors.pay(card, 1)
        assert right["status"] == ("captured" if count < TRIES else "declined"), (n, count)


@pytest.mark.row("R-01", "B-09")
@pytest.mark.parametrize("guesses", [500, full(10_000)])
async def test_many_guesses_at_once_are_a_few_checks(
    actors: Actors, site: Site, guesses: int
) -> None:
    """The right PIN is among them, once all checks are used up: it is refused as well."""
    card = await actors.card(100)
    await together(actors.pay(card.guessed, 1) for _ in range(TRIES))
    wrong = [card.with_pin(f"{secrets.randbelow(10**12):012}") for _ in range(guesses)]
    sources = [card.by_number if n % 10 == 0 else wrong[n] for n in range(guesses)]
    replies = await together(
        actors.pay(source, 1) if n % 2 else actors.inquire(source)
        for n, source in enumerate(sources)
    )
    assert both(replies)
    for reply in replies:
        if reply.status == 201:
            assert reply["decline_code"] == "card_not_accepted"
        else:
            assert reply.code == "card_not_accepted"
    assert (await actors.see(card))["balance"] == 100


async def test_holds_share_what_there_is(actors: Actors) -> None:
    card = await actors.card(10_000)
    replies = await together(actors.pay(card, 900, capture=False) for _ in range(40))
    assert sum(r["status"] == "authorized" for r in replies) == 11
    assert await actors.balance(card) == (10_000, 100)


async def test_parts_of_a_hold_are_never_more_than_the_hold(actors: Actors) -> None:
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_500)
    replies = await together(
        actors.act(hold, "capture", amount=1_000, final=False) for _ in range(30)
    )
    assert sorted({r.status for r in replies}) == [200, 422]
    assert sum(r.status == 200 for r in replies) == 6
    assert await actors.balance(card) == (4_000, 3_500)
    ends = await together([actors.act(hold, "capture"), actors.act(hold, "capture")])
    assert sorted(r.status for r in ends) == [200, 409]
    assert await actors.balance(card) == (3_500, 3_500)


async def test_a_limit_is_a_limit_for_all_together(actors: Actors) -> None:
    card = await actors.card()
    replies = await together(
        actors.merchant.post("/v1/topups", actors.topup_body(card, 9_000)) for _ in range(40)
    )
    assert sum(r.status == 201 for r in replies) == 11
    assert {r.code for r in replies if r.status != 201} == {"over_balance_limit"}
    assert (await actors.see(card))["balance"] == 99_000


@pytest.mark.row("R-06")
async def test_velocity_is_exact(actors: Actors) -> None:
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"pay.day_max_count": 7}},
    )
    card = await actors.card(10_000, programme=own)
    replies = await together(actors.pay(card, 1) for _ in range(60))
    assert sum(r["status"] == "captured" for r in replies) == 7


# One key, many times


@pytest.mark.row("P-19")
@pytest.mark.parametrize("rounds", [4, full(100)])
async def test_the_same_key_fifty_times_at_once_is_one_payment(
    actors: Actors, site: Site, rounds: int
) -> None:
    card = await actors.card(100_000)
    left = 100_000
    for _ in range(rounds):
        key = fresh_key()
        replies = await together(actors.pay(card, 900, key=key) for _ in range(50))
        left -= 900
        assert both(replies)
        assert {r.status for r in replies} == {201}
        assert len({r.body for r in replies}) == 1
        assert await actors.balance(card) == (left, left)
        with site.connect() as conn:
            count = conn.execute(
                "select count(*) from ledger.operation where key = %s", [f"pay/{key}"]
            ).fetchone()
        assert count == (1,)


async def test_the_same_key_of_a_card_nobody_knows(actors: Actors) -> None:
    """There is no card to lock; the key alone decides."""
    nobody = {"type": "card_number", "number": "1" * 19, "pin": "000000"}
    for _ in range(5):
        key = fresh_key()
        replies = await together(actors.pay(nobody, 900, key=key) for _ in range(50))
        assert {(r.status, r.body) for r in replies} == {(201, replies[0].body)}


@pytest.mark.parametrize("verb", ["void", "refunds", "reverse", "topup", "issue"])
async def test_the_same_key_of_any_verb(actors: Actors, verb: str) -> None:
    card = await actors.card(10_000)
    paid, key = await actors.paid(card, 4_000), fresh_key()

    def ask() -> Awaitable[Reply]:
        match verb:
            case "reverse":
                return actors.reverse(key=key, payment=paid["id"])
            case "topup":
                return actors.merchant.post("/v1/topups", actors.topup_body(card, 500), key=key)
            case "issue":
                wanted = {"programme": actors.world.bearer, "carrier": "electronic"}
                return actors.operator.post("/v1/cards", wanted, key=key)
            case _:
                return actors.act(paid, verb, key=key)

    replies = await together(ask() for _ in range(30))
    assert len({(r.status, r.body) for r in replies}) == 1
    assert replies[0].status in {200, 201}
    expected = {"topup": 6_500, "issue": 6_000}.get(verb, 10_000)
    assert (await actors.see(card))["balance"] == expected


async def test_one_key_with_two_bodies_is_one_of_them(actors: Actors) -> None:
    card, key = await actors.card(10_000), fresh_key()
    replies = await together(actors.pay(card, 100 + n % 2, key=key) for n in range(40))
    good = {r.body for r in replies if r.status == 201}
    assert len(good) == 1
    assert {r.code for r in replies if r.status != 201} == {"idempotency_key_reused"}
    assert (await actors.see(card))["balance"] in {9_900, 9_899}


# Undoing at once


def given_back(reply: Reply) -> int:
    """What an answer says has come back to the card."""
    if reply.status == 201 or (reply.status == 200 and "payment" in reply.json):
        amount: int = reply["amount"]
        return amount
    if reply.status == 200:
        approved: int = reply["approved_amount"]
        return approved
    assert (reply.status, reply.code) in {
        (409, "payment_state_forbids"),
        (409, "later_activity"),
        (422, "amount_exceeds_remaining"),
    }, repr(reply)
    return 0


@pytest.mark.row("P-19")
@pytest.mark.parametrize("originals", [60, full(1_000)])
async def test_void_refund_and_reversal_at_once_give_back_at_most_the_original(
    actors: Actors, originals: int
) -> None:
    load, amount = 10_000, 4_000
    seen: dict[int, int] = {}

    async def race() -> None:
        card, key = await actors.card(load), fresh_key()
        paid = await actors.paid(card, amount, key=key)
        racers = [
            actors.act(paid, "void"),
            actors.act(paid, "void"),
            actors.reverse(payment=paid["id"]),
            actors.reverse(idempotency_key=key),
            actors.act(paid, "refunds"),
            actors.act(paid, "refunds", amount=amount // 2),
            actors.act(paid, "refunds", amount=amount // 2),
            actors.act(paid, "refunds", amount=1),
        ]
        secrets.SystemRandom().shuffle(racers)
        total = sum(given_back(reply) for reply in await asyncio.gather(*racers))
        assert 0 < total <= amount
        seen[total] = seen.get(total, 0) + 1
        assert (await actors.see(card))["balance"] == load - amount + total

    await together((race() for _ in range(originals)), clients=8)
    assert sum(seen.values()) == originals


@pytest.mark.row("P-17", "P-19")
@pytest.mark.parametrize("pairs", [300, full(2_000)])
async def test_a_reversal_racing_its_original_nets_to_zero(actors: Actors, pairs: int) -> None:
    """Original first, reversal first, or both at once: always nothing in the end."""
    cards = [await actors.card(1_000) for _ in range(20)]
    outcomes: dict[tuple[str, str], int] = {}

    async def pair(n: int) -> None:
        card, key = cards[n % len(cards)], fresh_key()
        asks = [
            actors.pay(card, 10 + n % 7, key=key, capture=bool(n % 5)),
            actors.reverse(idempotency_key=key),
        ]
        if n % 2:
            asks.reverse()
        if n % 3 == 0:
            first, second = await asks[0], await asks[1]
        else:
            first, second = await asyncio.gather(*asks)
        paid, reversal = (second, first) if n % 2 else (first, second)
        assert (paid.status, reversal.status) == (201, 201), (paid, reversal)
        if reversal["status"] == "barred":
            assert paid["decline_code"] == "reversed_before"
        else:
            assert paid["status"] in {"captured", "authorized"}
            assert reversal["amount"] == paid["approved_amount"]
        name = paid["status"], reversal["status"]
        outcomes[name] = outcomes.get(name, 0) + 1

    await together((pair(n) for n in range(pairs)), clients=32)
    for card in cards:
        assert await actors.balance(card) == (1_000, 1_000)
    assert ("declined", "barred") in outcomes
    assert ("captured", "reversed") in outcomes


@pytest.mark.parametrize("known", [True, False])
async def test_an_original_that_comes_late_and_often_is_one_decline(
    actors: Actors, known: bool
) -> None:
    card = await actors.card(1_000)
    source = card.by_number if known else card.by_number | {"number": "1" * 19}
    for _ in range(10):
        key = fresh_key()
        await actors.reverse(idempotency_key=key)
        replies = await together(actors.pay(source, 10, key=key) for _ in range(20))
        assert {(r.status, r.body) for r in replies} == {(201, replies[0].body)}
        assert replies[0]["decline_code"] == "reversed_before"


# A card's life while it pays


@pytest.mark.row("P-15", "P-10")
async def test_after_a_freeze_was_answered_nothing_is_paid(actors: Actors) -> None:
    for _ in range(5):
        card = await actors.card(10_000)
        answered = asyncio.Event()

        async def paying(card: Card = card, answered: asyncio.Event = answered) -> int:
            spent = 0
            for _ in range(40):
                after = answered.is_set()
                reply = await actors.pay(card, 1)
                assert not (after and reply["status"] == "captured")
                spent += reply["approved_amount"]
            return spent

        async def freezing(card: Card = card, answered: asyncio.Event = answered) -> int:
            await actors.operator.made(f"/v1/cards/{card.id}/freeze", {"reason": "risk"})
            answered.set()
            return 0

        spent = sum(await asyncio.gather(*(paying() for _ in range(4)), freezing()))
        assert (await actors.see(card))["balance"] == 10_000 - spent


def possession(card: Card) -> dict[str, Any]:
    return {"type": "possession", "source": card.by_number}


@pytest.mark.row("P-02")
@pytest.mark.parametrize("rounds", [6, full(100)])
async def test_merging_both_ways_at_once_makes_no_money(actors: Actors, rounds: int) -> None:
    """The Starbucks race: transfers between two cards, and payments from both."""
    for _ in range(rounds):
        one, other = await actors.card(10_000), await actors.card(10_000)

        def merge(source: Card, into: Card) -> Awaitable[Reply]:
            return actors.operator.post(
                f"/v1/cards/{source.id}/merge", {"into": into.id, "claim": possession(source)}
            )

        asks = [merge(one, other) for _ in range(8)] + [merge(other, one) for _ in range(8)]
        asks += [actors.pay(one, 100) for _ in range(8)] + [
            actors.pay(other, 100) for _ in range(8)
        ]
        secrets.SystemRandom().shuffle(asks)
        replies = await asyncio.gather(*asks)
        assert {r.status for r in replies} <= {200, 201, 409, 422}, replies
        merged = [r for r in replies if r.status == 200]
        assert len(merged) == 1
        spent = sum(r["approved_amount"] for r in replies if r.status == 201)
        left = [(await actors.see(card))["balance"] for card in (one, other)]
        assert sum(left) == 20_000 - spent
        assert 0 in left


@pytest.mark.parametrize("rounds", [6, full(100)])
async def test_cash_is_paid_out_once(actors: Actors, rounds: int) -> None:
    payee, north = await actors.person(), actors.world.north
    for _ in range(rounds):
        card = await actors.card(5_000)
        body = {
            "claim": possession(card),
            "payee": payee,
            "store": north.id,
            "terminal": north.terminal,
            "cashier": north.cashier,
        }
        path = f"/v1/cards/{card.id}/cash-out"
        asks = [actors.operator.post(path, body) for _ in range(10)]
        asks += [actors.pay(card, 5_000) for _ in range(10)]
        secrets.SystemRandom().shuffle(asks)
        replies = await asyncio.gather(*asks)
        assert {r.status for r in replies} <= {200, 201, 409, 422}, replies
        out = sum(r["amount"] for r in replies if r.status == 200)
        spent = sum(r["approved_amount"] for r in replies if r.status == 201)
        assert out + spent == 5_000
        assert (await actors.see(card))["balance"] == 0


async def test_a_new_pin_ends_the_old_one_in_the_same_moment(actors: Actors) -> None:
    for _ in range(5):
        card = await actors.card(10_000)
        fresh = card.with_pin("738291046573")
        answered = asyncio.Event()

        async def paying(
            source: dict[str, Any], card: Card = card, answered: asyncio.Event = answered
        ) -> int:
            spent = 0
            for _ in range(20):
                after = answered.is_set()
                reply = await actors.pay(source, 1)
                assert not (after and reply["status"] == "captured")
                spent += reply["approved_amount"]
                if reply["status"] == "declined":
                    break  # more guesses would lock the card
            return spent

        async def changing(card: Card = card, answered: asyncio.Event = answered) -> int:
            body = {"old_pin": card.pin, "new_pin": "738291046573"}
            reply = await actors.operator.post(f"/v1/cards/{card.id}/pin", body)
            assert reply.status == 200, repr(reply)
            answered.set()
            return 0

        spent = sum(
            await asyncio.gather(paying(card.by_number), paying(card.by_number), changing())
        )
        assert (await actors.paid(fresh, 1))["balance_after"] == 10_000 - spent - 1
