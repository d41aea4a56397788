"""Large sums go back to their payers when two people agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kabao.audit.ops import audit
from tests.app.world import made

from .money import Money, money


@pytest.fixture
async def at(database_url: str, tmp_path: Path) -> AsyncIterator[Money]:
    async with money(database_url, tmp_path, "alipay") as here:
        yield here
        report = await audit(database_url)
        assert [line for line in report.lines if not line.holds] == []


async def paid(at: Money) -> tuple[dict[str, Any], dict[str, Any]]:
    card = await at.card(limits={"approval.topup_refund_from_fen": 5_000})
    return card, await at.paid(card)


async def asked(at: Money, topup: dict[str, Any], **more: Any) -> Any:
    body = {"reason": "不想要了"} | more
    return await at.home.operator.post(f"/v1/topups/{topup['id']}/refund-requests", body)


@pytest.mark.row("ATK-11")
@pytest.mark.parametrize(("parts", "needed"), [([4_999], 0), ([5_000], 1), ([4_000, 1_000], 1)])
async def test_from_a_sum_on_it_takes_two(at: Money, parts: list[int], needed: int) -> None:
    """In pieces as well."""
    _, topup = await paid(at)
    replies = [await at.refund(topup, amount=part) for part in parts]
    refused = [one for one in replies if not one.is_success]
    assert len(refused) == needed
    for one in refused:
        said = one.json()
        assert (one.status_code, said["code"], said["rule"]) == (422, "approval_needed", "ATK-11")


@pytest.mark.row("ATK-11")
async def test_two_people_give_it_back(at: Money) -> None:
    card, topup = await paid(at)
    assert (await at.refund(topup)).json()["code"] == "approval_needed"
    assert await at.balance(card) == (10_000, 10_000)
    wish = await made(asked(at, topup))
    assert (wish["kind"], wish["payload"]["amount"]) == ("topup_refund", 10_000)
    own = await at.home.operator.post(f"/v1/approvals/{wish['id']}/approve")
    assert not own.is_success
    assert await at.balance(card) == (10_000, 10_000)
    done = await made(at.home.approve(wish["id"]))
    (refund,) = (await made(at.home.operator.get(f"/v1/topups/{topup['id']}/refunds")))["data"]
    assert done["result"]["refund"] == refund["id"]
    await at.passes(1)
    assert (await at.see(topup))["status"] == "refunded"
    again = await asked(at, topup)
    assert (again.status_code, again.json()["code"]) == (409, "topup_not_refundable")


async def test_what_was_spent_meanwhile_is_not_given_back(at: Money) -> None:
    card, topup = await paid(at)
    over = await asked(at, topup, amount=10_001)
    assert (over.status_code, over.json()["code"]) == (422, "topup_refund_too_large")
    wish = await made(asked(at, topup))
    await at.home.pay(card, 1)
    late = await at.home.approve(wish["id"])
    assert not late.is_success, late.text
    assert await at.balance(card) == (9_999, 9_999)
