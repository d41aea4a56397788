"""The receipt of a top-up has the twelve items the law lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from .money import made, money

TWELVE = [
    "parties",
    "payee_account_and_amount",
    "goods_and_charges",
    "term_and_premises",
    "risk_notice",
    "bonus_rules",
    "change_and_end",
    "refund_method",
    "loss_replacement_transfer",
    "enquiry",
    "breach",
    "disputes",
]


@pytest.mark.row("CR-35", "L-19", "CR-70")
async def test_twelve_items(database_url: str, tmp_path: Path) -> None:
    async with money(database_url, tmp_path) as at:
        programme = await at.home.programme()
        await at.bonus(programme)
        card = await at.home.card(programme)
        opened = await at.opened(card, 20_000)
        path = f"/v1/topups/{opened['id']}/receipt"
        early = await at.home.operator.get(path)
        assert (early.status_code, early.json()["code"]) == (409, "topup_not_confirmed")
        await at.pays(opened)
        receipt = await made(at.home.operator.get(path))
        assert [one["item"] for one in receipt["items"]] == TWELVE
        assert all(one["title"] and one["lines"] for one in receipt["items"])
        assert (receipt["amount"], receipt["bonus"]) == (20_000, 4_000)
        said = {one["item"]: " ".join(one["lines"]) for one in receipt["items"]}
        assert "200.00" in said["payee_account_and_amount"]
        assert "40.00" in said["bonus_rules"]
        assert "Group" in said["parties"]
        cash = await at.home.top_up(card["id"], 1_000)
        receipt = await made(at.home.operator.get(f"/v1/topups/{cash['id']}/receipt"))
        assert (len(receipt["items"]), receipt["bonus"]) == (12, 0)
