"""Kiosks through their routes: each event once, each note on a card once (T-03)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from kabao.audit.ops import audit
from kabao.topups.model.bonus import Terms
from tests.app.world import World, made, world
from tests.audit.books import failing

AT = "2026-11-22T10:00:00+08:00"


class Booth:
    """A kiosk, a card, and a visit."""

    def __init__(self, w: World) -> None:
        self.w, self.sequence = w, 0

    async def open(self, loaded_fen: int = 0) -> Booth:
        w = self.w
        body = {"store": w.store, "model": "K1", "kind": "kiosk"}
        self.terminal = (await made(w.operator.post("/v1/terminals", body)))["id"]
        self.card = await w.card(await w.programme(), loaded_fen)
        self.visit = await made(self.begin())
        self.base = f"/v1/kiosk-sessions/{self.visit['id']}"
        return self

    async def begin(self, **wrong: str) -> httpx.Response:
        card = self.card
        source = {"type": "card_number", "number": card["number"], "pin": card["pin"]} | wrong
        body = {"terminal": self.terminal, "source": source}
        return await self.w.merchant.post("/v1/kiosk-sessions", body)

    def event(self, kind: str, value: int | None = None, **more: Any) -> dict[str, Any]:
        self.sequence += 1
        event: dict[str, Any] = {"sequence": self.sequence, "type": kind, "occurred_at": AT}
        if value is not None:
            event |= {"value": value, "session": self.visit["id"]}
        return event | more

    async def report(self, *events: dict[str, Any]) -> httpx.Response:
        body = {"terminal": self.terminal, "events": list(events)}
        return await self.w.merchant.post("/v1/kiosk-events", body)

    async def finish(self, fen: int, key: str | None = None) -> httpx.Response:
        return await self.w.merchant.post(f"{self.base}/finish", {"amount": fen}, key)

    async def credit(self, **more: Any) -> httpx.Response:
        return await self.w.operator.post(f"{self.base}/credit", {"reason": "x"} | more)

    async def see(self) -> dict[str, Any]:
        return await made(self.w.merchant.get(self.base))

    async def balance(self) -> int:
        shown = await made(self.w.operator.get(f"/v1/cards/{self.card['id']}"))
        return int(shown["balance"])

    async def cases(self) -> list[tuple[str, str]]:
        found = await made(self.w.operator.get("/v1/cases"))
        return [(case["kind"], case["subject"]) for case in found["data"]]


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


@pytest.fixture
async def booth(w: World) -> Booth:
    return await Booth(w).open()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.row("T-03")
async def test_notes_are_reported_and_loaded_once(booth: Booth) -> None:
    assert booth.visit["most"] == 100_000
    notes = [booth.event("accepted", 5_000), booth.event("stacked", 5_000)]
    notes += [booth.event("accepted", 2_000), booth.event("rejected", 2_000)]
    first = await booth.report(*notes)
    assert (first.status_code, first.json()) == (200, {"next_sequence": 5})
    for again in (notes, notes[2:], [*notes, booth.event("jam")]):
        assert (await booth.report(*again)).status_code == 200, "known already"
    assert code_of(await booth.finish(4_999)) == (409, "notes_differ")
    done = await booth.finish(5_000, "once")
    assert done.json()["amount"] == 5_000
    assert (await booth.finish(5_000, "once")).json() == done.json()
    assert code_of(await booth.finish(5_000)) == (422, "nothing_left")
    seen = await booth.see()
    assert (seen["status"], seen["stacked"], seen["rest"]) == ("finished", 5_000, 0)
    assert [one["topup"] for one in seen["credits"]] == [done.json()["topup"]]
    topup = await made(booth.w.merchant.get(f"/v1/topups/{done.json()['topup']}"))
    assert (topup["terminal"], topup["channel"]) == (booth.terminal, "cash")
    assert await booth.balance() == 5_000
    assert await booth.cases() == []


@pytest.mark.row("T-03")
async def test_events_come_without_gaps_and_never_change(booth: Booth) -> None:
    one, two, three = (booth.event("stacked", 100) for _ in range(3))
    early = await booth.report(two, three)
    assert code_of(early) == (409, "events_missing")
    assert "1" in early.json()["detail"]
    assert code_of(await booth.report(one, three)) == (409, "events_missing")
    assert (await booth.see())["stacked"] == 0, "all of a report or nothing"
    assert (await booth.report(one, two)).status_code == 200
    changed = await booth.report(two | {"value": 10_000}, three)
    assert code_of(changed) == (409, "event_differs")
    assert (await booth.see())["stacked"] == 200
    twice = await booth.report(three, three | {"value": 10_000})
    assert code_of(twice) == (409, "event_differs"), "two notes of one number in one report"
    for wrong in ({"value": 300}, {"type": "jam"}, {"session": "x"}, {"type": "x"}):
        assert (await booth.report(three | wrong)).status_code == 422
    assert (await booth.report(three)).json() == {"next_sequence": 4}


@pytest.mark.row("T-03")
async def test_one_report_at_two_processes_is_one_effect(booth: Booth) -> None:
    notes = [booth.event("stacked", 1_000) for _ in range(10)]
    answers = await asyncio.gather(*(booth.report(*notes) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await booth.see())["stacked"] == 10_000
    done = await asyncio.gather(*(booth.finish(10_000) for _ in range(8)))
    assert sorted(answer.status_code for answer in done) == [200] + [422] * 7
    assert await booth.balance() == 10_000


@pytest.mark.row("T-03")
async def test_what_a_dead_machine_took_is_credited_by_a_person_once(
    booth: Booth, w: World
) -> None:
    assert (await booth.report(booth.event("stacked", 10_000))).status_code == 200
    w.clock.advance(timedelta(minutes=10))
    assert await w.kabao.kiosks.leave_idle() == 0
    w.clock.advance(timedelta(seconds=1))
    assert await w.kabao.kiosks.leave_idle() == 1
    assert await booth.cases() == [("kiosk.not_credited", booth.visit["id"])]
    # It wakes up and finishes: the customer may have been paid at the counter since.
    assert code_of(await booth.finish(10_000)) == (422, "visit_left")
    assert await booth.balance() == 0
    both = await asyncio.gather(booth.finish(10_000), booth.credit(), booth.credit())
    assert code_of(both[0]) == (422, "visit_left")
    assert sorted(answer.status_code for answer in both) == [200, 422, 422]
    assert await booth.balance() == 10_000
    log = await made(w.auditor.get("/v1/audit-log", verb="kiosks:credit"))
    assert len(log["data"]) == 1
    assert (await booth.report(booth.event("stacked", 500))).status_code == 200
    seen = await booth.see()
    assert (seen["status"], seen["rest"]) == ("left", 500), "a note that came to light late"
    other = await w.card(await w.programme())
    assert (await booth.credit(card=other["id"])).json()["amount"] == 500
    assert (await booth.see())["status"] == "finished"
    assert await booth.balance() == 10_000
    by_machine = await w.merchant.post(f"{booth.base}/credit", {"reason": "x"})
    assert by_machine.status_code == 403, "no machine credits what it lost itself"


@pytest.mark.row("T-03")
async def test_the_next_customer_ends_the_visit_before(booth: Booth) -> None:
    assert (await booth.report(booth.event("stacked", 100))).status_code == 200
    first = booth.visit["id"]
    booth.visit = await made(booth.begin())
    assert await booth.cases() == [("kiosk.not_credited", first)]
    stray = booth.event("stacked", 100) | {"session": f"kss_{'0' * 32}"}
    assert (await booth.report(stray)).status_code == 200
    assert ("kiosk.stray_note", booth.terminal) in await booth.cases()


@pytest.mark.row("T-03")
async def test_what_a_card_cannot_take_is_not_inserted(w: World) -> None:
    booth = await Booth(w).open(90_000)
    assert booth.visit["most"] == 10_000
    assert code_of(await booth.begin(pin="000000")) == (422, "secret_not_accepted")
    full = await Booth(w).open(100_000)
    assert full.visit["most"] == 0
    till = {"store": w.store, "model": "A920"}
    booth.terminal = (await made(w.operator.post("/v1/terminals", till)))["id"]
    assert code_of(await booth.begin()) == (422, "not_a_kiosk")
    assert code_of(await booth.report(booth.event("jam"))) == (422, "not_a_kiosk")


@pytest.mark.row("T-03")
async def test_a_blocked_machine_takes_nobody_s_notes_and_still_tells_of_those_it_has(
    booth: Booth, w: World
) -> None:
    await made(w.operator.post(f"/v1/terminals/{booth.terminal}/block"))
    assert code_of(await booth.begin()) == (422, "terminal_not_active")
    assert (await booth.report(booth.event("stacked", 500))).status_code == 200
    assert (await booth.finish(500)).status_code == 200


@pytest.mark.row("T-03", "A-11")
async def test_what_is_given_on_top_must_fit_on_the_card_too(booth: Booth, w: World) -> None:
    """A tenth is given; whatever the machine takes up to `most` can be loaded."""
    programme = (await made(w.operator.get(f"/v1/cards/{booth.card['id']}")))["programme"]
    terms = Terms(
        name="满十送一",
        from_fen=10_000,
        give_bp=1_000,
        starts_on=date(2026, 11, 1),
        ends_on=date(2026, 11, 30),
        budget_fen=1_000_000,
    )
    async with w.kabao.db.transaction() as conn:
        await w.kabao.topups.bonuses.add(conn, programme.removeprefix("prg_"), terms, "0" * 32)
    booth.visit = await made(booth.begin())
    booth.base = f"/v1/kiosk-sessions/{booth.visit['id']}"
    assert booth.visit["most"] == 90_000
    await booth.report(*(booth.event("stacked", 10_000) for _ in range(9)))
    assert (await booth.finish(90_000)).status_code == 200
    assert await booth.balance() == 99_000


@pytest.mark.row("T-03")
async def test_a_box_is_counted_once_after_it_was_taken_out(booth: Booth, w: World) -> None:
    await booth.report(booth.event("stacked", 500), booth.event("stacked", 100))
    kiosk = await made(w.merchant.get(f"/v1/kiosks/{booth.terminal}"))
    assert kiosk["notes"] == [{"value": 100, "count": 1}, {"value": 500, "count": 1}]
    assert (kiosk["amount"], kiosk["next_sequence"]) == (600, 3)
    path = f"/v1/kiosk-boxes/{kiosk['box']}/count"
    pieces = {"pieces": [{"value": 500, "count": 1}]}
    assert code_of(await w.operator.post(path, pieces)) == (409, "box_in_use")
    out = [booth.event("cassette_full"), booth.event("cassette_removed")]
    await booth.report(*out, booth.event("cassette_inserted"), booth.event("stacked", 1_000))
    for wrong in ([{"value": 300, "count": 1}], [{"value": 500, "count": 1}] * 2):
        assert (await w.operator.post(path, {"pieces": wrong})).status_code == 422
    counted = await made(w.operator.post(path, pieces))
    assert (counted["expected"], counted["counted"], counted["difference"]) == (600, 500, -100)
    assert counted["differs"] == [{"value": 100, "reported": 1, "found": 0}]
    assert ("kiosk.box_differs", kiosk["box"]) in await booth.cases()
    assert code_of(await w.operator.post(path, pieces)) == (409, "box_counted")
    boxes = (await made(w.merchant.get("/v1/kiosk-boxes", terminal=booth.terminal)))["data"]
    assert [box["removed_at"] is None for box in boxes] == [True, False]


RUINS = {
    "a note forgotten": (
        "delete from kiosks.event where sequence = 1",
        "says 600 fen, its notes are 100",
    ),
    "more on the card": (
        "update kiosks.session set credited_fen = 500",
        "says 500 fen credited, its credits are 600",
    ),
    "a credit removed": ("delete from kiosks.credit", "a top-up that no credit explains"),
    "a number skipped": (
        "update kiosks.kiosk set next_sequence = 9",
        "knows 3 events, and waits for 9",
    ),
    "a box made smaller": (
        "update kiosks.box set expected_fen = 599",
        "expected 599 fen, its notes are 600",
    ),
}


@pytest.mark.row("T-03")
@pytest.mark.parametrize("ruin", RUINS)
async def test_the_audit_finds_a_kiosk_that_does_not_add_up(
    booth: Booth, w: World, database_url: str, ruin: str
) -> None:
    await booth.report(booth.event("stacked", 500), booth.event("stacked", 100))
    assert (await booth.finish(600)).status_code == 200
    kiosk = await made(w.merchant.get(f"/v1/kiosks/{booth.terminal}"))
    await booth.report(booth.event("cassette_removed"))
    pieces = {"pieces": [{"value": 500, "count": 1}, {"value": 100, "count": 1}]}
    await made(w.operator.post(f"/v1/kiosk-boxes/{kiosk['box']}/count", pieces))
    assert (await audit(database_url)).holds
    statement, named = RUINS[ruin]
    with psycopg.connect(database_url, autocommit=True) as conn:
        assert conn.execute(statement.encode()).rowcount > 0
    found = failing(await audit(database_url))
    assert any(named in each for each in found["I-3"]), found
