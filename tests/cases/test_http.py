"""Cases through the door: who sees them, and what people do about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.base.db import fetch_value
from kabao.base.ids import from_edge
from kabao.cases.model import NewCase
from tests.app.world import World, made, world

VERBS = ["cases:read", "cases:write"]
NOBODYS = f"case_{'0' * 32}"


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


def new(w: World, key: str = "k", **more: Any) -> NewCase:
    usual = {
        "kind": "funding.wrong_amount",
        "subject": "fund_01",
        "company": from_edge("com", w.company),
        "store": from_edge("sto", w.store),
        "facts": {"expected": 1000, "paid": 999},
        "key": key,
    }
    return NewCase(**(usual | more))


async def opened(w: World, key: str = "k", **more: Any) -> str:
    async with w.kabao.db.transaction() as conn:
        return f"case_{await w.kabao.cases.open_in(conn, new(w, key, **more))}"


async def key_of(w: World, name: str, **grant: Any) -> None:
    """A key that the admin asks for and the approver agrees to."""
    body = {"name": name, "reason": "for a test", "grant": {"verbs": VERBS, **grant}}
    asked = await made(w.by("admin").post("/v1/api-keys", body))
    if asked["approval"] is not None:
        await made(w.approve(asked["approval"]))
    w.keys[name] = asked["token"]


@pytest.mark.row("S-17")
async def test_a_case_from_first_to_last(w: World) -> None:
    case = await opened(w)
    shown = await made(w.operator.get(f"/v1/cases/{case}"))
    assert (shown["status"], shown["occurrences"], shown["overdue"]) == ("open", 1, False)
    assert shown["due_at"] == "2026-11-22T10:08:00.000000+08:00"
    assert shown["facts"] == {"expected": 1000, "paid": 999}
    w.clock.advance(timedelta(minutes=8, seconds=1))
    assert [c["id"] for c in (await made(w.operator.get("/v1/cases", overdue=True)))["data"]] == [
        case
    ]
    taken = await made(w.operator.post(f"/v1/cases/{case}/take"))
    assert (taken["status"], taken["taken_by"]) == ("taken", "operator")
    assert (await made(w.operator.get("/v1/cases", overdue=True)))["data"] == []
    noted = await made(w.operator.post(f"/v1/cases/{case}/notes", {"text": "asked the bank"}))
    assert [note["text"] for note in noted["notes"]] == ["asked the bank"]
    done = await made(w.operator.post(f"/v1/cases/{case}/resolve", {"outcome": "paid back"}))
    assert (done["status"], done["outcome"], done["resolved_by"]) == (
        "resolved",
        "paid back",
        "operator",
    )
    for verb, body in (("take", {}), ("resolve", {"outcome": "x"})):
        again = await w.operator.post(f"/v1/cases/{case}/{verb}", body)
        assert (again.status_code, again.json()["code"]) == (409, "case_resolved")
    after = await made(w.operator.post(f"/v1/cases/{case}/notes", {"text": "filed"}))
    assert len(after["notes"]) == 2


async def test_the_same_thing_is_one_case(w: World) -> None:
    first = await opened(w)
    again = await asyncio.gather(*(opened(w) for _ in range(5)))
    assert set(again) == {first}
    other = await opened(w, kind="funding.forged")
    assert other != first
    assert (await made(w.operator.get(f"/v1/cases/{first}")))["occurrences"] == 6
    async with w.kabao.db.read() as conn:
        told = await fetch_value(
            conn, "select count(*) from base.outbox where type = 'case.opened'"
        )
    assert told == 2


async def test_what_happens_again_after_it_is_resolved_is_counted_only(w: World) -> None:
    case = await opened(w)
    await made(w.operator.post(f"/v1/cases/{case}/resolve", {"outcome": "done"}))
    assert await opened(w) == case
    shown = await made(w.operator.get(f"/v1/cases/{case}"))
    assert (shown["status"], shown["occurrences"]) == ("resolved", 2)


async def test_somebody_elses_case_is_taken_over_on_purpose(w: World) -> None:
    case = await opened(w)
    await made(w.operator.post(f"/v1/cases/{case}/take"))
    other = w.by("call-centre")
    for verb, body in (("take", {}), ("resolve", {"outcome": "x"})):
        refused = await other.post(f"/v1/cases/{case}/{verb}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "case_taken")
    taken = await made(other.post(f"/v1/cases/{case}/take", {"take_over": True}))
    assert taken["taken_by"] == "call-centre"
    assert [note["text"] for note in taken["notes"]] == ["Taken over from operator."]


async def test_a_store_sees_its_own_cases_and_none_of_the_companys(w: World) -> None:
    far = from_edge("sto", w.other_store)
    await key_of(w, "shop", stores=[w.store])
    await key_of(w, "far", companies=None, stores=[w.other_store])
    of_store = await opened(w)
    of_company = await opened(w, "2", store=None)
    of_other = await opened(w, "3", company=from_edge("com", w.other), store=far)

    async def seen(who: str) -> set[str]:
        found = (await made(w.by(who).get("/v1/cases")))["data"]
        return {case["id"] for case in found}

    assert await seen("operator") == {of_store, of_company, of_other}
    assert await seen("own-operator") == {of_store, of_company}
    assert await seen("other-operator") == {of_other}
    assert await seen("shop") == {of_store}
    assert await seen("far") == {of_other}
    unseen = (("shop", of_company), ("shop", of_other), ("far", of_store), ("shop", NOBODYS))
    for who, case in unseen:
        calls = [
            await w.by(who).get(f"/v1/cases/{case}"),
            await w.by(who).post(f"/v1/cases/{case}/take"),
            await w.by(who).post(f"/v1/cases/{case}/notes", {"text": "x"}),
            await w.by(who).post(f"/v1/cases/{case}/resolve", {"outcome": "x"}),
        ]
        assert {(call.status_code, call.json()["code"]) for call in calls} == {(404, "not_found")}


async def test_lists_are_filtered_and_come_in_pages(w: World) -> None:
    cases = [await opened(w, str(n), subject=f"fund_{n % 2:02d}") for n in range(5)]
    await opened(w, kind="cash.difference", subject="shf_01")
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = await made(w.operator.get("/v1/cases", kind="funding.wrong_amount", limit=2, **more))
        found += [case["id"] for case in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == cases[::-1]
    page = await made(w.operator.get("/v1/cases", subject="fund_01", status="open"))
    assert [case["id"] for case in page["data"]] == [cases[3], cases[1]]
    refused = await w.operator.get("/v1/cases", limit=201)
    assert refused.json()["code"] == "invalid"
