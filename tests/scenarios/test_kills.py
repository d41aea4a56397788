"""`kill -9` of servers and of the database while payments go on (F-1, F-2; AT-1).

Every acknowledged payment is in the books once, none is doubled, all come to
an end, and the platform stands up by itself each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import crash
from .site import Site
from .world import Actors

RECOVERY_S = 30.0
"""The longest a disturbed client may have waited, at the 99th percentile: several
kills may have struck it, and tests share the machine."""


@pytest.fixture(scope="module")
def doomed() -> Iterator[Site]:
    """A platform of its own, to be killed."""
    made = Site()
    yield made
    try:
        made.audit()
    finally:
        made.stop()


@pytest.mark.row("P-02", "P-17", "P-19", "P-21")
@pytest.mark.parametrize(
    ("payments", "servers", "databases"),
    [
        (5_000, 15, 5),
        pytest.param(20_000, 100, 0, marks=pytest.mark.proof),
        pytest.param(20_000, 0, 50, marks=pytest.mark.proof),
        pytest.param(20_000, 70, 30, marks=pytest.mark.proof),
    ],
)
async def test_nothing_is_lost_and_nothing_doubled(
    doomed: Site,
    payments: int,
    servers: int,
    databases: int,
    record_property: Callable[[str, Any], None],
) -> None:
    kills = [doomed.kill_server] * servers + [doomed.kill_database] * databases
    secrets.SystemRandom().shuffle(kills)
    journal = await crash.pay_through(doomed, payments, kills)
    assert len(journal.lines) == payments
    waited = sorted(line.first_s for line in journal.lines if line.disturbed)
    assert waited, "nobody noticed: the kills came to nothing"
    record_property("disturbed", len(waited))
    for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        seconds = waited[min(int(len(waited) * share), len(waited) - 1)]
        record_property(f"waited_{name}_s", round(seconds, 2))
    assert waited[int(len(waited) * 0.99)] < RECOVERY_S
    await crash.judge(doomed, journal)


@pytest.mark.row("P-06")
async def test_a_hold_that_falls_due_while_the_worker_is_dead_is_set_free(doomed: Site) -> None:
    http = doomed.http()
    actors = Actors(http, doomed.world)
    card = await actors.card(10_000)
    hold = await actors.held(card, 6_000)
    os.kill(doomed.worker(), signal.SIGKILL)
    with doomed.connect() as conn:
        ident = hold["id"].removeprefix("pay_")
        # As if its half hour were over.
        for table in ("ledger.hold", "payments.payment"):
            changed = conn.execute(
                f"update {table} set expires_at = expires_at - interval '1 hour' where id = %s",
                [ident],
            )
            assert changed.rowcount == 1
    async with asyncio.timeout(60):
        while (await actors.balance(card))[1] != 10_000:  # noqa: ASYNC110 -- the worker does it
            await asyncio.sleep(0.1)
    seen = await actors.merchant.got(f"/v1/payments/{hold['id']}")
    assert (seen["status"], seen["captured_amount"]) == ("expired", 0)
    late = await actors.act(hold, "capture")
    assert (late.status, late.code) == (409, "payment_state_forbids")
    await http.close()


async def test_everything_stands_up_again_when_all_of_it_was_killed(doomed: Site) -> None:
    """The database and all servers in the same moment; only who supervises lives on."""
    http = doomed.http()
    actors = Actors(http, doomed.world)
    card = await actors.card(10_000)
    await actors.paid(card, 1)
    doomed.kill_database()
    for pid in [*doomed.servers(), doomed.worker()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    body = actors.pay_body(card, 2)
    reply = await actors.merchant.insist("/v1/payments", body, f"after-{card.id}")
    assert reply["balance_after"] == 9_997
    assert len(doomed.servers()) >= 1
    await http.close()
