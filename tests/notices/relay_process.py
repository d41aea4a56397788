"""What a worker does about webhooks, as processes that can be killed at any moment.

`python -m tests.notices.relay_process settings.json` has everything imported; each line
on its standard input makes it begin one more life, whose process id it prints.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from kabao.app.composition import composed
from kabao.app.settings import Settings


async def live(settings: Settings) -> None:
    """Relay and send until killed."""
    async with composed(settings) as kabao:
        while True:
            await kabao.telling.relay.round()
            await kabao.telling.sender.round()
            await asyncio.sleep(0.01)


def main() -> None:
    settings = Settings.from_json(Path(sys.argv[1]).read_bytes())
    for _ in sys.stdin:
        life = os.fork()
        if life == 0:
            asyncio.run(live(settings))
        print(life, flush=True)  # noqa: T201 -- a program of its own
        os.waitpid(life, 0)


if __name__ == "__main__":
    main()
