"""What looks like theft becomes a case, once, and no payment waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kabao.base.db import fetch_value
from kabao.payments.model import Decline
from kabao.risk.model import ACTIONS
from kabao.risk.ops import Risk
from tests.app.world import World, all_told, made, world

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def watched(w: World) -> int:
    await all_told(w.kabao.db)
    return await w.kabao.risk.round()


async def cases(w: World, kind: str, who: str = "operator") -> list[dict[str, Any]]:
    listed = await made(w.by(who).get("/v1/cases", kind=kind))
    return list(listed["data"])


async def old_cards(w: World, count: int, fen: int = 5_000) -> list[dict[str, Any]]:
    """Cards that were loaded long ago."""
    programme = await w.programme()
    cards = [await w.card(programme, fen) for _ in range(count)]
    w.clock.advance(timedelta(hours=1))
    return cards


@pytest.mark.row("CR-91", "R-06")
async def test_three_cards_emptied_in_a_store_are_a_case(w: World) -> None:
    cards = await old_cards(w, 5)
    payments = []
    for card in cards[:2]:
        payments.append(await w.pay(card, 5_000))
        w.clock.advance(4 * MINUTE)
    await w.pay(cards[4], 4_000)
    assert await watched(w) == 0
    payments.append(await w.pay(cards[2], 4_800))
    assert await watched(w) == 1
    (case,) = await cases_of_drains(w)
    assert (case["subject"], case["company"], case["store"]) == (w.store, w.company, None)
    assert case["facts"] == {
        "rule": "CR-91",
        "cards": 3,
        "amount": 14_800,
        "first_at": "2026-11-22T11:00:00.000000+08:00",
        "last_at": "2026-11-22T11:08:00.000000+08:00",
        "payments": " ".join(paid["id"] for paid in payments),
    }
    w.clock.advance(9 * MINUTE)
    await w.pay(cards[3], 5_000)
    assert await watched(w) == 1
    (same,) = await cases_of_drains(w)
    assert (same["id"], same["occurrences"], same["facts"]) == (case["id"], 2, case["facts"])


async def cases_of_drains(w: World) -> list[dict[str, Any]]:
    return await cases(w, "risk.cards_drained")


@pytest.mark.row("CR-91")
async def test_not_in_two_stores_nor_when_it_was_undone(w: World) -> None:
    cards = await old_cards(w, 4)
    undone = await w.pay(cards[3], 5_000)
    assert await watched(w) == 0
    await made(w.merchant.post(f"/v1/payments/{undone['id']}/void"))
    assert await watched(w) == 0
    for card, store in zip(cards, [w.store, w.store, w.other_store], strict=False):
        await w.pay(card, 5_000, store=store)
    assert await watched(w) == 0
    assert await cases_of_drains(w) == []


@pytest.mark.row("CR-91", "R-06")
async def test_a_top_up_spent_at_once_is_a_case(w: World) -> None:
    card, slow = await old_cards(w, 2)
    loads = [await w.top_up(one["id"], 20_000) for one in (card, slow)]
    assert await watched(w) == 0
    w.clock.advance(9 * MINUTE)
    await w.pay(card, 12_000)
    paid = await w.pay(card, 8_000)
    assert await watched(w) == 1
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/void"))
    await w.pay(card, 8_000)
    await w.pay(slow, 19_999)
    w.clock.advance(MINUTE)
    await w.pay(slow, 1)
    assert await watched(w) == 0, "told once, and too late"
    (case,) = await cases(w, "risk.topup_spent")
    assert (case["subject"], case["company"], case["store"]) == (card["id"], w.company, None)
    assert case["facts"] == {
        "rule": "CR-91",
        "topup": loads[0]["id"],
        "payment": paid["id"],
        "store": w.store,
        "amount": 20_000,
        "seconds": 540,
    }
    assert await cases(w, "risk.topup_spent", "other-operator") == []
    opened, due = (datetime.fromisoformat(case[at]) for at in ("opened_at", "due_at"))
    assert due - opened == timedelta(hours=1)


@pytest.mark.row("R-06")
@pytest.mark.parametrize(("action", "opened"), [("watch", False), ("review", True)])
async def test_a_strange_payment_is_a_case_where_it_is_to_be_reviewed(
    w: World, action: str, opened: bool
) -> None:
    limits = {"risk.sudden.from_fen": 30_000, "risk.sudden.action": action}
    card = await w.card(await w.programme(limits=limits), 90_000)
    paid = await w.pay(card, 30_000)
    await w.pay(card, 29_999)
    await w.pay(card, 30_000)
    await watched(w)
    found = await cases(w, "risk.payment_flagged")
    assert len(found) == int(opened)
    for case in found:
        assert (case["subject"], case["occurrences"]) == (card["id"], 2)
        assert case["facts"] == {
            "rule": "R-06",
            "why": "sudden_large_amount",
            "payment": paid["id"],
            "store": w.store,
            "amount": 30_000,
        }


def test_the_actions_are_those_that_payments_flag() -> None:
    assert {Decline(why) for why in ACTIONS} == {
        Decline.TOO_MANY_IN_SHORT_TIME,
        Decline.SUDDEN_LARGE_AMOUNT,
    }


async def test_killed_in_the_middle_it_loses_none_and_doubles_none(w: World) -> None:
    """Two watch at once, and one is torn away while it opens the case."""
    cards = await old_cards(w, 4)
    for card in cards[:3]:
        await w.pay(card, 5_000)
    await all_told(w.kabao.db)
    with psycopg.connect(w.kabao.settings.database_url or "") as other:
        other.execute('lock table cases."case" in exclusive mode')
        torn = asyncio.create_task(w.kabao.risk.round())
        await waits_for_the_lock(w)
        async with asyncio.timeout(20):
            assert await another(w).round() == 0, "one watches at a time"
        torn.cancel()
        await asyncio.gather(torn, return_exceptions=True)
    assert await cases_of_drains(w) == []
    assert sum(await asyncio.gather(w.kabao.risk.round(), another(w).round())) == 1
    await w.pay(cards[3], 5_000)
    await all_told(w.kabao.db)
    assert sum(await asyncio.gather(another(w).round(), another(w).round())) == 1
    (case,) = await cases_of_drains(w)
    assert (case["facts"]["cards"], case["occurrences"]) == (3, 2)


def another(w: World) -> Risk:
    """The watch of another worker."""
    k = w.kabao
    return Risk(k.db, k.ledger, k.cards, k.org, k.cases, k.days)


async def waits_for_the_lock(w: World) -> None:
    """Until somebody waits for the table of cases."""
    for _ in range(3_000):
        async with w.kabao.db.read() as conn:
            if await fetch_value(
                conn,
                "select exists (select from pg_locks"
                " where not granted and relation = 'cases.\"case\"'::regclass)",
            ):
                return
    raise AssertionError("no case was to be opened")


async def test_it_remembers_minutes_and_no_more(w: World) -> None:
    cards = await old_cards(w, 3)
    for card in cards:
        await w.pay(card, 5_000)
    await watched(w)
    assert await remembered(w) == (3, 0, 1), "loads of an hour ago are forgotten"
    w.clock.advance(10 * MINUTE)
    await w.top_up(cards[0]["id"], 5_000)
    await watched(w)
    assert await remembered(w) == (3, 1, 1), "still looked at"
    w.clock.advance(11 * MINUTE + timedelta(seconds=1))
    await w.top_up(cards[0]["id"], 5_000)
    await watched(w)
    assert await remembered(w) == (0, 1, 0)


async def remembered(w: World) -> tuple[int, ...]:
    async with w.kabao.db.read() as conn:
        return tuple(
            [
                await fetch_value(conn, statement)
                for statement in (
                    "select count(*) from risk.emptied",
                    "select count(*) from risk.load",
                    "select count(*) from risk.alarm",
                )
            ]
        )
