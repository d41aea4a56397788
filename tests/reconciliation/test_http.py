"""Bills and breaks through HTTP, on the whole platform, with a channel of the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from kabao.base.ids import from_edge
from kabao.ledger.model import Account
from kabao_sandbox.party.bills import Planted
from tests.app.world import made
from tests.funding.platform import Platform, platform


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    async with platform(database_url, tmp_path) as opened:
        yield opened


async def day_over(at: Platform, count: int = 6, **planted: int) -> str:
    """So many were paid yesterday; the bill is there and has errors. The day."""
    day = at.at.kabao.days.of(at.at.clock.now_us())
    for n in range(count):
        shown = await at.begun(1_000 + n)
        assert at.hosts["alipay"].pay(at.trade(shown.collection, "alipay"))
    await at.told()
    at.hosts["alipay"].planted = Planted(**planted)
    at.at.clock.advance(timedelta(hours=26))
    await at.at.kabao.channel_bills.due()
    return day.isoformat()


async def the_run(at: Platform) -> dict[str, Any]:
    page = await made(at.at.operator.get("/v1/reconciliations"))
    (run,) = page["data"]
    return dict(run)


async def breaks(at: Platform, run: str, **query: Any) -> list[dict[str, Any]]:
    page = await made(at.at.operator.get(f"/v1/reconciliations/{run}/breaks", **query))
    return list(page["data"])


async def unmatched(at: Platform) -> int:
    company = from_edge("com", at.at.company)
    async with at.at.kabao.db.read() as conn:
        found = await at.at.kabao.ledger.house_balance(conn, Account.UNMATCHED, company, "CNY")
    return found.credit_fen - found.debit_fen


@pytest.mark.row("T-20", "T-21", "C-05")
async def test_a_bill_is_matched_and_its_breaks_are_told(at: Platform) -> None:
    day = await day_over(at, missing=1, extra=1, amount=1)
    run = await the_run(at)
    assert (run["day"], run["status"], run["lines"], run["breaks"]) == (day, "finished", 6, 3)
    whole = await made(at.at.operator.get(f"/v1/reconciliations/{run['id']}"))
    assert whole["classes"] == {"amount": 1, "missing_here": 1, "missing_there": 1}
    assert len(whole["result_sha256"]) == 64
    (wrong,) = await breaks(at, run["id"], of_class="amount")
    assert wrong["difference"] == wrong["theirs"] - wrong["ours"] != 0
    assert (wrong["proposed"], wrong["status"], wrong["age_days"]) == ("suspend", "open", 1)
    assert wrong["explanation"].endswith(".")
    assert len(await breaks(at, run["id"], status="open")) == 3
    kinds = sorted(case["kind"] for case in await at.cases())
    assert kinds == ["reconciliation.break"] * 3 + ["reconciliation.gate"]
    report = await made(at.at.operator.get(f"/v1/reports/days/{day}"))
    assert {(each["kind"], each["count"], each["oldest"]) for each in report["open"]} == {
        ("amount, open", 1, day),
        ("missing_here, open", 1, day),
        ("missing_there, open", 1, day),
    }


async def test_all_that_is_open_is_listed_page_by_page(at: Platform) -> None:
    await day_over(at, missing=1, extra=1, amount=1)
    seen, cursor = [], None
    while True:
        query = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        found = await made(at.at.operator.get("/v1/reconciliation-breaks", **query))
        seen += found["data"]
        if (cursor := found["next_cursor"]) is None:
            break
    assert [one["number"] for one in seen] == [1, 2, 3]
    assert {one["subject"] for one in seen} == {at.channels["alipay"]["id"]}
    found = await made(at.at.operator.get("/v1/reconciliation-breaks", of_class="amount"))
    assert [one["class"] for one in found["data"]] == ["amount"]


@pytest.mark.row("T-21")
async def test_too_many_breaks_pause_their_channel_and_keep_the_day_open(at: Platform) -> None:
    day = await day_over(at, missing=1, extra=1, amount=1)
    channel = await made(at.at.operator.get(f"/v1/channels/{at.channels['alipay']['id']}"))
    assert channel["status"] == "paused"
    async with at.at.kabao.db.read() as conn:
        (part,) = await at.at.kabao.reconciliation.open_parts(conn, date.fromisoformat(day))
    assert (part.subject, part.reason, part.breaks) == (channel["id"], "too_many_breaks", 3)


async def wrong(at: Platform) -> list[str]:
    """What the auditor finds."""
    report = await audit(at.at.kabao.db.url)
    return [found for line in report.lines for found in line.breaches]


@pytest.mark.row("C-05", "ATK-11")
async def test_a_correction_takes_two_persons_and_posts_once(at: Platform) -> None:
    await day_over(at, extra=1)
    (found,) = await breaks(at, (await the_run(at))["id"])
    url = f"/v1/reconciliation-breaks/{found['id']}"
    body = {"correction": "suspend", "reason": "nobody knows the payer"}
    asked = await made(at.at.operator.post(f"{url}/corrections", body))
    assert (asked["state"], await unmatched(at)) == ("pending", 0)
    twin = await made(at.at.operator.post(f"{url}/corrections", body))
    await made(at.at.approve(asked["id"]))
    assert await unmatched(at) == found["difference"] > 0
    again = await at.at.approve(twin["id"])
    assert again.json()["code"] == "break_closed"
    assert await unmatched(at) == found["difference"]
    assert (await made(at.at.operator.get(url)))["status"] == "suspended"
    assert await wrong(at) == []
    async with at.at.kabao.db.transaction() as conn:
        await conn.execute("update reconciliation.line set amount_fen = amount_fen + 1")
    assert len(await wrong(at)) == 1, "a fen more is suspended than was posted"
    async with at.at.kabao.db.transaction() as conn:
        await conn.execute("update reconciliation.line set amount_fen = amount_fen - 1")
    body = {"correction": "write_off", "reason": "it stays nobody's"}
    asked = await made(at.at.operator.post(f"{url}/corrections", body))
    await made(at.at.approve(asked["id"]))
    assert await unmatched(at) == 0
    assert (await made(at.at.operator.get(url)))["status"] == "corrected"


async def test_what_is_of_no_amount_is_accepted_and_never_posted(at: Platform) -> None:
    await day_over(at, double=1)
    (found,) = await breaks(at, (await the_run(at))["id"])
    url = f"/v1/reconciliation-breaks/{found['id']}/corrections"
    early = await at.at.operator.post(url, {"correction": "release", "reason": "too early"})
    assert (early.status_code, early.json()["code"]) == (409, "break_closed")
    asked = await made(at.at.operator.post(url, {"correction": "accept", "reason": "told twice"}))
    await made(at.at.approve(asked["id"]))
    assert await unmatched(at) == 0


async def test_another_companys_key_sees_nothing_of_it(at: Platform) -> None:
    await day_over(at, extra=1)
    run = (await the_run(at))["id"]
    (found,) = await breaks(at, run)
    other = at.at.by("other-operator")
    assert (await made(other.get("/v1/reconciliations")))["data"] == []
    for path in (f"reconciliations/{run}", f"reconciliation-breaks/{found['id']}"):
        assert (await other.get(f"/v1/{path}")).status_code == 404


async def test_a_better_bill_takes_the_place_of_the_first(at: Platform) -> None:
    day = await day_over(at, missing=1)
    first = await the_run(at)
    at.hosts["alipay"].planted = Planted()
    body = {"channel": at.channels["alipay"]["id"], "day": day}
    await made(at.at.operator.post("/v1/reconciliations", body))
    await at.at.kabao.channel_bills.due()
    page = await made(at.at.operator.get("/v1/reconciliations", day=day))
    assert [run["status"] for run in page["data"]] == ["finished", "replaced"]
    assert [one["status"] for one in await breaks(at, first["id"])] == ["cleared"]
    body["day"] = "2099-01-01"
    assert (await at.at.operator.post("/v1/reconciliations", body)).status_code == 422


@pytest.mark.row("C-05")
async def test_a_bill_that_was_decided_on_stays(at: Platform) -> None:
    day = await day_over(at, extra=1)
    first = await the_run(at)
    (found,) = await breaks(at, first["id"])
    body = {"correction": "suspend", "reason": "nobody knows the payer"}
    asked = await made(
        at.at.operator.post(f"/v1/reconciliation-breaks/{found['id']}/corrections", body)
    )
    await made(at.at.approve(asked["id"]))
    at.hosts["alipay"].planted = Planted(missing=1)
    wanted = {"channel": at.channels["alipay"]["id"], "day": day}
    await made(at.at.operator.post("/v1/reconciliations", wanted))
    await at.at.kabao.channel_bills.due()
    assert await the_run(at) == first
    assert await unmatched(at) == found["difference"]
    assert "reconciliation.bill_refused" in {case["kind"] for case in await at.cases()}
    page = await made(at.at.operator.get(f"/v1/channels/{wanted['channel']}/bills"))
    assert [bill["reason"] for bill in page["data"] if bill["day"] == day] == [
        "bill_decided_already"
    ]
    assert await wrong(at) == []


async def balance(at: Platform, account: Account) -> int:
    """Debits less credits."""
    company = from_edge("com", at.at.company)
    async with at.at.kabao.db.read() as conn:
        found = await at.at.kabao.ledger.house_balance(conn, account, company, "CNY")
    return found.debit_fen - found.credit_fen


@pytest.mark.row("C-05")
async def test_what_a_channel_pays_out_is_booked_with_its_fees(at: Platform) -> None:
    await day_over(at)
    run = await the_run(at)
    assert run["theirs"] == run["ours"] == 6 * 1_000 + 15
    fee = run["theirs"] - run["expected"]
    assert fee > 0, "the sandbox's channel charges one"
    url = f"/v1/reconciliations/{run['id']}/settlement"
    body = {"received": run["expected"] - 3, "reason": "by the bank's statement"}
    asked = await made(at.at.operator.post(url, body))
    twin = await made(at.at.operator.post(url, body))
    await made(at.at.approve(asked["id"]))
    assert (await at.at.approve(twin["id"])).json()["code"] == "run_settled"
    assert await balance(at, Account.BANK) == run["expected"] - 3
    assert await balance(at, Account.CHANNEL_FEES) == fee
    assert await balance(at, Account.UNMATCHED) == 3, "three fen are to be claimed"
    assert await balance(at, Account.COLLECTED) == -run["theirs"]
    again = await made(at.at.operator.get(f"/v1/reconciliations/{run['id']}"))
    assert again["received"] == run["expected"] - 3
    report = await made(at.at.operator.get(f"/v1/reports/days/{run['day']}"))
    assert [(each["kind"], each["count"], each["amount"]) for each in report["open"]] == [
        ("payout, other than expected", 1, 3)
    ]
    assert await wrong(at) == []
    async with at.at.kabao.db.transaction() as conn:
        await conn.execute("update reconciliation.run set received_fen = received_fen + 1")
    assert len(await wrong(at)) == 1
