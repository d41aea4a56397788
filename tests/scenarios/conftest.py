"""One platform of real processes for all scenarios of a test process, and a door for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from .site import Site
from .world import Actors


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Two servers, a worker and a database; nothing in it is killed.

    After all tests the books must hold against what clients were told, and no
    line of the log may tell of a defect.
    """
    made = Site()
    yield made
    try:
        made.audit()
        assert made.errors() == []
    finally:
        made.stop()


@pytest_asyncio.fixture
async def actors(site: Site) -> AsyncIterator[Actors]:
    """Everybody, with connections of this test's own."""
    http = site.http()
    yield Actors(http, site.world)
    await http.close()
