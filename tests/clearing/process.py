"""A worker that does nothing but pay out, to be killed.

`python -m tests.clearing.process <folder> <database> <anchor> <epoch> <rate>`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from msgspec.structs import replace

from kabao.app.composition import Kabao
from kabao.app.settings import load
from kabao.base.clock import SimulatedClock
from kabao.base.db import Database


async def main(folder: str, url: str, *clock: str) -> None:
    """Until it is killed."""
    anchor, epoch, rate = clock
    db = Database(url)
    await db.open()
    simulated = SimulatedClock(int(anchor), int(epoch), float(rate))
    settings = replace(load({}), data=Path(folder), database_url=url)
    kabao = Kabao(settings, db, simulated)
    await kabao.org.refresh()
    await kabao.funding.refresh()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await kabao.morning.paying.look()
        await kabao.morning.paying.look_for_returns()
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
