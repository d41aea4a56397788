"""Which clock a process uses (design decision 7)."""

from __future__ import annotations

from kabao.base.clock import Clock, RealClock, SimulatedClock
from kabao.base.db import Conn
from kabao.base.errors import Kind, code

CLOCK_SIMULATED = code(
    "clock_simulated", Kind.UNAVAILABLE, "This database lives in simulated time."
)


async def choose_clock(conn: Conn, *, simulated: bool) -> Clock:
    """The machine's clock, or the one the row `base.clock` describes.

    Plain `serve` refuses a database with that row: money must not be dated by
    a clock that somebody can turn. Raises `clock_simulated`.
    """
    row = await (await conn.execute("select anchor_us, epoch_us, rate from base.clock")).fetchone()
    if row is None:
        return RealClock()
    if not simulated:
        raise CLOCK_SIMULATED.error(
            "This database was used by a simulation and lives in simulated time. "
            "Serve another one, or use `kabao demo` or `kabao simulate`."
        )
    return SimulatedClock(*row)


async def set_clock(conn: Conn, anchor_us: int, epoch_us: int, rate: float) -> None:
    """Let simulated time begin at `epoch_us`, `rate` times as fast as real time."""
    await conn.execute(
        """
        insert into base.clock (anchor_us, epoch_us, rate) values (%s, %s, %s)
        on conflict (one) do update set anchor_us = excluded.anchor_us,
          epoch_us = excluded.epoch_us, rate = excluded.rate
        """,
        [anchor_us, epoch_us, rate],
    )
