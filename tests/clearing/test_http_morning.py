"""The morning after: what a night made due is told to stores, released, and paid by a bank."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiso20022.camt.camt_053_001_08 import camt_053_001_08 as camt053

from kabao.ledger.model import Account
from tests.app.world import World, made, world

from .night import MONDAY, at, fee_plan, house, pass_night, settlements, turn
from .paying import night
from .test_statements import ORACLE

TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path, at=at(MONDAY, 10)) as w:
        yield w


async def sold(w: World) -> dict[str, Any]:
    """A day of the other company's store, and the night after; its settlement."""
    await fee_plan(w, w.other_store, rate_bp=60)
    card = await w.card(await w.programme(), 90_000)
    paid = await w.pay(card, 10_000, store=w.other_store)
    await made(w.merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount": 2_000}))
    turn(w, at(TUESDAY, 2, 1))
    await pass_night(w)
    [one] = await settlements(w)
    return one


@pytest.mark.row("P-05", "X-09")
async def test_a_statement_says_the_same_in_every_form_and_again(w: World) -> None:
    one = await sold(w)
    path = f"/v1/settlements/{one['id']}/statement"
    told = await made(w.auditor.get(path))
    assert told["opening"] + sum(line["amount"] for line in told["lines"]) == told["closing"]
    assert {line["line"]: line["amount"] for line in told["lines"]} == {
        "redeemed": 10_000,
        "given_back": -2_000,
        "fees": -60,
        "fees_returned": 12,
        "settled": -7_952,
    }
    assert (told["opening"], told["closing"], told["due_on"]) == (0, 0, str(TUESDAY))
    forms = {
        "csv": "text/csv; charset=utf-8",
        "camt053": "application/xml",
        "pdf": "application/pdf",
    }
    for form, media in forms.items():
        first, again = [await w.auditor.get(path, format=form) for _ in range(2)]
        assert first.status_code == 200 and first.headers["content-type"] == media
        assert first.content == again.content
    table = (await w.auditor.get(path, format="csv")).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert sum(int(row["amount"]) for row in rows[:-1]) == int(rows[-1]["amount"]) == 0
    file = (await w.auditor.get(path, format="camt053")).content
    (stmt,) = ORACLE.from_bytes(file, camt053.Document).bk_to_cstmr_stmt.stmt
    assert len(stmt.ntry) == 5
    # The store's company sees it, and nobody who is neither.
    assert (await w.by("other-auditor").get(path)).status_code == 200


@pytest.mark.row("P-05", "C-03", "CR-91")
async def test_what_a_night_made_due_is_paid_by_the_bank(w: World) -> None:
    one = await sold(w)
    async with night(w) as bank:
        await bank.bank_account("6222020200012345678")
        batch = await bank.release()
        for _ in range(2):
            w.clock.advance(timedelta(seconds=61))
            await w.kabao.morning.paying.look()
        shown = await made(w.operator.get(f"/v1/payout-batches/{batch}"))
        assert (shown["status"], shown["amount"]) == ("answered", 7_952)
        [paid] = await bank.payouts()
        assert (paid["status"], paid["payer"], paid["payee_company"]) == (
            "paid",
            w.company,
            w.other,
        )
        [line] = await bank.desk("GET", "payouts")
        assert (line["amount"], line["name"]) == (7_952, "Other")
    whole = await made(w.auditor.get(f"/v1/settlements/{one['id']}"))
    assert [each["status"] for each in whole["instructions"]] == ["paid"]
    assert await house(w, Account.PAYABLE) == await house(w, Account.UNDER_WAY) == {}
    assert list((await house(w, Account.BANK)).values()) == [7_952]
