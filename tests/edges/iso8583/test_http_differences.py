"""A till that differs from the books keeps its store's day open until two people looked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kabao.access.model.verbs import VERBS
from kabao.app.pos import add_pos_jobs
from kabao.base.clock import now
from kabao.base.ids import from_edge
from kabao.base.jobs import Jobs
from kabao.edges.iso8583 import sql_batches
from kabao.edges.iso8583.sql_batches import DifferenceRow
from tests.scenarios.world import scoped_key

from .conftest import Pos
from .test_after import elsewhere
from .till import Till

WHY = {"reason": "the slip was looked at"}


async def differing(pos: Pos) -> tuple[Till, list[dict[str, Any]]]:
    """A settled batch with a message that only the host has, and its difference."""
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 30, trace="000001")).code == "00"
    assert (await till.buy(card, 70, trace="000002")).code == "00"
    till.debit[0] -= 70
    assert (await till.settle()).code == "95"
    return till, await uploaded(pos, till)


async def uploaded(pos: Pos, till: Till) -> list[dict[str, Any]]:
    await till.upload([(-1, "000001", 30)])
    assert (await till.end_upload()).code == "00"
    return await listed(pos)


async def listed(pos: Pos, **by: str) -> list[dict[str, Any]]:
    return list((await pos.actors.auditor.got("/v1/pos-differences", **by))["data"])


async def ask(pos: Pos, difference: str, **more: Any) -> Any:
    return await pos.actors.operator.made(
        f"/v1/pos-differences/{difference}/resolutions", WHY | more
    )


async def agree(pos: Pos, approval: Any) -> Any:
    return await pos.actors.approver.post(f"/v1/approvals/{approval['id']}/approve", {})


async def day_after(pos: Pos) -> str:
    """The window of the day is cut and figured, the day is over: what is its state, and why."""
    day = pos.kabao.days.of(pos.at.clock.now_us())
    over = pos.kabao.days.start(day + timedelta(days=1)) + timedelta(hours=2, minutes=1)
    pos.at.clock.advance(over - now(pos.at.clock))
    await pos.kabao.merchants.refresh()
    await pos.kabao.clearing.tick()
    await pos.kabao.clearing.tick()
    return day.isoformat()


async def stands(pos: Pos, day: str) -> tuple[str, list[tuple[str, str, str, int]], set[str]]:
    """The day's state, what keeps it open, and the states of the northern store's settlements."""
    shown = await pos.actors.auditor.got(f"/v1/clearing-days/{day}")
    parts = [
        (p["source"], p["subject"], p["reason"], p["breaks"])
        for p in shown["parts"]
        if p["closed_at"] is None
    ]
    found = await pos.actors.auditor.got("/v1/settlements", store=pos.world.north.id)
    return shown["day"]["status"], parts, {one["status"] for one in found["data"]}


@pytest.mark.row("F-18", "C-05", "T-21")
async def test_a_difference_keeps_its_store_out_until_two_people_resolved_it(pos: Pos) -> None:
    _, (difference,) = await differing(pos)
    assert difference["status"] == "open"
    cases = (await pos.actors.auditor.got("/v1/cases", kind="pos.difference"))["data"]
    assert [(one["subject"], one["facts"]) for one in cases] == [
        (difference["terminal"], {"batch": 1, "differences": 1})
    ]
    day = await day_after(pos)
    store = pos.world.north.id
    kept = ("terminal", store, "too_many_breaks", 1)
    assert await stands(pos, day) == ("soft_closed", [kept], {"kept_out"})
    asked = await ask(pos, difference["id"])
    assert await stands(pos, day) == ("soft_closed", [kept], {"kept_out"})
    own = await pos.actors.operator.post(f"/v1/approvals/{asked['id']}/approve", {})
    assert own.status in {403, 409, 422}
    assert (await agree(pos, asked)).status in {200, 201}
    (resolved,) = await listed(pos, status="resolved")
    assert (resolved["id"], resolved["approval"]) == (difference["id"], asked["id"])
    assert await listed(pos, status="open") == []
    await pos.kabao.clearing.tick()
    assert await stands(pos, day) == ("hard_closed", [], {"due"})


@pytest.mark.row("F-18", "T-21")
async def test_a_batch_that_is_not_uploaded_keeps_its_store_out(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    assert (await till.buy(card, 30, trace="000001")).code == "00"
    till.debit[0] -= 5
    assert (await till.settle()).code == "95"
    day = await day_after(pos)
    kept = ("terminal", pos.world.north.id, "not_matched", 0)
    assert await stands(pos, day) == ("soft_closed", [kept], {"kept_out"})
    assert await uploaded(pos, till) == []
    await pos.kabao.clearing.tick()
    assert await stands(pos, day) == ("hard_closed", [], {"due"})


@pytest.mark.row("C-05")
async def test_only_an_executed_correction_of_money_is_named(pos: Pos) -> None:
    _, (difference,) = await differing(pos)
    card = await pos.card()
    made = await pos.actors.operator.made(
        "/v1/adjustments", {"card": card.id, "amount": 70, "currency": "CNY"} | WHY
    )
    path = f"/v1/pos-differences/{difference['id']}/resolutions"
    body = WHY | {"correction": made["id"]}
    assert (await pos.actors.operator.post(path, body)).status == 422
    assert (await agree(pos, made)).status in {200, 201}
    asked = await ask(pos, difference["id"], correction=made["id"])
    wrong = await pos.actors.operator.post(path, WHY | {"correction": asked["id"]})
    assert (wrong.status, wrong.code) == (422, "invalid")
    assert (await agree(pos, asked)).status in {200, 201}
    (resolved,) = await listed(pos)
    assert resolved["correction"] == made["id"]
    again = await pos.actors.operator.post(path, WHY)
    assert (again.status, again.code) == (409, "pos_difference_changed")


@pytest.mark.row("C-05")
async def test_what_has_other_figures_by_now_is_open_again(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    jobs = Jobs(pos.kabao.db)
    add_pos_jobs(pos.kabao, jobs)
    async with elsewhere(pos, till) as other:
        assert (await other.settle()).code == "00"
        assert (await till.buy(card, 70, trace="000200")).code == "00"
    pos.at.clock.advance(timedelta(minutes=2))
    await jobs.tick_once("pos.check_settled")
    (late,) = await listed(pos)
    first, second = await ask(pos, late["id"]), await ask(pos, late["id"])
    assert (await agree(pos, first)).status in {200, 201}
    twice = await agree(pos, second)
    assert (twice.status, twice.code) == (409, "pos_difference_changed")
    terminal = from_edge("ter", late["terminal"])
    same, other_fen = (DifferenceRow(200, -1, "late", None, fen) for fen in (70, 60))
    for figures, status in ((same, "resolved"), (other_fen, "open")):
        async with pos.kabao.db.transaction() as conn:
            await sql_batches.differ(conn, terminal, 1, [figures], now(pos.at.clock))
        assert [one["status"] for one in await listed(pos)] == [status]
    assert (await till.reverse("000200", 70, batch="000001")).code == "00"
    assert await listed(pos) == []


@pytest.mark.row("R-04")
async def test_nobody_else_resolves_it(pos: Pos) -> None:
    _, (difference,) = await differing(pos)
    world, everything = pos.world, sorted(VERBS)
    near = {"company": world.founded.group, "verbs": everything, "stores": [world.south.id]}
    for scope in (near, {"company": world.founded.stranger, "verbs": everything}):
        other = pos.actors.http.at(await scoped_key(pos.actors.http, world, **scope))
        told = await other.post(f"/v1/pos-differences/{difference['id']}/resolutions", WHY)
        assert told.status == 404
    for wrong in ("x", "ter_1.1.1.debit.late", difference["id"].replace("debit", "both")):
        told = await pos.actors.operator.post(f"/v1/pos-differences/{wrong}/resolutions", WHY)
        assert told.status == 404
    async with pos.kabao.db.read() as conn:
        day = pos.kabao.days.of(pos.at.clock.now_us())
        (part,) = await pos.kabao.pos_differences.open_parts(conn, day)
        assert from_edge("sto", part.subject) == from_edge("sto", world.north.id)
