"""Looks for news: shared, seldom, and never too early."""

from __future__ import annotations

import asyncio

import pytest

from kabao.base.news import News


class Source:
    """Something that grows elsewhere, and what was seen of it."""

    def __init__(self) -> None:
        self.there = self.seen = self.looks = self.at_once = 0
        self.broken = False

    async def refresh(self) -> None:
        self.looks += 1
        self.at_once += 1
        assert self.at_once == 1
        found = self.there
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if self.broken:
            raise RuntimeError("gone")
        self.seen = found


async def test_who_asks_sees_what_was_there_when_he_asked() -> None:
    source = Source()
    news = News(source.refresh, pause_s=0.02)

    async def ask(n: int) -> None:
        await asyncio.sleep(n * 0.001)
        source.there += 1
        wanted = source.there
        await news.look()
        assert source.seen >= wanted

    await asyncio.gather(*map(ask, range(100)))
    assert source.looks < 10


async def test_the_first_does_not_wait_and_a_flood_looks_seldom() -> None:
    source, loop = Source(), asyncio.get_running_loop()
    news = News(source.refresh, pause_s=0.2)
    began = loop.time()
    await news.look()
    assert loop.time() - began < 0.1

    async def insist() -> None:
        while loop.time() < began + 0.5:
            await news.look()

    await asyncio.gather(*(insist() for _ in range(200)))
    assert source.looks <= 5


async def test_who_goes_away_takes_nobody_along() -> None:
    source = Source()
    news = News(source.refresh)
    gone, stays = asyncio.create_task(news.look()), asyncio.create_task(news.look())
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert gone.cancelled()
    assert source.looks == 1


async def test_a_look_that_fails_is_not_the_last() -> None:
    source = Source()
    news = News(source.refresh, pause_s=0)
    source.there, source.broken = 1, True
    with pytest.raises(RuntimeError):
        await news.look()
    source.broken = False
    await news.look()
    assert source.seen == 1
