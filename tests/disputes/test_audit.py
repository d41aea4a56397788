"""Whatever somebody does to disputes and what they lent, the auditor says where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kabao.audit.ops import audit
from tests.app.world import World, made, world
from tests.disputes.test_http import decided, opened, paid, sound


@pytest.fixture
async def w(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(database_url, tmp_path) as w:
        yield w


TAMPERED = {
    "an open credit that is smaller": (
        "update disputes.dispute set lent_principal_fen = 1 where state = 'opened'",
        ("I-1", "open disputes lent"),
    ),
    "a payment that knows nothing of it": (
        "update payments.lent set lent_principal_fen = 0",
        ("I-6", "its disputes say"),
    ),
    "more lent than is left": (
        "update payments.payment set refunded_fen = 2999, refunded_principal_fen = 2999",
        ("I-6", "gave back more than it took"),
    ),
    "a credit taken back that was not": (
        "update disputes.dispute set taken_back_fen = 5 where outcome = 'store'",
        ("I-6", "its disputes say"),
    ),
    "another who bears it": (
        "update disputes.dispute set bearer = 'issuer' where bearer = 'store'",
        ("I-6", "the store was charged 2000 fen"),
    ),
    "a debt forgotten": (
        "update disputes.dispute set owed_fen = 0 where owed_fen > 0",
        ("I-6", "fen are owed, it says 0"),
    ),
    "a dispute taken away": (
        "delete from disputes.step; delete from disputes.dispute where bearer = 'store'",
        ("I-6", "borne for a dispute that is not there"),
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampered(w: World, what: str) -> None:
    for outcome, bearer in (("holder", "store"), ("store", None), ("", None)):
        card, payment = await paid(w)
        dispute = await opened(w, payment, amount=2_000)
        await made(w.operator.post(f"/v1/disputes/{dispute['id']}/credit"))
        if outcome == "store":
            await w.pay(card, 8_000)  # of 9,000: half of the credit is spent
        if outcome:
            await decided(w, dispute, outcome, bearer)
    await sound(w)
    statement, (line, words) = TAMPERED[what]
    async with w.kabao.db.transaction() as conn:
        await conn.execute(statement)  # type: ignore[arg-type]  # the test's own
    report = await audit(w.kabao.db.url)
    found = [each for one in report.lines if one.id == line for each in one.breaches]
    assert any(words in each for each in found), found
