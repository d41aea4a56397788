"""What a simulation needs besides the doors: the clock's hands, and a hammer."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Pids(msgspec.Struct, frozen=True):
    """The platform's processes at this moment."""

    servers: tuple[int, ...]
    workers: tuple[int, ...]
    postmaster: int | None


class Backstage(Protocol):
    """What happens behind the doors, where no client comes."""

    def pids(self) -> Pids:
        """The processes now; they change when one is brought back."""
        ...

    def kill(self, pid: int) -> None:
        """`kill -9`; nothing if it is gone already."""
        ...

    def memory_kb(self) -> dict[str, int]:
        """Resident memory of each server and worker, by name."""
        ...

    async def jump(self, to_us: int) -> None:
        """Turn the simulated clock forward, for every process at once, while they work."""
        ...
