"""The engine in process: look-up, PIN, policy, lanes, commit; no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kabao.app.bench.plan import Run, percentile
from kabao.app.bench.seed import World
from kabao.app.composition import Kabao
from kabao.cards.model import CardNumber
from kabao.payments.model import Place, Status
from kabao.payments.pay import Request

CALLERS = 256
AMOUNT_FEN = 1


async def measure(
    kabao: Kabao,
    world: World,
    choose: Callable[[], int],
    seconds: float,
    reference: float,
    callers: int = CALLERS,
) -> Run:
    """`callers` callers, each paying again as soon as it is answered."""
    waits: list[float] = []
    errors = 0
    turn = 0
    until = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal errors, turn
        while (begun := time.perf_counter()) < until:
            payer = world.payers[choose()]
            turn += 1
            store, terminal = world.tills[turn % len(world.tills)]
            ident = kabao.ids.new()
            request = Request(
                id=ident,
                company=world.company,
                key=f"pay/{ident}",
                mac=bytes(32),
                amount_fen=AMOUNT_FEN,
                currency="CNY",
                place=Place(store, terminal),
            )
            source = CardNumber(payer.number, payer.pin)
            payment = await kabao.payments.pay(request, source, lambda _: False)
            errors += payment.status != Status.CAPTURED
            waits.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    took = time.perf_counter() - begun
    waits.sort()
    return Run(
        round(len(waits) / took, 1),
        round(reference, 1),
        round(percentile(waits, 0.5) * 1000, 2),
        round(percentile(waits, 0.99) * 1000, 2),
        len(waits),
        errors,
    )
