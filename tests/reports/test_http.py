"""Reports through the door: what was done on a day stands in its report, to the fen."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kabao.base.clock import from_us
from kabao.base.db import Database
from kabao.reports.sql import one_reading
from tests.databases import Databases
from tests.scenarios.clocked import START, Clocked, clocked

pytestmark = pytest.mark.asyncio(loop_scope="module")
TODAY = START.date()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def at(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Clocked]:
    folder: Path = tmp_path_factory.mktemp("reports")
    with databases.copy() as url:
        db = Database(url)
        await db.open()
        async with clocked(db, folder) as made:
            yield made
        await db.close()


async def report(at: Clocked, day: date, **query: Any) -> Any:
    return await at.actors.auditor.got(f"/v1/reports/days/{day}", **query)


async def traded(at: Clocked) -> None:
    """A load of 100 yuan, two payments, one of them given back in part, one voided load."""
    actors = at.actors
    card = await actors.card(10_000)
    await actors.paid(card, 3_000)
    paid = await actors.paid(card, 2_000)
    await actors.merchant.made(f"/v1/payments/{paid['id']}/refunds", {"amount": 500})
    voided = await actors.load(card, 700)
    assert (await actors.unload(voided)).status == 200


def day_of(at: Clocked) -> date:
    return from_us(at.clock.now_us()).astimezone(START.tzinfo).date()


@pytest.mark.row("CR-58", "C-05")
async def test_a_day_rolls_forward_to_the_next(at: Clocked) -> None:
    await traded(at)
    group = at.actors.world.founded.group
    first = await report(at, TODAY)
    (roll,) = first["roll"]
    assert roll["issuer"] == group
    assert roll["opening"] + sum(roll["lines"].values()) == roll["closing"]
    before = roll["closing"]
    north = next(s for s in first["stores"] if s["id"] == at.actors.world.north.id)
    assert north["loaded"] - north["paid_out"] == roll["lines"]["loaded"]
    assert (first["closed"], first["agrees"]) == (False, None)

    at.later(days=1)
    await traded(at)
    second = await report(at, day_of(at))
    (roll,) = second["roll"]
    assert roll["opening"] == before
    assert roll["lines"] == {"loaded": 10_000, "redeemed": -5_000, "given_back": 500}
    assert roll["closing"] == before + 5_500
    (store,) = second["stores"]
    assert (store["payments"], store["spent"], store["given_back"]) == (2, 5_000, 500)
    assert (store["loads"], store["loaded"]) == (2, 10_000)
    assert second["doors"] == [{"door": "http", "payments": 2, "spent": 5_000, "given_back": 500}]
    assert second["channels"] == [
        {"channel": "cash", "loads": 2, "loaded": 10_700, "went_back": 700}
    ]
    assert [(h["hour"], h["payments"], h["spent"]) for h in second["hours"]] == [(10, 2, 5_000)]


@pytest.mark.row("X-09")
async def test_a_closed_day_is_kept_and_read_again(at: Clocked) -> None:
    at.later(days=1)
    await traded(at)
    closed = day_of(at)
    live = await report(at, closed)
    at.later(days=1)
    await at.actors.operator.post("/v1/ledger/days/close", {"day": str(closed)})
    await at.tick("reports.keep")
    kept = await report(at, closed)
    assert (kept["closed"], kept["agrees"]) == (True, True)
    assert kept["digest"] == live["digest"]
    assert kept["roll"] == live["roll"]
    await at.kabao.reports.keep_due()  # again: nothing changes
    assert await report(at, closed) == kept
    async with at.kabao.db.transaction() as conn:
        await conn.execute(
            "update reports.roll set digest = %s where business_date = %s", [b"0" * 32, closed]
        )
    tampered = await report(at, closed)
    assert tampered["agrees"] is False
    page = await at.actors.auditor.get(f"/v1/reports/days/{closed}", format="html")
    assert b"NOT those that were kept" in page.body


async def test_people_get_pages_and_paper(at: Clocked) -> None:
    path = f"/v1/reports/days/{TODAY}"
    page = await at.actors.auditor.get(path, format="html")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert b"<svg" in page.body and b"north" in page.body
    paper = await at.actors.auditor.get(path, format="pdf")
    assert paper.status == 200 and paper.body.startswith(b"%PDF-")
    north = at.actors.world.north
    sheet = await at.actors.auditor.got(f"{path}/stores/{north.id}")
    code = next(line for line in sheet["cashiers"] if line["id"] == north.cashier)
    assert code["name"] == "cashier" and code["loaded"] > 0
    drawn = await at.actors.auditor.get(f"{path}/stores/{north.id}", format="html")
    assert b"Store sheet: north" in drawn.body


@pytest.mark.row("C-05")
async def test_an_erp_takes_over_a_journal_that_balances(at: Clocked) -> None:
    path = f"/v1/reports/days/{TODAY}/journal"
    journal = await at.actors.auditor.got(path)
    lines = [line for voucher in journal["vouchers"] for line in voucher["lines"]]
    assert sum(line["debit"] for line in lines) == sum(line["credit"] for line in lines) > 0
    file = await at.actors.auditor.get(path, format="csv")
    rows = list(csv.DictReader(io.StringIO(file.body.decode("utf-8-sig"))))
    assert [(r["account"], int(r["debit"]), int(r["credit"])) for r in rows] == [
        (line["account"], line["debit"], line["credit"]) for line in lines
    ]
    cash = sum(int(r["debit"]) - int(r["credit"]) for r in rows if r["ledger_account"] == "cash")
    roll = (await report(at, TODAY))["roll"]
    assert cash == roll[0]["lines"]["loaded"]


async def test_what_is_refused(at: Clocked) -> None:
    tomorrow = day_of(at) + timedelta(days=1)
    for path, status, code in (
        (f"/v1/reports/days/{tomorrow}", 404, "report_day_unknown"),
        ("/v1/reports/days/2026-13-01", 404, "not_found"),
        (f"/v1/reports/days/{TODAY}?company=com_{'0' * 32}", 404, "not_found"),
        (f"/v1/reports/days/{TODAY}?format=xls", 422, "invalid"),
    ):
        reply = await at.actors.auditor.get(path)
        assert reply.status == status, repr(reply)
        assert code in {None, reply.code}


async def test_a_report_sees_one_moment(databases: Databases) -> None:
    with databases.copy() as url:
        db = Database(url)
        await db.open()
        async with db.transaction() as reader:
            await one_reading(reader)
            before = await (await reader.execute("select count(*) from reports.roll")).fetchone()
            async with db.transaction() as writer:
                await writer.execute(
                    "insert into reports.roll (business_date, rolls, digest, kept_at)"
                    " values ('2026-11-20', '[]', '\\x00', '2026-11-21Z')"
                )
            after = await (await reader.execute("select count(*) from reports.roll")).fetchone()
            assert before == after == (0,)
        await db.close()
