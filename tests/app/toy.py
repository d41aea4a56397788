"""Small children for the tests of supervision."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from kabao.app.settings import Settings
from kabao.base.errors import SETTING
from kabao.base.process import Child


def run(settings: Settings, child: Child) -> None:
    """Answers every connection with its process id."""
    asyncio.run(_serve(child))


async def _serve(child: Child) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(os.getpid()).encode())
        await writer.drain()
        writer.close()

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await asyncio.start_server(answer, sock=child.sockets["http"]):
        child.ready()
        await stop.wait()


def refuse(settings: Settings, child: Child) -> None:
    raise SETTING.error(f"{child.role} {child.index} will not.", field="KABAO_TOY")


def crash(settings: Settings, child: Child) -> None:
    sys.exit(7)


def crash_after_ready(settings: Settings, child: Child) -> None:
    child.ready()
    time.sleep(0.05)
    os._exit(8)


def stubborn(settings: Settings, child: Child) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child.ready()
    while True:
        time.sleep(60)


def idle(settings: Settings, child: Child) -> None:
    child.ready()
    signal.pause()
