"""Receipts on a running platform: the worker signs what the servers have taken."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from kabao.evidence.ops import check

from .world import Actors

WITHIN_S = 10.0
"""Far more than a second: the machine of a test run is busy."""


async def proven(actors: Actors, payment: Any) -> Any:
    """A payment's receipt once the worker has signed it."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            receipt = await actors.merchant.got(f"/v1/receipts/{payment['id']}")
            if receipt["proof"] is not None:
                return receipt
            await asyncio.sleep(0.05)


@pytest.mark.row("P-11")
async def test_what_is_paid_is_signed_a_moment_later(actors: Actors) -> None:
    card = await actors.card(10_000)
    paid = [await actors.paid(card, 100 + n) for n in range(5)]
    receipts = await asyncio.gather(*(proven(actors, payment) for payment in paid))
    heads = {receipt["proof"]["signed"]["public_key"] for receipt in receipts}
    (public,) = heads
    for payment, receipt in zip(paid, receipts, strict=True):
        checked = check(msgspec.json.encode(receipt), bytes.fromhex(public))
        assert checked.receipt.subject == payment["id"]
        assert checked.receipt.amount == payment["approved_amount"]
        assert checked.receipt.balance_after == payment["balance_after"]
