"""`GET /v1/events`: everything again, from any point, and nothing that is not the caller's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base import outbox
from kabao.base.outbox import Pending
from kabao.base.web.pages import cursor_at, position
from tests.app.world import World, all_told, made, world


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


async def pages(w: World, who: str = "merchant", **query: Any) -> list[dict[str, Any]]:
    """All events, page by page."""
    await all_told(w.kabao.db)
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        more = query if cursor is None else {**query, "cursor": cursor, "since": None}
        more = {name: value for name, value in more.items() if value is not None}
        page = await made(w.by(who).get("/v1/events", **more))
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def stories(w: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two cards with five events each: made, loaded, to be invoiced, paid with twice."""
    programme = await w.programme()
    cards = [await w.card(programme, 10_000) for _ in range(2)]
    for card in cards:
        for fen in (1, 2):
            await w.pay(card, fen)
    return cards[0], cards[1]


@pytest.mark.row("T-19")
@pytest.mark.parametrize("limit", [1, 3, 200])
async def test_everything_once_and_in_order_however_it_is_paged(w: World, limit: int) -> None:
    await stories(w)
    found = await pages(w, "operator", limit=limit)
    assert len(found) == len({event["id"] for event in found}) == 10
    streams: dict[str, list[int]] = {}
    for event in found:
        streams.setdefault(event["stream"], []).append(event["sequence"])
    assert list(streams.values()) == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.row("T-19")
async def test_a_reader_goes_on_where_it_was(w: World) -> None:
    card, _ = await stories(w)
    await all_told(w.kabao.db)
    first = await made(w.operator.get("/v1/events"))
    assert (len(first["data"]), first["next_cursor"]) == (10, None)
    await w.pay(card, 3)
    await all_told(w.kabao.db)
    later = await made(w.operator.get("/v1/events", cursor=first["cursor"]))
    assert [event["data"]["amount"] for event in later["data"]] == [3]
    again = await made(w.operator.get("/v1/events", cursor=later["cursor"]))
    assert (again["data"], again["cursor"]) == ([], later["cursor"])


async def test_by_type_and_by_card_and_by_moment(w: World) -> None:
    card, other = await stories(w)
    kinds = [event["type"] for event in await pages(w, "operator", type="payment.*")]
    assert kinds == ["payment.captured"] * 4
    assert len(await pages(w, "operator", type="topup.confirmed")) == 2
    told = await pages(w, "operator", card=card["id"], limit=1)
    assert [event["sequence"] for event in told] == [0, 1, 2, 3, 4]
    assert {event["data"].get("card", card["id"]) for event in told} == {card["id"]}
    w.clock.advance(timedelta(minutes=5))
    since = "2026-11-22T10:05:00+08:00"
    await w.pay(other, 9)
    late = await pages(w, "operator", since=since)
    assert [event["data"]["amount"] for event in late] == [9]


@pytest.mark.row("T-19")
async def test_a_key_is_told_what_it_may_see(w: World) -> None:
    card, _ = await stories(w)
    told = await pages(w, "operator")
    no_cards = [event["id"] for event in told if not event["type"].startswith("card.")]
    assert [event["id"] for event in await pages(w, "visiting-merchant")] == no_cards
    assert await pages(w, "other-auditor") == []
    refused = await w.by("other-auditor").get("/v1/events", card=card["id"])
    unknown = await w.by("other-auditor").get("/v1/events", card=f"card_{'0' * 32}")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert unknown.json()["detail"] == refused.json()["detail"]


async def test_a_store_is_told_of_its_payments_and_of_what_went_back(w: World) -> None:
    """Its company redeems the group's cards, and has issued none."""
    card = await w.card(await w.programme(), 10_000)
    paid = await w.pay(card, 500, store=w.other_store)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 200}))
    told = await pages(w, "other-operator")
    assert [event["type"] for event in told] == ["payment.captured", "payment.refunded"]
    assert [event["data"]["store"] for event in told] == [w.other_store] * 2


async def test_old_events_are_not_at_hand(w: World) -> None:
    await stories(w)
    w.clock.advance(timedelta(days=90) - timedelta(seconds=1))
    assert len(await pages(w, "operator")) == 10
    w.clock.advance(timedelta(seconds=2))
    assert await pages(w, "operator") == []


async def test_a_page_may_be_empty_and_not_the_last(w: World) -> None:
    """Of one card it is not: nothing is looked at from before it was made."""
    await others(w, 5_001)
    w.clock.advance(timedelta(hours=2))
    card, _ = await stories(w)
    await all_told(w.kabao.db)
    first = await made(w.operator.get("/v1/events", type="payment.captured"))
    assert first["data"] == [] and first["next_cursor"] == first["cursor"]
    assert len(await pages(w, "operator", type="payment.captured")) == 4
    of_card = await made(w.operator.get("/v1/events", card=card["id"]))
    assert (len(of_card["data"]), of_card["next_cursor"]) == (5, None)


async def others(w: World, count: int) -> None:
    """Events that are nobody's."""
    async with w.kabao.db.transaction() as conn:
        idle = [Pending("day.closed", {})] * count
        await outbox.write(conn, idle, w.clock.now_us())


async def test_a_cursor_of_another_database_is_refused(w: World) -> None:
    """One ahead of everything, as after a restore, would hide what happens until then."""
    await stories(w)
    await all_told(w.kabao.db)
    here = (await made(w.operator.get("/v1/events")))["cursor"]
    xid, n = position(here, tuple[int, int]) or (0, 0)
    for place in ((2**63 - 1, 0), (xid + 1_000_000, n), (-1, 0), (xid, -1), (xid, "0")):
        refused = await w.operator.get("/v1/events", cursor=cursor_at(place))
        assert (refused.status_code, refused.json()["code"]) == (400, "malformed"), place
    for early in ((0, 0), (xid, 0)):
        assert (await w.operator.get("/v1/events", cursor=cursor_at(early))).is_success


async def test_what_cannot_be_asked(w: World) -> None:
    page = await made(w.operator.get("/v1/events"))
    both = {"cursor": page["cursor"], "since": "2026-11-22T10:05:00+08:00"}
    for query in (both, {"type": "payment"}, {"limit": 201}):
        assert (await w.operator.get("/v1/events", **query)).json()["code"] == "invalid"
    broken = await w.operator.get("/v1/events", cursor="AAAA")
    assert broken.json()["code"] == "malformed"
