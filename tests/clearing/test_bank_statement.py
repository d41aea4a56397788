"""The bank's statement of a day against our books: payouts, returns and cash are no breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.app.world import made, world

from .paying import MONEY_FEN, Night, night

FIRST, SECOND = "6222020200012345678", "6222020200087654321"


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Night]:
    async with world(database_url, tmp_path) as opened, night(opened) as ready:
        yield ready


async def minute(at: Night) -> None:
    at.at.clock.advance(timedelta(seconds=61))
    await at.kabao.morning.paying.look()


@pytest.mark.row("T-20", "C-05")
async def test_what_clearing_did_at_the_bank_stands_in_the_books(at: Night) -> None:
    await at.bank_account(FIRST)
    await at.owes(12_300, n=2)
    await at.release()
    await minute(at)
    await minute(at)
    await at.bank_account(SECOND)
    await at.desk("PUT", f"payees/{SECOND}", {"does": "returns"})
    await at.owes(700)
    await at.release()
    await minute(at)
    await minute(at)
    assert await at.kabao.morning.paying.look_for_returns() == 1
    body = {"store": at.at.store, "amount": 5_000}
    bag = await made(at.at.operator.post("/v1/deposits", body))
    await at.desk("POST", "transfers", {"amount": 5_000, "words": bag["reference"]})
    await at.kabao.funding.receive()
    at.at.clock.advance(timedelta(days=1, hours=4))
    await at.kabao.channel_bills.due()
    (run,) = (await made(at.at.operator.get("/v1/reconciliations")))["data"]
    found = (await made(at.at.operator.get(f"/v1/reconciliations/{run['id']}/breaks")))["data"]
    told = [(one["class"], one["kind"], one["theirs"]) for one in found]
    assert told == [("missing_here", "pay", MONEY_FEN)], "only the seed is nobody's"
