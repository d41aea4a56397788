"""A party that is slow holds up nobody but itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kabao.adapters.line import Answer, Line, client
from kabao.app.channels import Lines
from kabao.funding.model.answers import Unknown, Unreachable
from kabao.funding.model.asking import outcome_of
from kabao.funding.model.collections import Outcome

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n"

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def party(serve: Serve) -> AsyncIterator[str]:
    """Somebody at a port who answers in their own way."""

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await serve(writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def drips(writer: asyncio.StreamWriter) -> None:
    """Each byte comes soon enough, and the last one never."""
    writer.write(HEAD)
    for _ in range(39):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)  # the fault itself: not a wait for anything
    await asyncio.Event().wait()


class Hangs:
    """Somebody who hears a request and never answers."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        del writer
        self.heard.set()
        await asyncio.Event().wait()


async def answers(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"x" * 40)
    await writer.drain()


async def test_an_answer_that_never_ends_is_given_up() -> None:
    async with party(drips) as url, client(connect_s=1, answer_s=5, connections=1) as shared:
        async with asyncio.timeout(3):
            said = await Line(shared, url, whole_s=0.2).ask("GET", "/")
        assert said == Unknown("TimeoutError")
        # The connection is given back: the next one finds it free.
        assert await Line(shared, url, whole_s=0.2).ask("GET", "/") == Unknown("TimeoutError")


async def test_a_full_pool_is_no_fault_of_the_party() -> None:
    hangs = Hangs()
    async with party(hangs) as url, client(connect_s=0.1, answer_s=5, connections=1) as shared:
        line = Line(shared, url)
        first = asyncio.create_task(line.ask("GET", "/"))
        await asyncio.wait_for(hangs.heard.wait(), 5)
        said = await line.ask("GET", "/")
        first.cancel()
    assert said == Unreachable("PoolTimeout", ours=True)
    assert outcome_of(said) is Outcome.NOT_ASKED


async def test_parties_share_no_connections() -> None:
    hangs, lines = Hangs(), Lines(connect_s=0.2, connections=1)
    async with party(hangs) as slow, party(answers) as well:
        try:
            stuck = lines.to({"url": slow}, "url", None)
            held = asyncio.create_task(stuck.ask("GET", "/"))
            await asyncio.wait_for(hangs.heard.wait(), 5)
            assert isinstance(await lines.to({"url": well}, "url", None).ask("GET", "/"), Answer)
            again = lines.to({"url": slow}, "url", None, "/other")
            said = await again.ask("GET", "/")
            assert isinstance(said, Unreachable) and said.ours
            held.cancel()
        finally:
            await lines.close()
