"""All tills at once."""

from __future__ import annotations

import asyncio
import time

import msgspec

from kabao_sandbox.tills.chance import Chance
from kabao_sandbox.tills.day import Day
from kabao_sandbox.tills.line import Line, SilenceError
from kabao_sandbox.tills.model import Account, Card, Faults, Floor, Site, Till
from kabao_sandbox.tills.mouth import Mouth
from kabao_sandbox.tills.wire import BrokenError


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the day goes."""

    tills: int = 0
    """0: every terminal of the site."""
    customers: int = 30
    """For each till; a batch holds 999 entries a side (MF-08)."""
    faults: Faults = Faults()
    bent: float = 0
    """Of a hundred batches, how many are made not to match."""
    seed: int = 1


async def play(site: Site, plan: Plan) -> Floor:
    """Let every till have its day; what it came to."""
    host, _, port = site.pos.rpartition(":")
    accounts = site.terminals[: plan.tills or None]
    share = len(site.stock) // len(accounts)
    bent = _bent(len(accounts), plan)
    begun = time.monotonic()
    tills = await asyncio.gather(
        *(
            _day(
                Line(host.strip("[]"), int(port)),
                account,
                site.cards,
                site.stock[n * share : (n + 1) * share],
                plan,
                bent=n in bent,
            )
            for n, account in enumerate(accounts)
        )
    )
    return Floor(list(tills), round(time.monotonic() - begun, 1))


async def _day(
    line: Line, account: Account, cards: list[Card], stock: list[Card], plan: Plan, *, bent: bool
) -> Till:
    chance = Chance(f"{plan.seed}/{account.terminal_no}")
    mouth = Mouth(line, account, plan.faults, chance)
    try:
        await Day(mouth, account, cards, stock).play(plan.customers, bent=bent)
    except (SilenceError, BrokenError, OSError) as end:
        mouth.defect(f"the day ended early: {type(end).__name__} {end}")
    finally:
        await line.close()
    mouth.till.defects += line.broken
    return mouth.till


def _bent(count: int, plan: Plan) -> set[int]:
    """Which tills' batches; at least one where any is asked for."""
    chance = Chance(plan.seed)
    wanted = max(1, round(count * plan.bent / 100)) if plan.bent else 0
    return set(chance.sample(range(count), wanted))
