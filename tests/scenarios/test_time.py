"""What time does: holds fall due, cards expire, locks open, windows close."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_asyncio

from kabao.base.clock import from_us
from kabao.base.db import Database
from tests.databases import Databases

from .clocked import START, Clocked, clocked
from .http import fresh_key
from .world import Card, programme

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="kabao-clocked-") as made:
        yield Path(made)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def platform(databases: Databases, folder: Path) -> AsyncIterator[Clocked]:
    """One for all tests: time goes on from each to the next."""
    with databases.copy() as url:
        db = Database(url)
        await db.open()
        async with clocked(db, folder) as made:
            yield made
        await db.close()


@pytest.fixture
def at(platform: Clocked) -> Clocked:
    """At 10:00 of a day that nobody has seen yet."""
    tomorrow = _now(platform).astimezone(START.tzinfo) + timedelta(days=1)
    platform.clock.advance(
        tomorrow.replace(hour=10, minute=0, second=0, microsecond=0) - _now(platform)
    )
    return platform


_moment = timedelta(microseconds=1)


def _now(at: Clocked) -> datetime:
    return from_us(at.clock.now_us())


def _today(at: Clocked) -> date:
    return _now(at).astimezone(START.tzinfo).date()


def _begin(day: date) -> datetime:
    """The first moment of a day in Shanghai."""
    return datetime(day.year, day.month, day.day, tzinfo=START.tzinfo)


def possession(card: Card) -> dict[str, Any]:
    return {"claim": {"type": "possession", "source": card.by_number}}


# Days


@pytest.mark.row("T-20", "C-01")
async def test_nothing_is_posted_into_a_closed_day(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(10_000)
    await actors.paid(card, 1)
    day = _today(at)
    at.later(hours=14)
    closed = await actors.operator.post("/v1/ledger/days/close", {"day": day.isoformat()})
    assert closed.status == 200, repr(closed)
    at.later(hours=-1)  # a clock that goes wrong: 23:00 of the day that is closed
    await actors.paid(card, 1)
    page = await actors.auditor.got("/v1/ledger/transfers", card=card.id)
    days = [date.fromisoformat(t["business_date"]) for t in page["data"]]
    assert days == [day + timedelta(days=1), day, day]


# Holds


@pytest.mark.row("P-06", "T-20")
async def test_a_hold_ends_by_itself_after_half_an_hour(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(10_000)
    hold, part = await actors.held(card, 6_000), await actors.held(card, 3_000)
    await actors.act(part, "capture", amount=1_000, final=False)
    at.later(minutes=30, microseconds=-1)
    await at.tick("payments.expire_holds")
    assert await actors.balance(card) == (9_000, 1_000)
    at.later(microseconds=1)
    # Over is over, whether or not the worker has come by.
    late = await actors.act(hold, "capture")
    assert (late.status, late.code, late["rule"]) == (422, "hold_expired", "P-06")
    assert await actors.balance(card) == (9_000, 1_000)
    await at.tick("payments.expire_holds")
    assert await actors.balance(card) == (9_000, 9_000)
    seen = [await actors.merchant.got(f"/v1/payments/{p['id']}") for p in (hold, part)]
    assert [(p["status"], p["captured_amount"]) for p in seen] == [
        ("expired", 0),
        ("captured", 1_000),
    ]
    await at.tick("payments.expire_holds")
    reversal = await actors.reverse(payment=hold["id"])
    assert (reversal.status, reversal["amount"]) == (201, 0)
    assert await actors.balance(card) == (9_000, 9_000)


async def test_a_programmes_own_time_for_holds(at: Clocked) -> None:
    actors = at.actors
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"hold.cart_minutes": 5}},
    )
    card = await actors.card(10_000, programme=own)
    await actors.held(card, 6_000)
    at.later(minutes=5)
    await at.tick("payments.expire_holds")
    assert await actors.balance(card) == (10_000, 10_000)


async def test_many_holds_fall_due_at_once(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(100_000)
    for _ in range(120):
        await actors.held(card, 500)
    at.later(minutes=31)
    await at.tick("payments.expire_holds")
    assert await actors.balance(card) == (100_000, 100_000)


# Windows


@pytest.mark.row("P-19")
async def test_a_payment_is_voided_the_same_business_day_only(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(10_000)
    # By a program: a cashier would need a supervisor after half an hour.
    early = await actors.paid(card, 1_000, cashier=None)
    late = await actors.paid(card, 2_000, cashier=None)
    held = await actors.held(card, 3_000, cashier=None)
    at.later(hours=14, microseconds=-1)  # the last moment of the day
    assert (await actors.act(early, "void")).status == 200
    at.later(microseconds=1)
    reply = await actors.act(late, "void")
    assert (reply.status, reply.code, reply["rule"]) == (422, "void_window_over", "MF-07")
    assert (await actors.act(late, "refunds")).status == 200
    # A hold is no sale yet: it may be given up on any day.
    assert (await actors.act(held, "void")).status == 200


async def test_a_programme_may_ask_for_the_same_shift(at: Clocked) -> None:
    actors, north = at.actors, at.actors.world.north
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"pay.void_window": "same_shift"}},
    )
    card = await actors.card(10_000, programme=own)
    first, second = await actors.paid(card, 1_000), await actors.paid(card, 1_000)
    assert (await actors.act(first, "void")).status == 200
    shifts = await actors.operator.got("/v1/shifts", cashier=north.cashier, open="true")
    await actors.operator.made(f"/v1/shifts/{shifts['data'][0]['id']}/close", {"cash": 0})
    reply = await actors.act(second, "void")
    assert (reply.status, reply.code) == (422, "void_window_over")
    await actors.operator.made("/v1/shifts", {"cashier": north.cashier, "terminal": north.terminal})
    assert (await actors.act(second, "void")).code == "void_window_over"


@pytest.mark.parametrize(("days", "status"), [(364, 200), (365, 200), (366, 422)])
async def test_a_payment_is_refunded_for_a_year(at: Clocked, days: int, status: int) -> None:
    actors = at.actors
    card = await actors.card(10_000)
    paid = await actors.paid(card, 1_000)
    at.later(days=days)
    reply = await actors.act(paid, "refunds", amount=1)
    assert reply.status == status
    if status == 422:
        assert (reply.code, reply["rule"]) == ("refund_window_over", "MF-07")


# Counting


@pytest.mark.row("R-06")
async def test_limits_of_a_day_begin_anew(at: Clocked) -> None:
    actors = at.actors
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"pay.day_max_count": 2, "pay.day_max_fen": 1_000}},
    )
    card, other = [await actors.card(10_000, programme=own) for _ in range(2)]
    for _ in range(2):
        await actors.paid(card, 1)
    await actors.paid(other, 1_000)
    assert (await actors.pay(card, 1))["decline_code"] == "over_day_count"
    assert (await actors.pay(other, 1))["decline_code"] == "over_day_sum"
    at.later(hours=14, microseconds=-1)
    assert (await actors.pay(card, 1))["decline_code"] == "over_day_count"
    at.later(microseconds=1)
    await actors.paid(card, 1)
    await actors.paid(other, 1_000)


@pytest.mark.row("R-06", "R-03")
async def test_consecutive_payments_are_counted_in_a_window(at: Clocked) -> None:
    actors = at.actors
    own = await programme(
        actors.operator,
        actors.world.founded.group,
        terms={"limits": {"risk.burst.from_count": 3, "risk.burst.action": "decline"}},
    )
    card = await actors.card(10_000, programme=own)
    await actors.paid(card, 1)
    at.later(minutes=9)
    await actors.paid(card, 1)
    at.later(minutes=1, microseconds=-1)
    assert (await actors.pay(card, 1))["decline_code"] == "too_many_in_short_time"
    at.later(microseconds=1)
    await actors.paid(card, 1)


@pytest.mark.row("R-01", "B-09")
async def test_a_locked_pin_opens_after_a_day(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(1_000)
    for _ in range(3):
        await actors.pay(card.guessed, 1)
    at.later(hours=24, microseconds=-1)
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"
    at.later(microseconds=1)
    # Three new tries, not one more.
    for _ in range(2):
        await actors.pay(card.guessed, 1)
    await actors.paid(card, 1)


# Cards


@pytest.mark.row("P-18", "CR-13", "P-10")
async def test_an_expired_card_is_told_and_exchanged_with_its_value(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(1_000)
    today = _today(at)
    last = date.fromisoformat((await actors.see(card))["expires_on"])
    assert last == today.replace(year=today.year + 3)
    at.clock.advance(_begin(last + timedelta(days=1)) - _now(at) - _moment)
    await actors.paid(card, 1)
    at.clock.advance(_moment)
    # From the first moment, whether or not the worker has come by.
    for _ in range(2):
        told = await actors.pay(card, 1)
        assert (told["decline_code"], told["rule"], told["balance_after"]) == (
            "card_expired",
            "P-18",
            999,
        )
        assert (await actors.pay(card.guessed, 1))["decline_code"] == "card_not_accepted"
        asked = await actors.inquire(card)
        assert (asked["card_status"], asked["balance"]) == ("expired", 999)
        await at.tick("cards.expire")
    issued = await actors.operator.made(
        f"/v1/cards/{card.id}/exchange", possession(card) | {"carrier": "electronic"}
    )
    fresh = actors.keep(issued)
    assert issued["expires_on"] == _today(at).replace(year=_today(at).year + 3).isoformat()
    assert (await actors.paid(fresh, 999))["balance_after"] == 0
    assert (await actors.pay(card, 1))["decline_code"] == "card_not_accepted"


@pytest.mark.row("P-15")
async def test_a_loss_report_on_a_bearer_card_runs_out(at: Clocked) -> None:
    """Ruling 3: 72 hours, so that a reseller cannot lock out the buyer."""
    actors = at.actors
    card = await actors.card(1_000)
    await actors.operator.made(
        f"/v1/cards/{card.id}/report-loss",
        {"claim": {"type": "purchase", "reference": "receipt-1"}},
    )
    assert (await actors.pay(card, 1))["decline_code"] == "card_lost"
    at.later(hours=72, microseconds=-1)
    await at.tick("cards.lapse_losses")
    assert (await actors.pay(card, 1))["decline_code"] == "card_lost"
    at.later(microseconds=1)
    await at.tick("cards.lapse_losses")
    await actors.paid(card, 1)


async def test_secrets_of_a_new_card_are_shown_for_a_day(at: Clocked) -> None:
    actors = at.actors
    body, key = {"programme": actors.world.bearer, "carrier": "electronic"}, fresh_key()
    first = await actors.operator.post("/v1/cards", body, key=key)
    at.later(hours=24, microseconds=-1)
    assert (await actors.operator.post("/v1/cards", body, key=key)).body == first.body
    at.later(microseconds=1)
    gone = await actors.operator.post("/v1/cards", body, key=key)
    assert (gone.status, gone.code) == (409, "secret_already_shown")
    await at.tick("web.purge_secrets")
    gone = await actors.operator.post("/v1/cards", body, key=key)
    assert gone.code == "secret_already_shown"


@pytest.mark.row("CR-13")
async def test_a_registered_card_never_expires(at: Clocked) -> None:
    actors = at.actors
    card = await actors.card(1_000, programme=actors.world.registered, holder=await actors.person())
    at.later(days=365 * 30)
    await at.tick("cards.expire")
    await actors.paid(card, 1)
