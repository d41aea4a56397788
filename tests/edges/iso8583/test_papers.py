"""What the host tells of a payment whose holder disputes it."""

from __future__ import annotations

import pytest

from .conftest import Pos


@pytest.mark.row("C-04")
async def test_the_terminal_s_log_is_in_the_evidence(pos: Pos) -> None:
    till, card = await pos.till(), await pos.card(1_000)
    sale = await till.buy(card, 300, trace="000100")
    assert (await till.refund(sale.rrn, 100)).code == "00"
    assert (await till.settle()).code == "00"
    operator = pos.actors.operator
    found = await operator.got("/v1/payments", terminal=pos.world.north.terminal)
    payment = found["data"][0]
    body = {"payment": payment["id"], "reason": "wrong_amount"}
    dispute = await operator.made("/v1/disputes", body)
    assert dispute["amount"] == 200
    pack = await operator.got(f"/v1/disputes/{dispute['id']}/evidence")
    log = [(line["what"], line["amount"]) for line in pack["terminal_log"]]
    assert log[:2] == [("purchase", 300), ("refund", 100)]
    assert {what for what, _ in log[2:]} == {"batch asked for", "batch settled"}
    assert "batch 1, message 100" in pack["terminal_log"][0]["note"]
    assert pack["till"]["terminal_no"] == till.terminal_no
    assert pack["till"]["cashier"] == pos.world.north.cashier
    assert [one["receipt"]["kind"] for one in pack["receipts"]] == ["payment", "refund"]
    assert card.number not in str(pack)
    assert pack["dispute"] == dispute["id"]
